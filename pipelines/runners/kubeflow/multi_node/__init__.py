"""The Trainer on several machines: a TrainJob of Kubeflow Trainer v2 (docs/decisions/0014-multi-node-training.md).

`manifest` says what the job is, `operator` starts it and waits for it in the Trainer's pod, `worker` runs in each of its pods,
`exchange` is what the two tell each other, `jobs` is the Kubernetes API.
"""
