"""ML Metadata, below both runners: connecting to it, its PostgreSQL client, what a run reads and mends in it, and deletion.

Import the modules by name: housekeeping and a pod that refuses its input use it without TFX, which `opening` and `upkeep` load.
"""
