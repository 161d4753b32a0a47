"""The text of a new workload's files. They are meant to be read and edited, so each says what to change and why."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.ingestion.dates import Dates
from components.schema import MASKED
from components.tasks import Draft
from pipelines.scaffold.dividing import Division
from pipelines.scaffold.profiling import Column, Kind, Profile
from pipelines.scaffold.request import Request
from spec.words import one_line
from spec.workload import PLAIN, Read

_FOLDER = pathlib.Path(__file__).parent / "files"
_SAMPLE_ROWS = 6
_MOST_WORDS = 256
_STEPS = 4000  # a small network on a table has mostly converged by then; early stopping ends it sooner
_FEWEST_STEPS = 200  # however few epochs a task has for few rows
_MOST_SLICES = 2
_MOST_ONE_HOT = 200
_AMOUNTS = (Kind.NUMBER, Kind.SKEWED)
_OF_CATEGORIES = (Kind.BOOLEAN, Kind.CODE, Kind.CATEGORY, Kind.IDENTIFIER)
_MOST_IGNORED = 50  # more are not named one by one
_WIDTH = 90  # of a list, so that its name fits on the line too
_INDENT = "    "
_DATES = """\
# Dates in ISO 8601: weekday and month as categories, day of the year and hour as places on a circle, age as a number,
# and how long it is from each to the next.
"""
_TEXTS = "# Texts that somebody wrote: their first words, numbered.\n"
_TEXTS_LIMITS = """TEXT_LENGTH = @LENGTH@
WORDS_LIMIT = 20_000
"""
_SCHEDULE = """
  # The learning rate falls to nearly nothing over the epochs: fewer of them, and it falls faster.
  learning_rate_schedule: cosine
  weight_decay: 0.01"""


@dataclasses.dataclass(frozen=True)
class Content:
    """All that the files are made from."""

    request: Request
    format: str
    label: Draft
    profile: Profile
    table: pa.Table
    division: Division
    reading: Read = PLAIN


def write_workload(content: Content, folder: pathlib.Path) -> None:
    """Writes workload.yaml, features.py, model.py and __init__.py."""
    (folder / "workload.yaml").write_text(_workload_text(content), encoding="utf-8")
    (folder / "features.py").write_text(_features_text(content), encoding="utf-8")
    (folder / "model.py").write_text(_model_text(content), encoding="utf-8")
    (folder / "__init__.py").write_text("", encoding="utf-8")


def test_text(content: Content) -> str:
    """The workload's test, with a few rows of its own data in it."""
    label, outputs = content.label, content.label.outputs
    if _image(content):
        return _fill("test_images.py.txt", NAME=content.request.name, OUTPUTS=str(outputs))
    names = [column.name for column in content.profile.columns]
    sample = content.table.slice(0, _SAMPLE_ROWS)
    names += [label.name] if label.name else []
    rows = {name: _plain_values(sample.column(name)) for name in names}
    for column in content.profile.columns:
        if column.format:  # as ingestion hands it on
            rows[column.name] = Dates(column.format)(sample.column(column.name).cast(pa.string())).to_pylist()
        if column.personal and column.name in rows:  # the file goes into git
            rows[column.name] = [None if value is None else MASKED for value in rows[column.name]]
    length = "len(next(iter(ROWS.values())))"
    shape = f"len(outputs) == {length}" if label.templates else f"outputs.shape == ({length}, {outputs})"
    return _fill("test.py.txt", NAME=content.request.name, ROWS=_literal(rows), SHAPE=shape)


def _file(name: str, folder: str = "") -> str:
    """A template; that of the task's own folder, where there is one."""
    own = _FOLDER / folder / name
    return (own if own.is_file() else _FOLDER / name).read_text(encoding="utf-8")


