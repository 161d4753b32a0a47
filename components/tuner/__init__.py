"""Tuner: searches hyper-parameters on a part of train, before the Trainer fits the model with the best (docs/guides/search.md)."""
