"""Whether anything has changed since a run that ended well; decided before TensorFlow is loaded.

MLMD's cache decides node by node, and to ask it costs the import of TFX, far more than the answer. So a run that ends well
leaves a memo: one key over everything that it depended on, and the size of everything that it produced. While both hold,
the next run is that run. What it depended on is what its nodes have read, so a file that changes while TensorFlow loads counts as
changed. docs/decisions/0005-memo-of-a-run.md has the figures.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable
from typing import Any

import storage
from components import code_files
from components.data_quality import waivers
from components.ingestion import sources
from components.sizes import content_size
from model_store import STABLE, ModelStore, StoreError
from pipelines.runners.results import ComponentResult, RunResult
from quality.provenance import NOT_PRODUCT, ROOMS
from spec import home
from spec.workload import Workload

_FILE = ".memo.json"


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that a run's result depends on.

    Attributes:
        spans: (number, digest) of the window, oldest first.
        rest: SHA-256 over contracts, code, libraries, champion, and what workload.yaml says.
    """

    spans: tuple[tuple[int, str], ...]
    rest: str

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(dataclasses.astuple(self)).encode()).hexdigest()


def facts(workload: Workload, folder: pathlib.Path, span: int) -> Facts:
    """What a run that began now would depend on.

    Raises:
        InputError: the span's files cannot be read.
        ChangedError: one of them is being written.
    """
    uri = workload.span_uri("{SPAN}", home.data_root())
    spans = sources.resolve_window(uri, span, workload.data.window, workload.data.format == "images")
    return Facts(tuple((one.number, one.digest) for one in spans), rest(workload, folder))


def rest(workload: Workload, folder: pathlib.Path) -> str:
    """`Facts.rest`, as it is now."""
    schemas = home.schemas_root() / workload.name
    found = {
        "workload": workload.model_dump(mode="json"),
        "folder": str(folder),
        "code": code_files.digest(folder),
        "product": [code_files.digest(home.ROOT / room, without=NOT_PRODUCT) for room in ROOMS],
        "contracts": code_files.digest(schemas),
        "waivers": waivers.digest(schemas / waivers.FILE_NAME),  # of today
        "libraries": code_files.sha256(home.ROOT / "uv.lock"),
        "champion": _release(workload.name, STABLE),
        "releases": [_release(*one.split("@")) for one in workload.releases_used],
        "store": home.store_uri(),
    }
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def remember(root: pathlib.Path, known: Facts, result: RunResult, uris: Iterable[str]) -> None:
    """Keeps a run's result, and what each of its outputs should look like, beside its artifacts."""
    outputs = {uri: content_size(uri) for uri in uris}
    text = json.dumps(
        {"key": known.key, "spans": known.spans, "outputs": outputs, "result": json.loads(result.to_json())}
    )
    storage.write(str(_file(root, result)), text.encode())


def knows_data(root: pathlib.Path, known: Facts) -> bool:
    """Whether the last whole run that ended well was on the same data: the cache will hardly ask its gates again."""
    try:
        return bool(json.loads((root / _FILE).read_text())["spans"] == [list(one) for one in known.spans])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def recall(root: pathlib.Path, known: Facts, result: RunResult) -> bool:
    """Fills `result` from the memo if nothing has changed and no output is gone.

    A partial run (`result.until`) is answered by a memo of that part, or of the whole.

    Returns:
        Whether it did.
    """
    return any(_recall(file, known.key, result) for file in dict.fromkeys((root / _FILE, _file(root, result))))


def _file(root: pathlib.Path, result: RunResult) -> pathlib.Path:
    return root / ".".join([_FILE.removesuffix(".json"), *sorted(result.until), "json"])


def _recall(file: pathlib.Path, memo_key: str, result: RunResult) -> bool:
    try:
        memo = json.loads(file.read_text())
        if memo["key"] != memo_key or not _released(memo["result"]):
            return False
        if any(list(content_size(uri)) != expected for uri, expected in memo["outputs"].items()):
            return False
        past = memo["result"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    result.components = [
        ComponentResult(c["id"], "succeeded", 0.0, True, c["rows_in"], c["rows_out"]) for c in past["components"]
    ]
    for field in (
        "metrics",
        "bounds",
        "trivial",
        "blessed",
        "reasons",
        "warnings",
        "champion",
        "search",
        "variants",
        "release",
        "span",
        "quarantine",
        "unlabelled",
        "gates",
    ):
        setattr(result, field, past[field])
    result.reports, result.same_as = _reports(past), past["run_id"]
    result.status = "succeeded"
    return True


def _reports(past: dict[str, Any]) -> dict[str, str]:
    """The earlier run's pages: its run.json, written at the end, names more of them than its memo."""
    try:
        record = json.loads((home.runs_root(past["workload"]) / past["run_id"] / "run.json").read_text())
        return dict(record["reports"])
    except (OSError, ValueError, KeyError, TypeError):
        return dict(past["reports"])


def _released(past: dict[str, Any]) -> bool:
    if past["release"] is None:
        return True
    try:
        return bool(ModelStore(home.store_uri()).release(past["workload"], past["release"]["version"]))
    except StoreError:
        return False


def _release(model: str, reference: str) -> str:
    """`<version>:<digest>`; empty where there is none."""
    try:
        release = ModelStore(home.store_uri()).resolve(model, reference)
        return f"{release.version}:{release.digest}"
    except StoreError:
        return ""
