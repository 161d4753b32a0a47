"""Whether anything has changed since a run that ended well; decided before TensorFlow is loaded.

MLMD's cache decides node by node, and to ask it costs the import of TFX, far more than the answer. So a run that ends well
leaves a memo: one key over everything that it depends on, and the size of everything that it made. While both still hold,
the next run is that run. docs/decisions/0005-memo-of-a-run.md has the figures.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from components.data_quality import waivers
from components.ingestion import sources
from components.sizes import content_size
from model_store import ModelStore, StoreError
from pipelines import home
from pipelines.results import ComponentResult, RunResult
from pipelines.workload import Workload

_FILE = ".memo.json"


def key(workload: Workload, folder: pathlib.Path, span: int) -> str:
    """SHA-256 over data, contracts, code, libraries and champion.

    Raises:
        InputError: the span's files cannot be read.
    """
    uri = workload.span_uri("{SPAN}", home.data_root())
    spans = sources.resolve_window(uri, span, workload.data.window, workload.data.format == "images")
    facts = {
        "workload": workload.model_dump(mode="json"),
        "spans": [[one.number, one.digest] for one in spans],
        "code": _digest([*_python(folder), *_ours()]),
        "contracts": _digest(sorted(_contracts(home.schemas_root() / workload.name))),
        "waivers": waivers.digest(home.schemas_root() / workload.name / waivers.FILE_NAME),  # of today
        "libraries": _digest([home.ROOT / "uv.lock"]),
        "champion": _champion(workload.name),
        "store": home.store_uri(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def remember(root: pathlib.Path, memo_key: str, result: RunResult, uris: Iterable[str]) -> None:
    """Keeps the result of a run, or of a part of one, and what each of its outputs should look like, beside its artifacts."""
    outputs = {uri: content_size(uri) for uri in uris}
    file = _file(root, result)
    partial = root / f"{file.name}.{os.getpid()}"
    partial.write_text(json.dumps({"key": memo_key, "outputs": outputs, "result": json.loads(result.to_json())}))
    partial.replace(file)


def recall(root: pathlib.Path, memo_key: str, result: RunResult) -> bool:
    """Fills `result` from the memo if nothing has changed and nothing of it is gone.

    A part of a run (`result.until`) is answered by a memo of that part, or of the whole.

    Returns:
        Whether it did.
    """
    return any(_recall(file, memo_key, result) for file in dict.fromkeys((root / _FILE, _file(root, result))))


def _file(root: pathlib.Path, result: RunResult) -> pathlib.Path:
    return root / ".".join([_FILE.removesuffix(".json"), *sorted(result.until), "json"])


def _recall(file: pathlib.Path, memo_key: str, result: RunResult) -> bool:
    try:
        memo = json.loads(file.read_text())
        if memo["key"] != memo_key or not _intact(memo["outputs"]) or not _released(memo["result"]):
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
    """The earlier run's pages: its record, written when it was over, names more of them than its memo."""
    try:
        record = json.loads((home.runs_root(past["workload"]) / past["run_id"] / "run.json").read_text())
        return dict(record["reports"])
    except (OSError, ValueError, KeyError, TypeError):
        return dict(past["reports"])


def _intact(outputs: dict[str, list[int]]) -> bool:
    return all(list(content_size(uri)) == expected for uri, expected in outputs.items())


def _released(past: dict[str, Any]) -> bool:
    if past["release"] is None:
        return True
    try:
        return bool(ModelStore(home.store_uri()).release(past["workload"], past["release"]["version"]))
    except StoreError:
        return False


def _champion(model: str) -> str:
    store = ModelStore(home.store_uri())
    try:
        version = store.labels(model).get("stable")
        return "" if version is None else f"{version}:{store.release(model, version).digest}"
    except StoreError:
        return ""


def _contracts(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    return (path for path in folder.rglob("*") if "__pycache__" not in path.parts)


def _ours() -> list[pathlib.Path]:
    return [path for room in ("components", "landing", "pipelines") for path in _python(home.ROOT / room)]


def _python(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".html", ".css", ".js", ".j2") and p.is_file())


def _digest(files: Iterable[pathlib.Path]) -> str:
    sha = hashlib.sha256()
    for path in files:
        sha.update(str(path).encode() + b"\0" + (path.read_bytes() if path.is_file() else b"") + b"\0")
    return sha.hexdigest()
