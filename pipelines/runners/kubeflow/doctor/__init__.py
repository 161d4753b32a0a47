"""`trainyard doctor --cluster`: what a cluster has and lacks for what `trainyard compile` writes."""
