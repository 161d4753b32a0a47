"""The cases: each module has a `CASE` (see benchmarks/pipeline/case.py). To add one, write a file here."""
