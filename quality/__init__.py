"""What data teams use: history, reports, digests, contracts drafted and checked, monitoring, lineage."""
