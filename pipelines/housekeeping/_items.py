from __future__ import annotations

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is kept: the newest `runs` and `releases` whatever their age, and everything younger than `days`.

    The defaults are those of the command and of the DAG.
    """

    runs: int = 20
    releases: int = 10
    days: float = 30

    @property
    def since(self) -> datetime.datetime:
        """Everything younger than this is kept."""
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=self.days)


@dataclasses.dataclass(frozen=True)
class Item:
    """Something to delete.

    Attributes:
        kind: run, artifact, evidence, release, leftover, compiled, log or rows.
        name: how people refer to it.
    """

    kind: str
    name: str
    path: str
    bytes: int
