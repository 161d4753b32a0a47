"""What a supervisor tells a consumer that it starts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Self


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a consumer is told; it travels as JSON.

    Attributes:
        name: of the consumer, in the queue.
        queue: URI, without a secret.
        out: folder or URL of the results.
        release: a label or a version.
        attempts: how often an item is tried.
        drain: whether to end when the queue is empty.
        allowed: beginnings of the URIs that items may name.
        scratch: folder of this process alone.
        parent: process id of the supervisor, with which the consumer dies.
    """

    name: str
    queue: str
    out: str
    model: str
    release: str
    attempts: int
    drain: bool
    allowed: Sequence[str]
    scratch: str
    parent: int

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))
