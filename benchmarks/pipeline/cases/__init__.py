"""The cases: each module has a `CASE` (benchmarks/pipeline/case.py says what that is). To add one, write a file here."""
