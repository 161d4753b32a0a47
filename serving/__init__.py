"""The model server: loads the releases that labels point at, and speaks TF Serving's REST and gRPC.

`python -m serving --help` explains how to run it, docs/guides/serving.md how to call it.
"""
