"""From a request to a workload on disk: decide, write aside, check, move into place."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator

import pyarrow as pa

from components.columnar import is_list
from components.ingestion.contract import columns_of
from components.ingestion.images import IMAGE
from components.ingestion.labels import labelled, with_label
from components.ingestion.readers import read_file
from components.schema import read_schema
from components.tasks import Draft, LabelColumn, Unlabelled, find
from pipelines.scaffold import contracts, images, labelling, profiling, reading, spelling, story, taking, templates
from pipelines.scaffold.dividing import Division, divide
from pipelines.scaffold.profiling import Column, Kind, Profile
from pipelines.scaffold.request import Request
from pipelines.scaffold.taking import Taken
from quality.contracts import draft_all, merge, most_useful, suite_text
from spec import home
from spec.errors import InputError
from spec.tasks import LabelKind
from spec.workload import Label as DeclaredLabel
from spec.workload import Read, load_workload

_FEWEST_ROWS = 20


@dataclasses.dataclass(frozen=True)
class Created:
    """What was made.

    Attributes:
        span: the folder of span 1.
        story: lines for a person: what was decided, and why.
    """

    workload: pathlib.Path
    schemas: pathlib.Path
    test: pathlib.Path
    span: pathlib.Path
    label: Draft
    profile: Profile
    story: tuple[str, ...]


def create(request: Request) -> Created:
    """Makes a workload; on any failure nothing is left behind.

    Raises:
        InputError: the data or an option is at fault, or something of that name exists.
    """
    _check_name(request.name)
    targets = _targets(request.name)
    _refuse_existing(targets)
    files, format = reading.find_files(request.data)
    request = _with_label(request, format)
    taken = taking.take(files, format, request.read, request.label)
    decide = _decide_images if format == "images" else _decide
    table, label, profile, done = decide(request, files, format, taken)
    with _staged(targets) as stage:
        (stage["schemas"] / "schema.pbtxt").write_text(
            contracts.schema_text(profile.columns, label, table.num_rows), encoding="utf-8"
        )
        _lay_out(files, format, stage["span"])
        ignored, how = tuple(profile.ignored), taken.reading
        # Images are checked when a run reads them: to decode them all takes longer than everything else here.
        rows = table if format == "images" else _read_as_a_run(stage, request, label, format, ignored, how)
        division = Division() if format == "images" else divide(rows, label, request.time, request.key)
        content = templates.Content(request, format, label, profile, table, division, taken.reading)
        templates.write_workload(content, stage["workload"])
        stage["test"].write_text(templates.test_text(content), encoding="utf-8")
        suite, left_out = _suite(request, label, rows, stage)
        (stage["schemas"] / "expectations.json").write_text(suite, encoding="utf-8")
    load_workload(targets["workload"])
    categories = [column.name for column in profile.columns if column.kind is Kind.CATEGORY]
    done = [*taken.notes, *taking.about_words(files, format, categories, taken), *done]
    told = story.tell(content, targets, done, left_out)
    return Created(**targets, label=label, profile=profile, story=told)


def _with_label(request: Request, format: str) -> Request:
    """The request; of images the label has a name, and of a table without one nothing is said about it."""
    if request.label or format == "images":
        return dataclasses.replace(request, label=request.label or "label")
    about_it = {"positive": "--positive", "merge_labels": "--merge-labels", "drop_unlabelled": "--drop-unlabelled"}
    for field, option in about_it.items():
        if getattr(request, field):
            raise InputError(f"{option}: is about a label. Name it with --label, or leave {option} out.")
    return request


def _lay_out(files: list[pathlib.Path], format: str, span: pathlib.Path) -> None:
    """Copies the files into a span's folder."""
    for name, path in zip(_names_in_span(files), files, strict=True):
        target = span / path.parent.name / path.name if format == "images" else span / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)


def _names_in_span(files: list[pathlib.Path]) -> list[str]:
    """The files' own names; numbered where two are the same (`year=*/part-0.parquet`), or a run would pass one over."""
    names = [path.name for path in files]
    plain = len(set(names)) == len(names) and not any(name.startswith((".", "_")) for name in names)
    return names if plain else [f"{i:05d}-{name}" for i, name in enumerate(names)]


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise InputError(
            f"name: must be lower-case letters, digits and underscores, a letter first. Received: {name!r}."
        )


