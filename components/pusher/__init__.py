"""Pusher: a blessed model becomes a release in the model store."""

from components.pusher.component import Pusher

__all__ = ["Pusher"]
