"""Answers that are kept, for requests that come again: byte for byte, to the same version."""

from __future__ import annotations

import collections
import dataclasses
import hashlib

from serving.codec.tensors import size_of
from serving.metrics import Metrics
from serving.models.answers import Part

_OVERHEAD_BYTES = 512
_LARGEST_PART = 16
"""An answer of more than one in so many bytes of the cache would only displace others."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """An answer.

    Attributes:
        body: as it was sent.
        part: what it was made from, to be counted and recorded again.
        recorded: whether the record keeps it.
        predicts: whether it is a prediction.
    """

    body: bytes
    part: Part
    recorded: bool
    predicts: bool

    @property
    def nbytes(self) -> int:
        return len(self.body) + size_of(self.part.inputs) + size_of(self.part.outputs) + _OVERHEAD_BYTES


class AnswerCache:
    """The latest answers, up to a size.

    A release never changes, so an answer is right for as long as its version is asked; what nobody asks for goes first.

    Args:
        max_bytes: of all answers together.
    """

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self._max_bytes = max_bytes
        self._kept: collections.OrderedDict[bytes, Kept] = collections.OrderedDict()
        self._bytes = 0
        self._hits, self._misses = (metrics.cached.labels(outcome) for outcome in ("hit", "miss"))

    @staticmethod
    def key(model: str, version: int, *asked: bytes) -> bytes:
        """What a request's answer is kept under: a digest, since bodies are large.

        Args:
            asked: all of the request that its answer depends on.
        """
        parts = [f"{model}/{version}".encode(), *asked]
        return hashlib.sha256(b"".join(len(one).to_bytes(8, "big") + one for one in parts)).digest()

    def get(self, key: bytes) -> Kept | None:
        found = self._kept.get(key)
        if found is None:
            self._misses.inc()
            return None
        self._kept.move_to_end(key)
        self._hits.inc()
        return found

    def put(self, key: bytes, answer: Kept) -> None:
        size = answer.nbytes
        if size > self._max_bytes // _LARGEST_PART or key in self._kept:
            return
        self._kept[key] = answer
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.nbytes
