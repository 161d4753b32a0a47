"""What the supervisor and its workers tell each other, a line of JSON at a time."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from model_store import Label


@dataclasses.dataclass(frozen=True)
class StagedModel:
    """What workers need to know of a model.

    Attributes:
        labels: what to answer with.
        ahead: versions to load before a label points at them, so that all workers then switch together.
        folders: of the verified copies, by version.
        refused: why a version is not served, by version.
        versions: all releases.
        problem: why the labels cannot be read; empty if they can.
    """

    labels: dict[str, Label] = dataclasses.field(default_factory=dict)
    ahead: tuple[int, ...] = ()
    folders: dict[int, str] = dataclasses.field(default_factory=dict)
    refused: dict[int, str] = dataclasses.field(default_factory=dict)
    versions: tuple[int, ...] = ()
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Staged:
    """What the supervisor tells: the whole state, each time it has changed."""

    uri: str
    exists: bool = False
    models: dict[str, StagedModel] = dataclasses.field(default_factory=dict)

    def to_line(self) -> bytes:
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Staged:
        said = json.loads(line)
        return cls(said["uri"], said["exists"], {name: _model(one) for name, one in said["models"].items()})


@dataclasses.dataclass(frozen=True)
class Report:
    """What a worker tells, at least every second: that it is alive, and how far it is.

    Attributes:
        tried: the versions of each model that it has loaded or refused.
        began: whether it has tried everything once, and answers.
        why_not: why a model is not served, by model.
        served: the models that are served or asked for.
    """

    tried: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    began: bool = False
    why_not: dict[str, str] = dataclasses.field(default_factory=dict)
    served: list[str] = dataclasses.field(default_factory=list)

    def to_line(self) -> bytes:
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Report:
        return cls(**json.loads(line))


def _model(said: dict[str, Any]) -> StagedModel:
    return StagedModel(
        {label: Label(**one) for label, one in said["labels"].items()},
        tuple(said["ahead"]),
        {int(version): folder for version, folder in said["folders"].items()},
        {int(version): why for version, why in said["refused"].items()},
        tuple(said["versions"]),
        said["problem"],
    )
