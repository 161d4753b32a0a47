"""`trainyard new`: from a data file with a label to a workload that trains."""
