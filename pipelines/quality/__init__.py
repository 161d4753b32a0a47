"""Suites from contracts and data, and checks outside of a run: `trainyard quality draft | diff | check`."""
