"""Where the result of a look at a served model goes: the history, its pages, and what the model server shows Prometheus."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import storage
from quality.history import History, Validation
from spec import home


def save(validation: Validation) -> pathlib.Path:
    """Writes the validation into the history and updates its workload's pages; returns its page."""
    from quality.reports import build, page_of

    site = home.home() / "reports"
    with History.open() as history:
        history.record(validation)
        build(history, site, only=validation.workload)
    return page_of(site, validation.workload, validation.id)


def tell_server(record: pathlib.Path, model: str, name: str, found: Mapping[str, Any]) -> None:
    """Leaves a look's figures beside the record, where the model server finds them for /metrics (serving/metrics/monitored.py)."""
    path = record / model / f"{name}.json"
    storage.write(str(path.absolute()), json.dumps(found, allow_nan=False).encode())
