"""`trainyard feedback`: labels that come later, kept beside the record of the requests that they are about.

A file that was taken in becomes a segment, `<record>/<model>/labels/<time>-<digest>.parquet`: request_id, row, label, at. Taking the
same file in again changes nothing; of two labels for one row the later one counts. A segment goes once it is older than every
recorded request.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import io
import pathlib
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

import storage
from components.tasks import Task, class_indices
from landing import glob
from model_store import ModelStore
from quality.monitoring._described import described
from spec import home
from spec.errors import InputError
from spec.request_ids import REQUEST_ID, WORDS
from spec.tasks import LabelKind
from spec.words import one_line, some_of
from spec.workload import Workload

REQUEST, ROW, LABEL, AT = "request_id", "row", "label", "at"
_FOLDER = "labels"
_CLOCKS_DIFFER = datetime.timedelta(minutes=5)
_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Taken:
    """What became of a file.

    Attributes:
        kept: rows whose label was kept.
        refused: rows that were not; the file's other rows are kept all the same.
        problems: a line for each of the first refused rows; or one, why the file cannot be read at all.
        known: whether the same file was taken in before, so that nothing was kept of it now.
    """

    file: str
    kept: int = 0
    refused: int = 0
    problems: tuple[str, ...] = ()
    known: bool = False


def landed(workload: Workload) -> list[str]:
    """The files with labels that have landed where `monitoring.live.feedback` says, and are no longer being written."""
    uri = workload.monitoring.live.feedback.replace("{DATA}", home.data_uri()).replace("{WORKLOAD}", workload.name)
    with storage.store_trouble(uri):
        files, path = storage.filesystem(uri, fresh=True)
        found = glob(files, path)
    rested = time.time() - workload.schedule.quiet_seconds
    protocol = f"{uri.split('://')[0]}://" if storage.is_remote(uri) else ""
    return [
        f"{protocol}{name}"
        for name, info in found.items()
        if info.get("type") == "file"
        and pathlib.PurePath(name).suffix.lower() in _READERS
        and not (isinstance(at := info.get("mtime"), float) and at > rested)
    ]


def take_in(workload: Workload, record: pathlib.Path, files: Sequence[str]) -> list[Taken]:
    """Keeps the labels in some files, each as far as it can be used.

    Args:
        record: the model server's `--record`.
        files: paths or URLs; CSV, JSON lines or Parquet, by the end of their name.

    Raises:
        InputError: there is no release whose classes the labels could be.
    """
    task = _task(workload)
    folder = record / workload.name / _FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    taken = [_take_in(file, task, folder) for file in files]
    _expire(record / workload.name)
    return taken


def read_labels(record: pathlib.Path, model: str) -> pa.Table:
    """All labels that are kept: request_id, row, label and at; the last label of each row alone."""
    tables = [pq.read_table(path) for path in sorted((record / model / _FOLDER).glob("*.parquet"))]
    if not tables:
        return pa.table({name: [] for name in (REQUEST, ROW, LABEL, AT)})
    kinds = {table.schema.field(LABEL).type for table in tables}
    if len(kinds) > 1:  # the workload's task was another one
        tables = [table for table in tables if table.schema.field(LABEL).type == tables[-1].schema.field(LABEL).type]
    frame = pa.concat_tables(tables).to_pandas().sort_values(AT, kind="stable")
    return pa.Table.from_pandas(frame.drop_duplicates([REQUEST, ROW], keep="last"), preserve_index=False)


def kept_labels(record: pathlib.Path, model: str) -> int:
    """How many rows of labels are kept, those too that a later one has replaced."""
    return sum(pq.read_metadata(path).num_rows for path in (record / model / _FOLDER).glob("*.parquet"))


def _task(workload: Workload) -> Task:
    """The task, with the classes of every release in service: a label may be about any of them."""
    store = ModelStore(home.store_uri())
    served = [described(store.release(workload.name, version)) for version in set(store.labels(workload.name).values())]
    if not served:
        served = [described(store.resolve(workload.name, "stable"))]  # which says that there is none
    kind = served[0].kind
    if not kind.takes_feedback():
        raise InputError(f"{workload.name}: answers of task {kind.name} cannot be held against a label a row.")
    kind.classes = tuple(dict.fromkeys(name for one in served for name in one.classes))
    return kind


def _take_in(file: str, task: Task, folder: pathlib.Path) -> Taken:
    try:
        content, table = _read(file)
    except InputError as error:  # the others are taken in all the same
        return Taken(file, problems=(error.problem,))
    digest = hashlib.sha256("\0".join(task.classes).encode() + content).hexdigest()[:16]
    if next(folder.glob(f"*-{digest}.parquet"), None):
        return Taken(file, known=True)
    now = datetime.datetime.now(datetime.UTC)
    columns, problems = _checked(table, task, now)
    fine = np.array([not problem for problem in problems], bool)
    kept = pa.table(columns).filter(pa.array(fine))
    sink = io.BytesIO()
    pq.write_table(kept, sink)
    path = folder / f"{now:%Y%m%dT%H%M%S.%f}-{digest}.parquet"
    storage.write(str(path), sink.getvalue())
    path.chmod(0o600)
    refused = [f"row {place}: {problem}" for place, problem in enumerate(problems, 1) if problem]
    return Taken(file, kept.num_rows, len(refused), tuple(refused[:_SHOWN]))


def _read(file: str) -> tuple[bytes, pa.Table]:
    reader = _READERS.get(pathlib.PurePath(file).suffix.lower())
    if reader is None:
        raise InputError(f"expected a file that ends in {', '.join(_READERS)}. Rename or convert it.", file=file)
    try:
        with storage.open_file(file) as opened:
            content = opened.read()
    except FileNotFoundError:
        raise InputError("there is no such file.", file=file) from None
    try:
        table = reader(content)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot be read: {one_line(error, 200)}. Mend it, or write it anew as its name says.", file=file
        ) from None
    if missing := [name for name in (REQUEST, LABEL) if name not in table.column_names]:
        raise InputError(
            f"has no column {missing[0]!r}. It needs request_id and label, and may have row (from 0, within the request) and at. "
            f"Received: {some_of(table.column_names, 10)}.",
            file=file,
        )
    return content, table


def _csv(content: bytes) -> pa.Table:
    texts = dict.fromkeys((REQUEST, ROW, LABEL, AT), pa.string())
    convert = pa.csv.ConvertOptions(column_types=texts, strings_can_be_null=True, null_values=[""])
    return pa.csv.read_csv(io.BytesIO(content), convert_options=convert)


def _json_lines(content: bytes) -> pa.Table:
    return pa.json.read_json(io.BytesIO(content))


def _parquet(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


_READERS: dict[str, Callable[[bytes], pa.Table]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}


def _checked(table: pa.Table, task: Task, now: datetime.datetime) -> tuple[dict[str, pa.Array], list[str]]:
    """The columns as they are kept, and for each row what is wrong with it, or an empty text."""
    rows = table.num_rows
    problems = [""] * rows

    def refuse(wrong: np.ndarray, why: str, received: pa.Array) -> None:
        for place in np.flatnonzero(wrong):
            problems[place] = problems[place] or f"{why} Received: {one_line(received[int(place)].as_py(), 80)!r}."

    ids = _column(table, REQUEST)
    texts = ids.cast(pa.string())
    fits = pc.fill_null(pc.match_substring_regex(texts, f"^(?:{REQUEST_ID})$"), False)
    refuse(~np.asarray(fits), f"request_id: expected {WORDS}, as the model server answered it.", ids)

    given = _column(table, ROW) if ROW in table.column_names else pa.array([0] * rows)
    places = pd.to_numeric(given.to_pandas(), errors="coerce").where(~np.asarray(pc.is_null(given)), 0)
    whole = np.asarray((places >= 0) & (places < 2**31) & (places % 1 == 0))
    refuse(~whole, "row: expected the row's number within the request, from 0.", given)

    when = _column(table, AT) if AT in table.column_names else pa.nulls(rows, pa.string())
    times = pd.to_datetime(when.to_pandas(), errors="coerce", utc=True, format="ISO8601")
    no_time = np.asarray(times.isna()) & ~np.asarray(pc.is_null(when))
    refuse(no_time, "at: expected a time such as 2026-01-31T09:30:00Z.", when)
    refuse(np.asarray(times > now + _CLOCKS_DIFFER), "at: lies in the future.", when)

    labels = _column(table, LABEL)
    refuse(np.asarray(pc.is_null(labels)), "label: is missing.", labels)
    kept, wrong, expected = _labels(labels, task)
    refuse(wrong, f"label: expected {expected}.", labels)
    columns = {
        REQUEST: texts,
        ROW: pa.array(np.where(whole, places, 0).astype(np.int32)),
        LABEL: kept,
        AT: pa.array(times.fillna(pd.Timestamp(now)).astype("datetime64[ms, UTC]"), pa.timestamp("ms", "UTC")),
    }
    return columns, problems


def _column(table: pa.Table, name: str) -> pa.Array:
    return table.column(name).combine_chunks()


def _labels(labels: pa.Array, task: Task) -> tuple[pa.Array, np.ndarray, str]:
    """Labels as they are kept, which of them are wrong, and what was expected of them."""
    if task.label_kind is LabelKind.NUMBER:
        numbers = pd.to_numeric(labels.to_pandas(), errors="coerce").to_numpy(np.float64)
        least = -np.inf if task.least_label is None else task.least_label
        wrong = ~(np.isfinite(numbers) & (numbers >= least))
        return pa.array(numbers), wrong, "a number" + (f" of {least:g} or more" if np.isfinite(least) else "")
    classes = f"one of the model's classes ({some_of([repr(name) for name in task.classes], 10)})"
    if task.label_kind is LabelKind.SEVERAL_CLASSES:
        found = [_classes(value if isinstance(value, list) else None, task.classes) for value in labels.to_pylist()]
        wrong = np.array([one is None for one in found], bool)
        return pa.array(found, pa.list_(pa.string())), wrong, f"a list, of JSON lines or Parquet, each {classes}"
    encoded = labels.dictionary_encode()
    known = [next(iter(_classes([value], task.classes) or ()), None) for value in encoded.dictionary.to_pylist()]
    named = pa.array(known, pa.string()).take(encoded.indices)
    return named, np.asarray(pc.is_null(named)), classes


def _classes(values: list[object] | None, classes: Sequence[str]) -> list[str] | None:
    """Values as the classes that they name; None where one names none."""
    try:
        return None if values is None else [classes[i] for i in class_indices(pa.array(values), classes)]
    except (InputError, pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def _expire(folder: pathlib.Path) -> None:
    """Removes segments of labels that came before the oldest request that is still recorded: they are about none of them."""
    oldest = min((path.name for path in folder.glob("*.jsonl")), default="")
    for path in (folder / _FOLDER).glob("*.parquet"):
        if path.name.split("-")[0] < oldest.split("-")[0]:
            path.unlink(missing_ok=True)
