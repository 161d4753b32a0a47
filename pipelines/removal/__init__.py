"""`trainyard remove`: a workload and everything that was made from it on this machine."""