def _fill(template: str, folder: str = "", **values: str) -> str:
    text = _file(template, folder)
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _features_text(content: Content) -> str:
    columns = [c for c in content.profile.columns if not c.personal or c.name in _personal_features(content)]
    if image := _image(content):
        return _fill(
            "features_images.py.txt", PREFIX=_prefix(content.label), NAME=content.request.name, SIZE=str(image.longest)
        )

    def listed(*kinds: Kind) -> str:
        return _literal([c.name for c in columns if c.kind in kinds])

    dates, prose = (any(c.kind is kind for c in columns) for kind in (Kind.DATE, Kind.TEXT))
    return (
        _fill(
            "features.py.txt",
            content.label.templates,
            ITERTOOLS="import itertools\n" if dates else "",
            DATES=f"\n{_DATES}DATES: list[str] = {listed(Kind.DATE)}\n" if dates else "",
            TEXTS=f"\n{_TEXTS}TEXTS: list[str] = {listed(Kind.TEXT)}\n{_TEXTS_LIMITS}" if prose else "",
            LENGTH=str(_text_length(content)),
            USE_DATES=_file("use_dates.py.txt") if dates else "",
            USE_TEXTS=_file("use_texts.py.txt") if prose else "",
            DATES_CODE=_file("dates.py.txt") if dates else "",
            TEXTS_CODE=_file("texts.py.txt") if prose else "",
            PREFIX=_prefix(content.label),
            NAME=content.request.name,
            NUMERIC=listed(Kind.NUMBER),
            SKEWED=listed(Kind.SKEWED),
            BOOLEAN=_literal({c.name: c.values[1] for c in columns if c.kind is Kind.BOOLEAN}),
            CODES=listed(Kind.CODE),
            CATEGORICAL=listed(Kind.CATEGORY, Kind.IDENTIFIER),
            ONE_HOT=listed(*_OF_CATEGORIES),
            CATEGORIES=str(_categories(content)),
            QUERY=_literal(content.label.query),
            ITEM=_literal(content.label.item),
            QUERY_NUMBERS=_literal(_said(content, content.label.of_query, *_AMOUNTS)),
            ITEM_NUMBERS=_literal(_said(content, content.label.of_item, *_AMOUNTS)),
            QUERY_CATEGORIES=_literal(_said(content, content.label.of_query, *_OF_CATEGORIES)),
            ITEM_CATEGORIES=_literal(_said(content, content.label.of_item, *_OF_CATEGORIES)),
        ).rstrip()
        + "\n"
    )


def _personal_features(content: Content) -> list[str]:
    """The personal columns without which there is no model: those of a query and of an item, or all where there are no others."""
    label, features = content.label, [c for c in content.profile.columns if c.kind is not Kind.CARRIED]
    needed = {label.query, label.item, *label.of_query, *label.of_item}
    return [c.name for c in features if c.personal and (c.name in needed or all(one.personal for one in features))]


def _model_text(content: Content) -> str:
    prose = any(column.kind is Kind.TEXT for column in content.profile.columns)
    if _image(content):
        return _file("model_images.py.txt")
    label = content.label
    ids = {"QUERY": _literal(label.query), "ITEM": _literal(label.item)}
    return _fill("model_texts.py.txt" if prose else "model.py.txt", label.templates, PREFIX=_prefix(label), **ids)


def _image(content: Content) -> Column | None:
    return next((column for column in content.profile.columns if column.kind is Kind.IMAGE), None)


def _text_length(content: Content) -> int:
    """Words to read of each text: enough for nearly all of them, and no more than a small network has use for."""
    counts = [
        pc.quantile(pc.count_substring_regex(content.table.column(column.name).drop_null(), r"\S+"), 0.95)[0].as_py()
        for column in content.profile.columns
        if column.kind is Kind.TEXT
    ]
    return max(8, min(_MOST_WORDS, math.ceil(max(counts, default=0) / 8) * 8))


def _categories(content: Content) -> int:
    """How many distinct values the columns of categories have; at most as many as a row is to be made wider by."""
    named = [column.name for column in content.profile.columns if column.kind in _OF_CATEGORIES]
    found = sum(pc.count_distinct(content.table.column(name), mode="all").as_py() for name in named)
    return min(_MOST_ONE_HOT, found)


def _prefix(label: Draft) -> str:
    """Of the features' names, where one of them would be the label's."""
    return (
        "the_"
        if re.fullmatch(r"numbers|ranks|missing|categories|cycles|pixels|(words|known)_\d+", label.name or "")
        else ""
    )


