"""Turns GX's results into the checks of a gate: plain words, figures, evidence."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
import string
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.data_quality._batch import Batch
from components.data_quality.suite_format import MAX_FAILED_FRACTION, names_any, read_format
from components.gates import CheckResult, Severity
from components.schema import MASKED
from spec.words import one_line, some_of

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

_SHOWN = 3  # example values in a message; the diagnostics have GX's whole sample
_LONGEST = 60  # characters of a value in a message
_MOST_COLUMNS = 4  # named in a message
_MOST_VALUES = 100


_Keys = Mapping[int, dict[str, Any]]  # by row


def judge(
    validation: ExpectationSuiteValidationResult,
    batch: Batch,
    fail_on: str,
    keys: Sequence[str] = (),
    personal: Collection[str] = (),
) -> tuple[CheckResult, ...]:
    """One check an expectation, in the suite's order.

    Args:
        validation: what GX found; of personal columns without values already.
        fail_on: the least severity that stops the run. A gate stops on CRITICAL alone, so `warning` makes
            warnings critical, and `never` makes everything that is critical a warning; the suite's own word is kept.
        keys: columns that say which row a finding is about; those that the rows lack are left out.
    """
    known = _keys(validation, batch, keys, personal)
    return tuple(_named_apart([_check(result, batch, fail_on, known) for result in validation.results]))


def not_judged(suite_file: str | os.PathLike[str], left_out: Collection[str]) -> tuple[CheckResult, ...]:
    """Checks for the expectations of columns that are not read, as `not judged`."""
    if not left_out:
        return ()
    checks = []
    for one in read_format(pathlib.Path(suite_file))["expectations"]:
        if named := names_any(one, left_out):
            why = f"data.ignore leaves out {', '.join(named)}"
            name = f"{one['type']}({', '.join(columns(one['kwargs']) or named)})"
            evidence = {"expectation": one["type"], "columns": named}
            checks.append(CheckResult.not_judged(name, why, Severity.INFO, evidence))
    return tuple(_named_apart(checks))


def worst_first(checks: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Sorted: those that do not pass come first, the most severe before the others."""
    order = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
    return tuple(sorted(checks, key=lambda c: (c.passes, order[c.severity], not c.judged)))


def _keys(
    validation: ExpectationSuiteValidationResult, batch: Batch, keys: Sequence[str], personal: Collection[str]
) -> _Keys:
    """The keys of all rows that are shown, read once."""
    shown = [one.result.get("partial_unexpected_index_list") or [] for one in validation.results]
    rows = sorted({int(row) for some in shown for row in some})
    found: dict[int, dict[str, Any]] = {row: {} for row in rows}
    for key in keys if rows else ():
        if key in batch.columns:
            values = [MASKED] * len(rows) if key in personal else plain(batch.values(key, rows))
            for row, value in zip(rows, values, strict=True):
                found[row][key] = value
    return found


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NumPy's and pandas' scalars as Python's, missing ones as null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy
        return plain(value.tolist())
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _check(result: ExpectationValidationResult, batch: Batch, fail_on: str, keys: _Keys) -> CheckResult:
    config = result.expectation_config
    assert config is not None
    suite_severity = Severity(getattr(config.severity, "value", config.severity))
    sample = _sample(result.result, batch, keys)
    trouble = _trouble(result)
    tolerated = _tolerated(result) if not (result.success or trouble) else None
    diagnostics = {
        "column": config.kwargs.get("column"),
        "columns": columns(config.kwargs) or None,
        "id": config.id,
        "expectation": config.type,
        "kwargs": plain({k: v for k, v in config.kwargs.items() if k != "batch_id"}),
        "suite_severity": suite_severity.value,
        "notes": config.notes,
        **{k: plain(result.result[k]) for k in _FIGURES if result.result.get(k) is not None},
        **({"sample": sample} if sample else {}),
        **({"error": trouble} if trouble else {}),
        **({MAX_FAILED_FRACTION: tolerated} if tolerated is not None else {}),
    }
    name, severity = _name(config), _severity(suite_severity, fail_on)
    diagnostics = {k: v for k, v in diagnostics.items() if v is not None}
    if trouble:
        return CheckResult.not_judged(name, _message(result, sample, trouble, tolerated), severity, diagnostics)
    if result.success and (nothing := _nothing_to_judge(result)):
        # It is fine if no row meets a condition, but a column without values cannot be what the suite is about.
        severity = Severity.INFO if config.kwargs.get("row_condition") else severity
        return CheckResult.not_judged(name, f"{config.description or _claim(config)}: {nothing}", severity, diagnostics)
    message = _message(result, sample, trouble, tolerated)
    return CheckResult(name, bool(result.success) or tolerated is not None, severity, message, diagnostics)


