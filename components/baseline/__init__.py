"""Baseline: what a simple method reaches on the same data, so that a person sees what the network is worth."""