def _targets(name: str) -> dict[str, pathlib.Path]:
    workloads = home.workloads_root()
    folder = workloads / name
    at_home = workloads == (home.ROOT / "pipelines" / "workloads").absolute()
    tests = home.ROOT / "tests" / "workloads" if at_home else folder
    return {
        "workload": folder,
        "schemas": home.schemas_root() / name,
        "test": tests / f"test_{name}.py",
        "span": home.data_root() / name / "span-1",
    }


def _refuse_existing(targets: dict[str, pathlib.Path]) -> None:
    for path in targets.values():
        if path.exists():
            raise InputError(f"{path}: exists already, and is not overwritten. Choose another name, or remove it.")


def _decide_images(
    request: Request, files: list[pathlib.Path], format: str, taken: Taken
) -> tuple[pa.Table, Draft, Profile, list[str]]:
    for field in ("time", "key", "query", "item", "ignore"):
        if getattr(request, field):
            raise InputError(f"--{field}: images have no columns to name. Leave it out.")
    kind = find(request.task) if request.task else None
    if kind and (not kind.label_kind.has_classes or kind.label_optional):
        raise InputError(
            f"--task {kind.name}: of images, `trainyard new` drafts what learns to tell the classes that their folders are. Write "
            f"its workload by hand ({kind.guide})."
        )
    assert request.label is not None  # `_with_label` gave it a name
    table = images.table_of(files, request.label)
    labelling.check_values(table, request.label)
    column = LabelColumn(request.label, table.column(request.label))
    task, reason = labelling.choose_task(column, request.task)
    label = labelling.draft(task, column, request.positive)
    size = images.working_size(files)
    note = f"brought to {size} x {size} pixels"
    image = Column(IMAGE, Kind.IMAGE, "BYTES", 1.0, longest=size, note=note)
    return (
        table,
        label,
        Profile((image,), {}),
        [reason, *images.left_out(pathlib.Path(request.data).expanduser().absolute(), files)],
    )


def _decide(
    request: Request, files: list[pathlib.Path], format: str, taken: Taken
) -> tuple[pa.Table, Draft, Profile, list[str]]:
    table = reading.read_files(files, format, taken.codes, taken.reading)
    options = {
        "--label": (request.label,),
        "--time": (request.time,),
        "--key": (request.key,),
        "--query": (request.query,),
        "--item": (request.item,),
        "--ignore": request.ignore,
    }
    for option, names in options.items():
        for name in names:
            if name is not None:
                reading.require_column(table, name, option)
    _check_options(request)
    if table.num_rows < _FEWEST_ROWS:
        raise InputError(f"--data {request.data}: {table.num_rows} rows are too few; {_FEWEST_ROWS} are the least.")

    def read(as_text: Collection[str]) -> pa.Table:
        if format in ("jsonl", "json"):
            return reading.as_texts(table, as_text)
        return reading.read_files(files, format, sorted({*as_text, *taken.codes}), taken.reading) if as_text else table

    if request.label is None:
        left = table.drop_columns([name for name in table.column_names if name in (*request.ignore, request.time)])
        label, done = labelling.draft_unlabelled(request.task, Unlabelled(left, request.query, request.item))
        rows = read(profiling.text_columns(table))
    else:
        rows, label, done = _decide_label(request, request.label, table, format, read)
    for option, given, known in (("--query", request.query, label.query), ("--item", request.item, label.item)):
        if given and not known:
            raise InputError(f"{option} {given!r}: is not for task {label.task}. Leave it out.")
    # Where rows are ranked, the query says which belong together, and nothing about one of them.
    ids = [name for name in (label.query, label.item) if name and label.item]
    carried = [name for name in (request.time, request.key, label.query) if name and name not in ids]
    wanted = profiling.Wanted(
        carried=carried,
        ids=ids,
        ignored={**label.ignored, **dict.fromkeys(request.ignore, "you said so")},
        of_no_use=(Kind.DATE, Kind.TEXT) if label.templates else (),
    )
    return rows, label, profiling.profile(rows, request.label, wanted), done


