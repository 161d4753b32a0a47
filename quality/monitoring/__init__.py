"""A model in use: what it is asked, against what it was trained on; what it answers, against the labels that come later."""

from quality.monitoring._breach import Breach, breach_of
from quality.monitoring._feedback import Taken, landed, take_in
from quality.monitoring._look import Look, look, plain_versions, series
from quality.monitoring._saving import save, tell_server
from quality.monitoring._skew import SkewRequest, check_skew, drift_series
from quality.monitoring._training import Examples, ExamplesOf

__all__ = [
    "Breach",
    "Examples",
    "ExamplesOf",
    "Look",
    "SkewRequest",
    "Taken",
    "breach_of",
    "check_skew",
    "drift_series",
    "landed",
    "look",
    "plain_versions",
    "save",
    "series",
    "take_in",
    "tell_server",
]
