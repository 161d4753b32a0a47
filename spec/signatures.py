"""Signatures of a served model that are known beyond the room that makes them."""

EXPLAIN = "explain"
"""What moved an answer (docs/guides/responsible.md)."""