def _decide_label(
    request: Request, name: str, table: pa.Table, format: str, read: Callable[[Collection[str]], pa.Table]
) -> tuple[pa.Table, Draft, list[str]]:
    """The rows that have a label, the task's draft, and what was done.

    Args:
        read: the table with some columns as texts.
    """
    takes_several = request.task is not None and find(request.task).label_kind is LabelKind.SEVERAL_CLASSES
    as_one_text = takes_several and not is_list(table.column(name).type)  # where they are lists, an empty one says it
    settled = functools.partial(
        spelling.settle, label=name, merge=request.merge_labels, drop=request.drop_unlabelled, empty_is_none=as_one_text
    )
    rows, _ = settled(table)
    labelling.check_values(rows, name)
    values = rows.column(name)
    task, reason = labelling.choose_task(column := LabelColumn(name, values), request.task)
    as_text = set(profiling.text_columns(rows))
    if labelling.is_text(column, task):
        as_text.add(name)
    if format in ("jsonl", "json") and not (pa.types.is_boolean(values.type) or column.is_list):
        _check_json_label(values, name, as_text)
    rows, done = settled(read(as_text))
    query = rows.column(request.query) if request.query else None
    label = labelling.draft(task, LabelColumn(name, rows.column(name), query), request.positive)
    return rows, dataclasses.replace(label, query=request.query) if task.needs_query else label, [*done, reason]


def _check_json_label(values: pa.ChunkedArray, name: str, as_text: Collection[str]) -> None:
    """In JSON a value is text or it is not; elsewhere a label of any type can be read as text."""
    if name in as_text and not pa.types.is_string(values.type):
        raise InputError(
            f"label {name!r}: JSON classes must be text, or whole numbers without gaps. "
            f"Received: {values[0].as_py()!r}. "
            'Write them as text, e.g. "yes" and "no", or as 0 and 1.'
        )


def _check_options(request: Request) -> None:
    if request.time and request.key:
        raise InputError("--time and --key: a split goes by one of them. Remove the other.")
    named = {"--time": request.time, "--key": request.key, "--query": request.query, "--item": request.item}
    for option, name in named.items():
        if name is not None and (name == request.label or name in request.ignore):
            other = "the label" if name == request.label else "ignored"
            raise InputError(f"{option} {name!r}: is {other} as well. Choose another column.")
    if request.label in request.ignore:
        raise InputError(f"--ignore {request.label!r}: is the label. Remove one of the two.")


@contextlib.contextmanager
def _staged(targets: dict[str, pathlib.Path]) -> Iterator[dict[str, pathlib.Path]]:
    """Places to write to, beside the targets; moved there when all is written, removed if anything fails."""
    stage: dict[str, pathlib.Path] = {}
    folders: list[pathlib.Path] = []
    done: list[pathlib.Path] = []
    try:
        for key, target in targets.items():
            beside = target.parent if target.parent != targets["workload"] else target.parent.parent
            beside.mkdir(parents=True, exist_ok=True)
            folder = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.stem}-", dir=beside))
            folder.chmod(0o755)
            folders.append(folder)
            stage[key] = folder / target.name if target.suffix else folder
        yield stage
        for key, target in targets.items():
            stage[key].rename(target)
            done.append(target)
    except BaseException:
        for target in reversed(done):
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        raise
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _read_as_a_run(
    stage: dict[str, pathlib.Path], request: Request, label: Draft, format: str, ignored: tuple[str, ...], how: Read
) -> pa.Table:
    """Reads the data once as every run will: what was drafted here must hold there."""
    schema = read_schema(str(stage["schemas"]))
    columns = columns_of(schema)
    if request.label is not None:
        declared = DeclaredLabel(
            column=request.label,
            merge_spellings=request.merge_labels,
            drop_unlabelled=request.drop_unlabelled,
            separator=label.separator,
        )
        columns = with_label(columns, schema, declared)
    batches: list[pa.RecordBatch] = []
    for path in sorted(stage["span"].iterdir()):
        try:
            batches += read_file(path, format, columns, ignored, reading=how)
        except InputError as error:
            raise error.renamed(path, path.name) from None
    rows = pa.Table.from_batches(batches, pa.schema([(column.name, column.type) for column in columns]))
    return rows.filter(labelled(rows.column(request.label))) if request.drop_unlabelled else rows


def _suite(request: Request, label: Draft, rows: pa.Table, stage: dict[str, pathlib.Path]) -> tuple[str, int]:
    """The suite that `trainyard quality draft` would write, and how many expectations it leaves out."""
    schema = read_schema(str(stage["schemas"]))
    keys = [request.key] if request.key else []
    drafted = draft_all(rows, schema, label.name, label.task, keys)
    kept = most_useful(drafted)
    suite, _ = merge(None, kept, request.name)
    return suite_text(suite), len(drafted) - len(kept)
