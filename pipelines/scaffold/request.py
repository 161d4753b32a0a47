"""What `trainyard new` was asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Request:
    """The options of `trainyard new`."""

    name: str
    data: str
    label: str | None = None
    task: str | None = None
    owner: str = "ml-platform"
    description: str = ""
    time: str | None = None
    key: str | None = None
    ignore: tuple[str, ...] = ()
    positive: str | None = None
    query: str | None = None
    item: str | None = None
    read: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # fields of data.read
    merge_labels: bool = False
    drop_unlabelled: bool = False
