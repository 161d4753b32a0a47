"""Pusher: a blessed model becomes a release in the model store."""
