#!/bin/sh
# Nodes for the pools of pools.yaml that fit any cluster. NVIDIA's GPU operator labels nodes with nvidia.com/gpu.product by itself;
# the taint keeps everything else off them. Usage: node-pools.sh NODE...
set -eu

# pool: a100 (one GPU of the node), nvidia.com/gpu.product=NVIDIA-A100-SXM4-40GB, taint nvidia.com/gpu
# pool: a100-nodes-4 (one GPU of each of four nodes), nvidia.com/gpu.product=NVIDIA-A100-SXM4-40GB, taint nvidia.com/gpu
# pool: a100-4 (four GPUs of one node), nvidia.com/gpu.product=NVIDIA-A100-SXM4-40GB, taint nvidia.com/gpu
kubectl taint nodes "$@" nvidia.com/gpu=present:NoSchedule --overwrite
kubectl get nodes "$@" -L nvidia.com/gpu.product
