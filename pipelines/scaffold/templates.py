"""The text of a new workload's files. They are meant to be read and edited, so each says what to change and why."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from components.schema import MASKED
from pipelines.scaffold.dividing import Division
from pipelines.scaffold.labelling import Label
from pipelines.scaffold.profiling import Column, Kind, Profile
from pipelines.workload import Task

if TYPE_CHECKING:
    from pipelines.scaffold.creating import Request

_FOLDER = pathlib.Path(__file__).parent / "files"
_SAMPLE_ROWS = 6
_MARGIN = 0.05  # of a bar over what a model reaches that always says the same
_STEPS = 3000  # a small network on a table has mostly converged by then; early stopping ends it sooner
_MOST_SLICES = 2
_WIDTH = 90  # of a list, so that its name fits on the line too
_INDENT = "    "


@dataclasses.dataclass(frozen=True)
class Content:
    """All that the files are made from."""

    request: Request
    format: str
    label: Label
    profile: Profile
    table: pa.Table
    division: Division


def write_workload(content: Content, folder: pathlib.Path) -> None:
    """Writes workload.yaml, features.py, model.py and __init__.py."""
    (folder / "workload.yaml").write_text(_workload_text(content), encoding="utf-8")
    (folder / "features.py").write_text(_features_text(content), encoding="utf-8")
    (folder / "model.py").write_text((_FOLDER / "model.py.txt").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "__init__.py").write_text("", encoding="utf-8")


def test_text(content: Content) -> str:
    """The workload's test, with a few rows of its own data in it."""
    names = [column.name for column in content.profile.columns]
    sample = content.table.slice(0, _SAMPLE_ROWS)
    rows = {name: _plain_values(sample.column(name)) for name in [*names, content.label.name]}
    for column in content.profile.columns:
        if column.personal and column.name in rows:  # the file goes into git
            rows[column.name] = [None if value is None else MASKED for value in rows[column.name]]
    outputs = len(content.label.classes) if content.label.task is Task.MULTICLASS else 1
    return _fill("test.py.txt", NAME=content.request.name, ROWS=_literal(rows), OUTPUTS=str(outputs))


def feature_names(columns: tuple[Column, ...], label: str) -> dict[str, str]:
    """Column -> name of its feature: letters, digits and underscores, as Keras and TensorFlow want them, each once."""
    taken = {label.lower()}
    names: dict[str, str] = {}
    for column in columns:
        base = re.sub(r"[^A-Za-z0-9]+", "_", column.name).strip("_") or "feature"
        base = base if base[0].isalpha() else f"f_{base}"
        name, n = base, 1
        while {name.lower(), f"{name}_missing".lower()} & taken:
            n += 1
            name = f"{base}_{n}"
        taken |= {name.lower(), f"{name}_missing".lower()}
        names[column.name] = name
    return names


