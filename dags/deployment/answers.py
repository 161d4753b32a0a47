"""Sends requests to a served version, and compares its answers."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dags.deployment.errors import DeploymentRefused

REGRESSION_TOLERANCE = 0.1
"""A predicted number counts as a changed answer when it moves by more than this share of the old one; of a list of numbers its length
as a vector, and of a list of classes, such as those of pixels, the share of other ones."""
RANKED_TOLERANCE = 0.5
"""Ranked items count as a changed answer when more than this share of them are others."""


@dataclass(frozen=True)
class Answers:
    """Predictions, and the latency of each in milliseconds."""

    predictions: list[Any]
    milliseconds: list[float]

    @property
    def median_ms(self) -> float:
        return statistics.median(self.milliseconds)


@dataclass(frozen=True)
class Comparison:
    """The canary's answers, compared with those of the stable release."""

    requests: int
    canary_version: int
    stable_version: int | None
    changed_share: float | None
    """Share of requests that the stable release answers differently; None if there is no stable release."""
    canary_median_ms: float
    stable_median_ms: float | None
    source: str = "golden"
    """golden: requests that came with the release; recent: from the model server's record."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def in_words(self) -> str:
        """One line for a log."""
        text = f"{self.requests} {self.source} requests, all answers finite, median {self.canary_median_ms:.1f} ms"
        if self.changed_share is None:
            return f"{text}. First deployment: there is no stable release to compare with."
        return (
            f"{text} (stable {self.stable_median_ms:.1f} ms), "
            f"{self.changed_share:.1%} of the answers differ from version {self.stable_version}"
        )


def ask(
    server: str, path: str, who: str, instances: Sequence[Any], headers: Mapping[str, str] | None = None
) -> Answers:
    """Sends one request per row, as a client would, over one kept-alive connection.

    Args:
        who: who is asked, for messages.

    Raises:
        DeploymentRefused: a row was refused.
    """
    import httpx

    predictions, milliseconds = [], []
    with httpx.Client(base_url=server, timeout=30, headers=headers) as client:
        # The first request opens the connection; its latency says nothing about the model.
        for instance in [instances[0], *instances]:
            started = time.perf_counter()
            reply = client.post(path, json={"instances": [instance]})
            milliseconds.append((time.perf_counter() - started) * 1000)
            if reply.status_code != 200:
                raise DeploymentRefused(f"{who} refused a sample request: {reply.status_code} {reply.text[:300]}")
            predictions.append(reply.json()["predictions"][0])
    return Answers(predictions[1:], milliseconds[1:])


def insist_finite(who: str, answers: Answers) -> None:
    """Raises DeploymentRefused if an answer is missing or is not a finite number."""
    predictions = answers.predictions
    if bad := [index for index, answer in enumerate(predictions) if not is_finite(answer)]:
        raise DeploymentRefused(
            f"{who} answered {len(bad)} of {len(predictions)} requests with NaN or infinity, "
            f"first at row {bad[0]}: {predictions[bad[0]]!r:.200}"
        )


def is_finite(answer: Any) -> bool:
    """Whether an answer contains no NaN and no infinity at any depth."""
    if isinstance(answer, dict):
        return bool(answer) and all(is_finite(value) for value in answer.values())
    if isinstance(answer, list):
        return all(is_finite(value) for value in answer)
    if isinstance(answer, float):
        return math.isfinite(answer)
    return answer not in (None, "NaN", "Infinity", "-Infinity")


def is_changed(old: Any, new: Any) -> bool:
    """Whether a client would see a different answer: another label, half of the items others, a number that moved by a tenth."""
    if isinstance(old, dict) and isinstance(new, dict):
        if "label" in old:
            return bool(old["label"] != new.get("label"))
        ranked = [key for key in old if _is_ranked(old[key])]  # what scores they have tells a client little
        numbers = [key for key in old if not _is_bytes(old[key])]  # one pixel makes other bytes of a picture
        return old.keys() != new.keys() or any(is_changed(old[key], new[key]) for key in ranked or numbers or old)
    if isinstance(old, list) and isinstance(new, list):
        return _is_list_changed(_leaves(old), _leaves(new))
    if isinstance(old, int | float) and isinstance(new, int | float):
        return abs(new - old) > REGRESSION_TOLERANCE * max(abs(old), 1e-9)
    return bool(old != new)


def _is_list_changed(old: list[Any], new: list[Any]) -> bool:
    if len(old) != len(new):
        return True
    if _is_ranked(old):
        return len(set(old) - set(new)) > RANKED_TOLERANCE * len(old)
    if all(isinstance(one, int) for one in [*old, *new]):
        return sum(one != other for one, other in zip(old, new, strict=True)) > REGRESSION_TOLERANCE * len(old)
    if all(isinstance(one, int | float) for one in [*old, *new]):
        return math.dist(old, new) > REGRESSION_TOLERANCE * max(math.hypot(*old), 1e-9)
    return any(map(is_changed, old, new))


def _is_ranked(answer: Any) -> bool:
    """Whether an answer lists texts or whole numbers, each once: the best items of a catalogue; empty texts fill it up."""
    if not isinstance(answer, list) or not all(isinstance(one, str) or type(one) is int for one in answer):
        return False
    items = [one for one in answer if one != ""]
    return len(items) > 1 and len(set(items)) == len(items)


def _is_bytes(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.keys() == {"b64"}


def _leaves(answer: list[Any]) -> list[Any]:
    """The values of nested lists."""
    return [leaf for one in answer for leaf in (_leaves(one) if isinstance(one, list) else [one])]
