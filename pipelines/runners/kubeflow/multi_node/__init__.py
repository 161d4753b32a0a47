"""Trainer and Tuner on several machines: a TrainJob of Kubeflow Trainer v2 (docs/decisions/0014-multi-node-training.md, 0042).

`manifest` says what the job is, `train_job` starts it, and `worker` runs in each of its pods. In the node's own pod `operator`
waits for the Trainer's, and `search` keeps the trials that the Tuner's try. `exchange` is what they tell each other, `jobs` is the
Kubernetes API.
"""