def _fill(template: str, **values: str) -> str:
    text = (_FOLDER / template).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _features_text(content: Content) -> str:
    names = feature_names(content.profile.columns, content.label.name)

    def listed(*kinds: Kind) -> str:
        return _literal({c.name: names[c.name] for c in content.profile.columns if c.kind in kinds})

    return _fill(
        "features.py.txt",
        NAME=content.request.name,
        NUMERIC=listed(Kind.NUMBER),
        SKEWED=listed(Kind.SKEWED),
        CODES=listed(Kind.CODE),
        CATEGORICAL=listed(Kind.CATEGORY),
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
    request, label, rows = content.request, content.label, content.table.num_rows
    batch, epochs, patience = _schedule(rows)
    description = request.description or f"Predicts {label.name}."
    return _fill(
        "workload.yaml.txt",
        NAME=request.name,
        TASK=str(label.task),
        OWNER=_yaml(request.owner),
        DESCRIPTION=_yaml(description),
        FORMAT=content.format,
        LABEL=_yaml(label.name),
        POSITIVE=_positive(label),
        LABELS=_labels(request),
        SPLIT=_split(request, content.division),
        IGNORE=_ignore(content.profile),
        BATCH=str(batch),
        EPOCHS=str(epochs),
        PATIENCE=str(patience),
        RARE=_rare(label),
        THRESHOLDS=_thresholds(label),
        SLICES=_slices(content.profile),
        MAX_LOSS=_max_loss(label, rows),
    )


def _schedule(rows: int) -> tuple[int, int, int]:
    """Batch size, epochs and patience by the number of rows."""
    batch = next(size for size, most in ((32, 5_000), (128, 50_000), (512, 500_000), (2048, math.inf)) if rows <= most)
    epochs = min(200, max(10, math.ceil(_STEPS * batch / rows)))
    return batch, epochs, max(3, epochs // 10)


def _positive(label: Label) -> str:
    if label.positive is None:
        return ""
    reason = _one_line(label.positive.reason)
    return (
        f"\n    # The class whose probability is predicted: {reason}.\n    positive_class: {_yaml(label.positive.name)}"
    )


def _labels(request: Request) -> str:
    merge = "\n    merge_spellings: true # `YES` and `yes ` are the class `yes`"
    drop = "\n    drop_unlabelled: true # rows without a label are left out, and counted"
    return merge * request.merge_labels + drop * request.drop_unlabelled


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
    lines = [f"    - {_yaml(name)} # {_one_line(reason)}" for name, reason in profile.ignored.items()]
    return "\n".join(["  ignore:", *lines])


def _thresholds(label: Label) -> str:
    if label.task is Task.BINARY:
        assert label.majority is not None
        winner, share = label.majority
        return (
            f"  # 0.5 is guessing; always saying {_one_line(winner)} has an accuracy of {share:.3f}.\n"
            "  thresholds:\n    - {metric: auc, min: 0.6}" + _rare_bar(label)
        )
    if label.task is Task.MULTICLASS:
        assert label.majority is not None
        if label.imbalanced:
            share = label.majority[1]
            nothing = 2 * share / (1 + share) / len(label.classes)
            return (
                f"  # Always saying {_one_line(label.majority[0])} has an accuracy of {share:.3f} and a macro F1 of {nothing:.3f}.\n"
                f"  thresholds:\n    - {{metric: macro_f1, min: {_two_digits(nothing + _MARGIN)}}}"
            )
        return (
            f"  # Always saying {_one_line(label.majority[0])} has an accuracy of {label.majority[1]:.3f}.\n"
            f"  thresholds:\n    - {{metric: accuracy, min: {math.floor(label.majority[1] * 100) / 100:g}}}"
        )
    return (
        f"  # Always saying the mean ({label.mean:.4g}) has an RMSE of {label.std:.4g}.\n"
        f"  thresholds:\n    - {{metric: rmse, max: {float(f'{label.std:.3g}')!r}}}"
    )


def _rare_bar(label: Label) -> str:
    """A bar that a model which never says the rare class does not reach, where accuracy would praise it."""
    if label.positive is None or not label.imbalanced or label.positive.name != label.rarest:
        return ""
    share = label.counts[label.rarest] / sum(label.counts.values())
    return (
        f"\n    # {_one_line(label.rarest)} is {share:.3%} of the rows, which is the auc_pr of guessing.\n"
        f"    - {{metric: auc_pr, min: {_two_digits(share + _MARGIN)}}}"
    )


def _two_digits(bar: float) -> str:
    return f"{math.ceil(round(bar * 100, 6)) / 100:g}"


def _rare(label: Label) -> str:
    """What the Trainer does about a rare class; nothing where none is."""
    if not label.imbalanced:
        return ""
    lines = [
        "  # All classes weigh the same in the loss, however few rows they have; probabilities then rank rows and are no shares.",
        "  class_weights: balanced",
    ]
    if label.task is Task.BINARY:
        lines += [
            "  # A row is called positive above what gives the best F1 on eval. Or a number, {precision: 0.9}, {recall: 0.9}.",
            "  decision_threshold: best_f1",
        ]
    return "\n" + "\n".join(lines)


def _slices(profile: Profile) -> str:
    names = [c.name for c in profile.columns if c.kind is Kind.CATEGORY and c.values][:_MOST_SLICES]
    return "[" + ", ".join(_yaml(name) for name in names) + "]"


def _max_loss(label: Label, rows: int) -> str:
    """About one standard error of the metric on the test split: less than that is chance."""
    chance = 0.5 / math.sqrt(max(1.0, 0.2 * rows))
    if label.task is Task.REGRESSION:
        return repr(float(f"{min(0.5, chance) * label.std:.2g}"))
    return repr(float(f"{min(0.1, chance):.2g}"))


def _yaml(text: str) -> str:
    """A YAML scalar: plain where that is safe, else quoted as JSON."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ .\-%/()]*[A-Za-z0-9_.%)]|[A-Za-z_]", text)
    reserved = text.lower() in {"y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan"}
    return text if plain and not reserved else json.dumps(text)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