def _nothing_to_judge(result: ExpectationValidationResult) -> str:
    """Why an expectation was met without looking at any value; empty if it has looked at some."""
    assert result.expectation_config is not None
    found, config = result.result, result.expectation_config
    if "unexpected_count" in found and found.get("element_count") is not None:
        if found["element_count"] - (found.get("missing_count") or 0) > 0:
            return ""
    elif "observed_value" not in found or plain(found["observed_value"]) is not None or "partial_missing_list" in found:
        return ""  # of a required set GX reports only what is missing
    if config.kwargs.get("row_condition"):
        return "no row meets its condition"
    return "there is no value to look at"


_FIGURES = (
    "element_count",
    "missing_count",
    "unexpected_count",
    "unexpected_percent",
    "observed_value",
    "partial_unexpected_counts",
    "partial_missing_list",
    "details",
)


def _severity(suite_severity: Severity, fail_on: str) -> Severity:
    if fail_on == "warning" and suite_severity is Severity.WARNING:
        return Severity.CRITICAL
    if fail_on == "never" and suite_severity is Severity.CRITICAL:
        return Severity.WARNING
    return suite_severity


def _tolerated(result: ExpectationValidationResult) -> float | None:
    """The share of rows that may fail, if no more have failed."""
    share = ((result.expectation_config and result.expectation_config.meta) or {}).get(MAX_FAILED_FRACTION)
    failed, rows = result.result.get("unexpected_count"), result.result.get("element_count")
    return float(share) if share is not None and rows and failed is not None and failed <= share * rows else None


def columns(kwargs: Mapping[str, Any]) -> list[str]:
    """The columns that an expectation names."""
    named = [kwargs[k] for k in ("column", "column_A", "column_B") if k in kwargs] or kwargs.get("column_list") or []
    return [str(one) for one in named]


def _name(config: Any) -> str:
    named = columns(config.kwargs)
    return f"{config.type}({', '.join(named)})" if named else str(config.type)


def _named_apart(checks: Sequence[CheckResult]) -> list[CheckResult]:
    """Makes names unique: an expectation that is in a suite twice, with other arguments, becomes `name #2`."""
    seen: Counter[str] = Counter()
    apart = []
    for check in checks:
        seen[check.name] += 1
        nth = seen[check.name]
        apart.append(check if nth == 1 else dataclasses.replace(check, name=f"{check.name} #{nth}"))
    return apart


def _message(
    result: ExpectationValidationResult, sample: list[dict[str, Any]], trouble: str | None, tolerated: float | None
) -> str:
    config, found = result.expectation_config, result.result
    assert config is not None
    claim = config.description or _claim(config)
    if trouble:
        return _with_notes(f"{claim}: could not be checked: {trouble}", config)
    if "unexpected_count" in found and "element_count" in found:
        words = f"{claim}: {_counted(found)}"
        if found["unexpected_count"] and sample:
            words += f", e.g. {_examples(sample)}"
    elif found.get("missing_count") and found.get("partial_missing_list"):
        shown = ", ".join(_show(plain(v)) for v in found["partial_missing_list"][:_SHOWN])
        words = f"{claim}: {found['missing_count']} of them are missing: {shown}"
    elif found.get("unexpected_count") and found.get("partial_unexpected_list"):
        shown = ", ".join(_show(plain(v)) for v in found["partial_unexpected_list"][:_SHOWN])
        words = f"{claim}: {found['unexpected_count']} distinct values do not belong, e.g. {shown}"
    elif isinstance(mismatched := (found.get("details") or {}).get("mismatched"), dict):
        words = f"{claim}: " + "; ".join(
            f"{kind}: {', '.join(map(str, columns))}" for kind, columns in mismatched.items()
        )
    elif config.type == "expect_column_to_exist":
        words = f"{claim}: it does" if result.success else f"{claim}: it does not"
    else:
        words = f"{claim}: it is {_show(plain(found.get('observed_value')))}"
    if tolerated is not None:
        return f"{words}; up to {100 * tolerated:g} % of the rows may"
    return words if result.success else _with_notes(words, config)