def _literal(value: Any, indent: str = "") -> str:
    """Python source as ruff would format it: one entry a line where a line would be too long."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value:
        return repr(value)
    if isinstance(value, dict):
        entries = [f"{_literal(k)}: {_literal(v, indent + _INDENT)}" for k, v in value.items()]
        return "{\n" + "".join(f"{indent}{_INDENT}{entry},\n" for entry in entries) + indent + "}"
    entries = [_literal(v) for v in value]
    line = f"[{', '.join(entries)}]"
    if len(line) <= _WIDTH - len(indent):
        return line
    return "[\n" + "".join(f"{indent}{_INDENT}{entry},\n" for entry in entries) + indent + "]"


def _plain_values(column: pa.ChunkedArray) -> list[Any]:
    values = column.to_pylist()
    return [float(v) if pa.types.is_decimal(column.type) and v is not None else v for v in values]


def _workload_text(content: Content) -> str:
    request, label = content.request, content.label
    batch, epochs, patience = _schedule(content)
    description = request.description or label.purpose or f"Predicts {label.name}."
    return _fill(
        "workload.yaml.txt",
        NAME=request.name,
        TASK=label.task,
        OWNER=_yaml(request.owner),
        DESCRIPTION=_yaml(description),
        FORMAT=content.format
        + (
            "\n  uri: '{DATA}/{WORKLOAD}/span-{SPAN}/*/*' # an image lies in its class's folder"
            if _image(content)
            else ""
        ),
        READ=_read(content.reading),
        HYPERPARAMETERS=_hyperparameters(content),
        LABEL=_label(request, label),
        QUERY=f"\n  query: {_yaml(label.query)}" if label.query else "",
        PERSONAL=_personal(content),
        OPTIONS=_options(content),
        SPLIT=_split(request, content.division),
        IGNORE=_ignore(content.profile),
        BATCH=str(batch),
        EPOCHS=str(epochs),
        PATIENCE=str(patience),
        SCHEDULE=_SCHEDULE if _falls(content) else "",
        TRAINING=label.training,
        TRIVIAL=label.trivial,
        TEST_ROWS=f"{label.test_rows:,.0f}",
        BARS="\n".join(f"    - {bar}" for bar in label.bars),
        SLICES=_slices(content),
        MAX_LOSS=repr(label.max_loss),
    )


def _read(reading: Read) -> str:
    """What is not as the defaults have it, as `data.read`."""
    fields = {
        name: getattr(reading, name) for name in Read.model_fields if getattr(reading, name) != getattr(PLAIN, name)
    }
    lines = [f"    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return (
        "\n".join(["\n  # How the files are written; every command reads them so.", "  read:", *lines]) if lines else ""
    )


def _hyperparameters(content: Content) -> str:
    values: dict[str, float] = {"learning_rate": 0.004, "hidden_units": 64, "embedding_size": 8, "dropout": 0.2}
    if _image(content):
        values = {"learning_rate": 0.001, "filters": 32, "blocks": 4, "dropout": 0.3}
    elif not _is_plain(content):
        values |= {"learning_rate": 0.001, "word_embedding_size": 64, "dropout": 0.4}
    elif content.label.templates:
        values = {}
    else:
        # By how much the columns' weights are drawn to 0: as chance does to a mean, by the root of the rows.
        values["column_penalty"] = round(min(0.01, 0.5 / math.sqrt(content.table.num_rows)), 4)
    if _is_plain(content):
        values |= content.label.hyperparameters
    return "\n".join(f"    {name}: {value}" for name, value in values.items())


def _is_plain(content: Content) -> bool:
    """Whether it is a table of numbers and categories, without images or texts."""
    return not any(column.kind in (Kind.IMAGE, Kind.TEXT) for column in content.profile.columns)


def _falls(content: Content) -> bool:
    """Whether the learning rate does: a text is learnt in a few epochs, and at a constant rate."""
    return _is_plain(content) or _image(content) is not None


def _schedule(content: Content) -> tuple[int, int, int]:
    """Batch size, epochs and patience by the number of rows."""
    rows = content.table.num_rows
    sizes = ((32, 5_000), (128, 100_000), (512, 1_000_000), (2048, math.inf))
    batch = next(size for size, most in sizes if rows <= most)
    epochs = min(200, max(10, math.ceil(_STEPS * batch / rows)))
    # Where the learning rate falls, the best epochs are the late ones.
    if _is_plain(content):
        epochs = min(epochs, max(content.label.most_epochs, math.ceil(_FEWEST_STEPS * batch / rows)))
    elif _image(content):
        epochs = min(epochs, 20)
    return batch, epochs, max(3, epochs // (3 if _falls(content) else 10))


def _positive(label: Draft) -> str:
    if label.positive is None:
        return ""
    reason = one_line(label.positive.reason)
    return f"\n    # The positive class: {reason}.\n    positive_class: {_yaml(label.positive.name)}"


def _label(request: Request, label: Draft) -> str:
    if label.name is None:
        return ""
    between = f"\n    separator: {_yaml(label.separator)} # between the classes of a row" if label.separator else ""
    merge = "\n    merge_spellings: true # `YES` and `yes ` are the class `yes`"
    drop = "\n    drop_unlabelled: true # rows without a label are left out, and counted"
    how = between + merge * request.merge_labels + drop * request.drop_unlabelled
    return f"\n  label:\n    column: {_yaml(label.name)}{_positive(label)}{how}"


def _split(request: Request, division: Division) -> str:
    lines = [
        f"    eval_fraction: {division.eval_fraction:g} # looked at while the model is made",
        f"    test_fraction: {division.test_fraction:g} # judges it, and is looked at by nothing else",
    ]
    if division.seed:
        lines.append(f"    seed: {division.seed} # of fifty divisions the one that spreads the classes best; keep it")
    if request.time:
        lines.append(f"    time: {_yaml(request.time)} # the newest rows are test, those before them eval")
    if request.key:
        lines.append(f"    key: {_yaml(request.key)} # all rows of one key lie in one split")
    return "\n".join(lines)


def _ignore(profile: Profile) -> str:
    if not profile.ignored:
        return "  # Columns of the files that are not read: ignore: [column, ...]"
    if len(profile.ignored) > _MOST_IGNORED:
        return f'  ignore: ["*"] # all that schema.pbtxt does not name; {len(profile.ignored):,} columns when this was drafted'
    lines = [f"    - {_yaml(name)} # {one_line(reason)}" for name, reason in profile.ignored.items()]
    return "\n".join(["  ignore:", *lines])


def _personal(content: Content) -> str:
    if not (names := _personal_features(content)):
        return ""
    listed = ", ".join(map(_yaml, names))
    return f"\n  # Personal, and learnt from all the same, for nothing goes without.\n  personal_features: [{listed}]"


def _options(content: Content) -> str:
    """`task_options`, where a query asks for items."""
    label = content.label
    if not (label.query and label.item):
        return ""

    def columns(key: str, more: tuple[str, ...]) -> str:
        names = [key, *_said(content, more, *_AMOUNTS, *_OF_CATEGORIES)]
        return "[" + ", ".join(map(_yaml, names)) + "]"

    lines = [
        f"item: {_yaml(label.item)}",
        f"query_columns: {columns(label.query, label.of_query)} # what a request carries",
        f"item_columns: {columns(label.item, label.of_item)} # what is known of an item",
        f"top_k: {label.answers} # items that are answered",
    ]
    return "\n".join(["\n\ntask_options:", *(f"  {line}" for line in lines)])


def _said(content: Content, names: tuple[str, ...], *kinds: Kind) -> list[str]:
    """Of some columns those of some kinds."""
    return [column.name for column in content.profile.columns if column.name in names and column.kind in kinds]


def _slices(content: Content) -> str:
    names = [c.name for c in content.profile.columns if c.kind is Kind.CATEGORY and c.values]
    names = [name for name in names if name not in content.label.of_item][:_MOST_SLICES]  # a query has one value there
    return "[" + ", ".join(_yaml(name) for name in names) + "]"


def _yaml(text: str) -> str:
    """A YAML scalar: plain where that is safe, else quoted as JSON."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ .\-%/()]*[A-Za-z0-9_.%)]|[A-Za-z_]", text)
    reserved = text.lower() in {"y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan"}
    return text if plain and not reserved else json.dumps(text)
