"""The fixtures of a yard of its own."""

from tests.yard import places, postgres, restored, yard

__all__ = ["places", "postgres", "restored", "yard"]
