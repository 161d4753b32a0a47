"""What labels.json says: which versions the labels point at and, in a signed store, that somebody with a key said so, and when.

Unsigned, a label is its version, `{"stable": 3}`, or version and share. Signed, the same lies below `labels`, beside a `counter` that
grows with every change: who may write to a store but has no key can neither move a label nor put an earlier labels.json back.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from typing import Any

from model_store._errors import StoreError
from model_store._memory import Memory
from model_store._release import canonical_json
from model_store._signing import LABELS, Keys
from spec import environment as env


@dataclasses.dataclass(frozen=True)
class Label:
    """Where a label points.

    Attributes:
        share: of the requests that name neither version nor label, how many the version answers (0 to 1). The stable
            version answers the rest.
    """

    version: int
    share: float = 0.0


@dataclasses.dataclass(frozen=True)
class Labelling:
    """The labels of a model at a time.

    Attributes:
        counter: larger in each later one; 0: they are not signed.
    """

    labels: Mapping[str, Label] = dataclasses.field(default_factory=dict)
    counter: int = 0


class LabelFile:
    """Reads and writes a model's labels.json.

    Args:
        keys: with keys that are trusted, what none of them signed is refused; with a private key, what is written is signed.
        memory: of the highest counters seen; what is older is refused where keys are trusted.
    """

    def __init__(self, keys: Keys, memory: Memory) -> None:
        self._keys, self._memory = keys, memory

    def parse(self, text: bytes, uri: str, model: str) -> Labelling:
        """Raises StoreError: it is damaged, nobody trusted signed it, or it is older than one that was seen."""
        try:
            document = json.loads(text)
            signed = "counter" in document and isinstance(document.get("labels"), dict)
            said = document["labels"] if signed else document
            labels = {str(label): _label(one) for label, one in sorted(said.items())}
            counter = _whole(document["counter"]) if signed else 0
        except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
            why = "it is empty" if not text.strip() else str(error)
            raise StoreError(
                f'{uri} is damaged ({why}). Write it anew as {{"stable": <version>}}; history.jsonl beside it says which.'
            ) from None
        if not self._keys.trusted:
            return Labelling(labels, counter)
        signature = document.get("signature") if signed else None
        if problem := self._keys.problem(_message(model, counter, said), signature, LABELS):
            raise StoreError(
                f"{uri}: {problem}. If the labels are right (`trainyard release history {model}`), whoever has the key signs them: "
                f"trainyard release sign {model}"
            )
        if (highest := self._memory.highest(uri, counter)) > counter:
            raise StoreError(
                f"{uri} is older than the labels that were followed before (counter {counter}, seen was {highest}): somebody put an "
                f"earlier file back. Put the newest back, or sign this one anew: trainyard release sign {model}"
            )
        return Labelling(labels, counter)

    def render(self, labels: Mapping[str, Label], before: Labelling, uri: str, model: str) -> bytes:
        """The file for labels that follow others.

        Raises:
            StoreError: the labels before are signed, and we have no key.
        """
        # Without a share a label is a plain number, as it was before there were shares: older readers understand it.
        said = {name: dataclasses.asdict(one) if one.share else one.version for name, one in labels.items()}
        if self._keys.private is None:
            if before.counter:
                raise StoreError(
                    f"{uri} is signed, and there is no key here to sign a change with. Name it in {env.SIGNING_KEY}, or make "
                    "the change where the key is."
                )
            return (json.dumps(said, sort_keys=True) + "\n").encode()
        # By the clock, so that it grows although somebody put an earlier file back; by one at least, whatever the clock says.
        counter = max(before.counter + 1, time.time_ns() // 1_000_000)
        signature = self._keys.sign(_message(model, counter, said), LABELS)
        return canonical_json({"counter": counter, "labels": said, "signature": signature}).encode()


def _message(model: str, counter: int, said: Mapping[str, Any]) -> str:
    return canonical_json({"model": model, "counter": counter, "labels": said})


def _label(said: Any) -> Label:
    version, share = (said["version"], said["share"]) if isinstance(said, dict) else (said, 0.0)
    if not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1. Received: {share!r}")
    return Label(_whole(version), float(share))


def _whole(number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"a version is a whole number from 1 on. Received: {number!r}")
    return number
