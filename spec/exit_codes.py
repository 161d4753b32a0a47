"""What a command's exit code says. Airflow and Kubeflow act on it: they retry what may be retried, and nothing else."""

from __future__ import annotations

OK = 0
MAY_RETRY = 1
"""The machine's or our own trouble, or something does not answer; also a run that failed where it was only looked at."""
FIX_INPUT = 2
"""Data, contract, code of the workload or configuration are to be mended; trying again finds the same."""
INTERRUPTED = 130
"""Ctrl-C, as shells say it: 128 and the signal's number."""
