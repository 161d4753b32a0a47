"""What moved an answer, by the columns' own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.codec.signature import TensorInfo
from serving.codec.tensors import Arrays

_ATTRIBUTION = "_attribution"  # after an input's name, among the outputs of the signature `explain`
_SCORES = ("baseline_score", "explained")


def explanations(outputs: Arrays, inputs: Mapping[str, TensorInfo]) -> list[dict[str, Any]]:
    """Of each row how far every column moved the score, the furthest first, and the two scores that they lie between."""
    moved = {info.shown: list(outputs[name + _ATTRIBUTION]) for name, info in inputs.items()}
    scores = {name: list(outputs[name]) for name in _SCORES}
    return [
        {
            "attributions": dict(
                sorted(((name, values[row]) for name, values in moved.items()), key=lambda pair: -abs(pair[1]))
            ),
            **{name: values[row] for name, values in scores.items()},
        }
        for row in range(len(scores[_SCORES[0]]))
    ]