def _with_notes(words: str, config: Any) -> str:
    notes = " ".join(config.notes) if isinstance(config.notes, list) else config.notes
    return f"{words} ({notes})" if notes else words


def _counted(found: dict[str, Any]) -> str:
    total = found["element_count"] - (found.get("missing_count") or 0)
    unexpected = found["unexpected_count"]
    if not unexpected:
        return f"true of all {total:,} values"
    return f"{unexpected:,} of {total:,} values do not ({_percent(unexpected, total)})"


def _percent(part: int, whole: int) -> str:
    """A percentage with enough digits that a little does not read 0 % and nearly all not 100 %."""
    share = 100 * part / max(1, whole)
    for digits in (1, 2, 3):
        text = f"{share:.{digits}f}"
        if 0 < float(text) < 100 or part == whole:
            return f"{text} %"
    return "< 0.001 %" if share < 50 else "> 99.999 %"


def _examples(sample: list[dict[str, Any]]) -> str:
    parts, shown = [], set()
    for one in sample:
        value = _show(one["value"])
        if value not in shown:
            shown.add(value)
            keys = ", ".join(f"{key} {_show(known)}" for key, known in one.get("keys", {}).items())
            where = f"{one['split']} row {one['row']}{f', {keys}' if keys else ''}" if "row" in one else ""
            parts.append(f"{value} ({where})" if where else value)
    return ", ".join(parts[:_SHOWN])


def _show(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if value == MASKED:
        return MASKED
    text = "null" if value is None else repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _sample(found: dict[str, Any], batch: Batch, keys: _Keys) -> list[dict[str, Any]]:
    """Unexpected values with their rows and those rows' keys."""
    values = found.get("partial_unexpected_list") or []
    rows = found.get("partial_unexpected_index_list") or []
    if len(rows) != len(values):
        return [{"value": plain(value)} for value in values]
    sample = []
    for value, index in zip(values, rows, strict=True):
        split, row = batch.locate(int(index))
        known = {"keys": keys[int(index)]} if keys.get(int(index)) else {}
        sample.append({"split": split, "row": row, "value": plain(value), **known})
    return sample


def _trouble(result: ExpectationValidationResult) -> str | None:
    """Why GX could not evaluate an expectation, in one line; None if it could."""
    info = result.exception_info or {}
    problems = [info] if "raised_exception" in info else [p for p in info.values() if isinstance(p, dict)]
    for problem in problems:
        if problem.get("raised_exception"):
            return one_line(problem.get("exception_message"), 300)
    return None


def _brief(config: Any) -> str:
    """A short claim about many columns or values; GX would list each, at some milliseconds apiece."""
    named = columns(config.kwargs)
    shown = some_of(named, _MOST_COLUMNS - 1) if len(named) > _MOST_COLUMNS else ", ".join(named)
    words = config.type.removeprefix("expect_").replace("_", " ")
    return f"{words} ({shown})" if named else words


def _claim(config: Any) -> str:
    """The expectation in GX's own words, e.g. `fare values must not be null, at least 90 % of the time`."""
    # Cached: GX takes 30 ms, and each span of a window asks for the same ones.
    key = json.dumps([config.type, config.kwargs], sort_keys=True, default=str)
    if key not in _claims:
        _claims[key] = _rendered_claim(config)
    return _claims[key]


_claims: dict[str, str] = {}


def _rendered_claim(config: Any) -> str:
    from great_expectations.render.renderer.inline_renderer import InlineRenderer

    longest = max((len(value) for value in config.kwargs.values() if isinstance(value, list)), default=0)
    if len(columns(config.kwargs)) > _MOST_COLUMNS or longest > _MOST_VALUES:
        return _brief(config)
    try:
        rendered = InlineRenderer(render_object=config).get_rendered_content()[0].to_json_dict()["value"]
        values = {k: one["value"] for k, one in rendered["params"].items()}
        params = {k: f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in values.items()}
        words = " ".join(string.Template(rendered["template"]).safe_substitute(params).split()).rstrip(".")
    except Exception:  # a renderer that fails must not fail the gate
        return _name(config)
    return words if len(words) <= 240 else words[:237] + "..."
