"""Variants: smaller and faster forms of the trained model, released with it (docs/guides/compression.md)."""
