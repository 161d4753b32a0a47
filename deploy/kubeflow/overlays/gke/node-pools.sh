#!/bin/sh
# GPU node pools for the pools of pools.yaml. They scale to zero when no run needs them.
# Usage: node-pools.sh CLUSTER REGION
set -eu
cluster=$1 region=$2

l4_pool() {
  name=$1
  shift
  gcloud container node-pools create "$name" --cluster "$cluster" --region "$region" \
    --machine-type g2-standard-8 --accelerator type=nvidia-l4,count=1,gpu-driver-version=default \
    --disk-size 200 --num-nodes 0 --enable-autoscaling --total-min-nodes 0 --total-max-nodes 4 \
    --workload-metadata GKE_METADATA --shielded-secure-boot "$@"
}

# pool: gke-l4
# GKE labels the nodes cloud.google.com/gke-accelerator=nvidia-l4 and taints them nvidia.com/gpu=present:NoSchedule by itself.
l4_pool trainyard-l4

# pool: gke-l4-spot
# As above (cloud.google.com/gke-accelerator=nvidia-l4, taint nvidia.com/gpu); --spot labels them cloud.google.com/gke-spot=true.
# GKE taints Spot nodes with GPUs like any others: without this taint, gke-l4 would use them, too.
l4_pool trainyard-l4-spot --spot --node-taints cloud.google.com/gke-spot=true:NoSchedule
