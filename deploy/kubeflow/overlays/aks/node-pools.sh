#!/bin/sh
# GPU node pools for the pools of pools.yaml. They scale to zero when no run needs them.
# Usage: node-pools.sh GROUP CLUSTER
set -eu
group=$1 cluster=$2

gpu_pool() {
  az aks nodepool add --resource-group "$group" --cluster-name "$cluster" --os-sku Ubuntu --node-osdisk-size 200 \
    --node-count 0 --enable-cluster-autoscaler --min-count 0 --max-count 4 "$@"
}

# pool: aks-a100
# AKS labels the nodes node.kubernetes.io/instance-type=Standard_NC24ads_A100_v4 by itself.
gpu_pool --name a100 --node-vm-size Standard_NC24ads_A100_v4 --node-taints sku=gpu:NoSchedule

# pool: aks-t4-spot
# AKS labels the nodes node.kubernetes.io/instance-type=Standard_NC4as_T4_v3, and with --priority Spot it labels and taints
# them kubernetes.azure.com/scalesetpriority=spot(:NoSchedule).
gpu_pool --name t4spot --node-vm-size Standard_NC4as_T4_v3 --node-taints sku=gpu:NoSchedule \
  --priority Spot --eviction-policy Delete --spot-max-price -1
