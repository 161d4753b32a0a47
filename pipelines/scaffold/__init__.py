"""`trainyard new`: from a data file to a workload that trains."""
