"""Evaluator: metrics by slice, thresholds, champion against challenger."""
