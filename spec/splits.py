"""The splits of Examples, named in one place.

`train` is learnt from. `eval` is looked at while the model is made: when to stop, which hyperparameters, which decision
threshold. `test` is looked at once, by the gates and the reports: what is said of a model was measured there.
"""

from __future__ import annotations

TRAIN, EVAL, TEST = SPLITS = ("train", "eval", "test")
