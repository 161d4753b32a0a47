"""Makes a validation of the data from what a training run left (RunFacts)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from components.drift.distributions import Categories, Distribution, from_json
from components.gates import CheckResult, GateResult, Severity
from components.report.facts import FAILED, ColumnFacts, ColumnStatistics, RunFacts
from components.report.verdict import failed_component
from quality.history._headline import headline
from quality.history._records import Change, Check, Column, Outcome, Release, Validation
from spec import graph

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_TOP_VALUES = 20


def from_run(facts: RunFacts, span: int | None, documents: Mapping[str, str] | None = None) -> Validation | None:
    """The validation of a run's data; None if the run never looked at its data.

    Args:
        span: the newest that it trained on.
        documents: further pages by name, e.g. `{"report": "/.../report.html"}`.
    """
    gates = {one.id: facts.gates[one.id] for one in graph.data_gates() if one.id in facts.gates}
    broke = _broke_at_the_data(facts)
    if not gates and not broke:
        return None
    checks = tuple(check_record(name, check) for name, gate in gates.items() for check in gate.checks)
    outcome = Outcome.FAILED if broke else outcome_of(gates.values())
    columns = _columns(facts)
    examples = facts.artifacts.get("examples")
    return Validation(
        id=facts.run_id,
        workload=str(facts.workload.get("name", "")),
        span=span,
        created_at=facts.created_at,
        outcome=outcome,
        headline=headline(outcome, checks, facts.error if broke else ""),
        rows=_rows(facts),
        quarantined=facts.quarantined,
        owner=str(facts.workload.get("owner", "")),
        data=examples.original if examples else "",
        error=facts.error if broke else "",
        reference=_compared_with(facts),
        documents={**({"data_docs": facts.data_docs} if facts.data_docs else {}), **(documents or {})},
        checks=checks,
        columns=columns,
        changes=tuple(change for gate in gates.values() for change in changes(gate)),
    )


def _compared_with(facts: RunFacts) -> str:
    """The champion's run, if spans are compared with its training data; else empty: the previous span."""
    drift = (facts.workload.get("quality") or {}).get("drift") or {}
    return str((facts.champion or {}).get("run_id") or "") if drift.get("reference") == "champion" else ""


def release_of(facts: RunFacts, span: int | None) -> Release | None:
    """The release that the run published; None if it published none."""
    if not facts.release:
        return None
    name = str(facts.workload.get("name", ""))
    at = str(facts.release.get("created_at") or facts.created_at)
    return Release(name, int(facts.release["version"]), span, at, facts.run_id)


def _broke_at_the_data(facts: RunFacts) -> bool:
    """Whether the run failed at a node that reads data, without a gate's result to explain it."""
    node = failed_component(facts)
    at_data = {record.id for record in graph.records() if record.reads_data}
    return facts.status == FAILED and node is not None and node.id in at_data and node.id not in facts.gates


def outcome_of(gates: Collection[GateResult]) -> Outcome:
    """The verdict of some gates together."""
    if not all(gate.passes for gate in gates):
        return Outcome.FAILED
    return Outcome.WARNED if any(gate.objections(Severity.WARNING) for gate in gates) else Outcome.PASSED


def check_record(gate: str, check: CheckResult) -> Check:
    """A gate's check as a row of the history."""
    found = check.diagnostics or {}
    unexpected, total = found.get("unexpected_count"), found.get("element_count")
    if total is not None:
        total -= found.get("missing_count") or 0
    return Check(
        gate=gate,
        name=check.name,
        passes=check.passes,
        severity=str(found.get("waived_severity") or check.severity.value),
        message=check.message,
        column=str(found.get("column") or ""),
        expectation=str(found.get("expectation") or ""),
        unexpected=None if unexpected is None else int(unexpected),
        total=None if total is None else int(total),
        waiver=str(found.get("waiver") or ""),
        evidence=json.loads(json.dumps(found, default=str)),
        judged=check.judged,
    )


def changes(gate: GateResult) -> Iterator[Change]:
    """The comparisons behind a gate's checks, one row per measure."""
    for check in gate.checks:
        found = check.diagnostics or {}
        for measure, value in (found.get("measures") or {}).items():
            limit = (found.get("limits") or {}).get(measure)
            yield Change(
                kind=str(found["kind"]),
                column=str(found["column"]),
                measure=measure,
                value=float(value),
                limit=limit,
                severity=str(found["severity"]),
                slice=str(found["slice"]),
                reference=str(found["reference"]),
            )


def _rows(facts: RunFacts) -> int | None:
    """Rows of the newest span if known, else of the whole window."""
    if facts.profile:
        return int(facts.profile["rows"][""])
    return sum(facts.dataset.rows.values()) if facts.dataset else None


def _columns(facts: RunFacts) -> tuple[Column, ...]:
    """The columns as DriftDetector described them in the newest span; else as TFDV did in the whole window."""
    kinds = {column.name: column.kind for column in facts.dataset.columns} if facts.dataset else {}
    profile = facts.profile
    if profile:
        described = profile["distributions"][""]
        columns = tuple(profiled(name, from_json(one), kinds.get(name, "")) for name, one in described.items())
    else:
        dataset = facts.dataset
        columns = tuple(_column(column, dataset.rows) for column in dataset.columns) if dataset else ()
    return tuple(_without_values(one, kinds) if one.name in facts.personal else one for one in columns)


def _without_values(column: Column, kinds: Mapping[str, str]) -> Column:
    """A personal column without its values: only the counts may be kept."""
    return Column(
        column.name, kinds.get(column.name) or column.kind, column.rows, column.missing, distinct=column.distinct
    )


def profiled(name: str, one: Distribution, kind: str = "") -> Column:
    """A column's record, made from its distribution."""
    total = one.rows + one.missing
    missing = one.missing / total if total else 0.0
    if isinstance(one, Categories):
        top = tuple((value, float(rows)) for value, rows in list(one.counts.items())[:_TOP_VALUES])
        return Column(name, kind or "text", total, missing, one.distinct, top_values=top)
    if not one.rows:
        return Column(name, kind or "float", total, missing)
    kind = "length of text" if kind.startswith(("text", "bytes")) else kind
    values = one.quantile(np.array(QUANTILES))
    return Column(
        name,
        kind or "float",
        total,
        missing,
        mean=one.mean,
        deviation=one.deviation,
        minimum=float(one.values[0]),
        maximum=float(one.values[-1]),
        quantiles={p: float(value) for p, value in zip(QUANTILES, values, strict=True)},
        histogram=tuple(one.histogram()),
    )


def _column(column: ColumnFacts, rows: Mapping[str, int]) -> Column:
    """One column over all splits, weighted by their rows."""
    splits = [(statistics, rows.get(name, 0)) for name, statistics in column.splits.items()]
    total = sum(many for _, many in splits) or 1
    largest = max(splits, key=lambda one: one[1])[0]
    present = [(one, many * (1 - one.missing)) for one, many in splits if many and one.missing < 1]
    mean = _mean([(one.mean, many) for one, many in present])
    return Column(
        name=column.name,
        kind=column.kind,
        rows=total,
        missing=sum(one.missing * many for one, many in splits) / total,
        distinct=largest.unique,
        mean=mean,
        deviation=_deviation(present, mean),
        minimum=min((one.minimum for one, _ in present if one.minimum is not None), default=None),
        maximum=max((one.maximum for one, _ in present if one.maximum is not None), default=None),
        quantiles=mixed_quantiles([(one.quantiles, many) for one, many in present], QUANTILES),
        histogram=largest.histogram,
        top_values=_top_values([one for one, _ in splits]),
    )


def _mean(parts: Sequence[tuple[float | None, float]]) -> float | None:
    known = [(value, many) for value, many in parts if value is not None]
    total = sum(many for _, many in known)
    return sum(value * many for value, many in known) / total if total else None


def _deviation(parts: Sequence[tuple[ColumnStatistics, float]], mean: float | None) -> float | None:
    """The deviation over all splits: the mean of their variances plus the variance of their means."""
    known = [(one, many) for one, many in parts if one.deviation is not None and one.mean is not None]
    total = sum(many for _, many in known)
    if mean is None or not total:
        return None
    variance = sum(((one.deviation or 0.0) ** 2 + ((one.mean or 0.0) - mean) ** 2) * many for one, many in known)
    return float((variance / total) ** 0.5)


def mixed_quantiles(
    parts: Sequence[tuple[Sequence[tuple[float, float]], float]], probabilities: Sequence[float]
) -> dict[float, float]:
    """Quantiles of several samples together, from each one's (probability, value) points and weight.

    Between the points a sample's distribution function is taken as linear.
    """
    known = [(np.array(points, dtype=np.float64), weight) for points, weight in parts if len(points) > 1 and weight]
    if not known:
        return {}
    grid = np.unique(np.concatenate([points[:, 1] for points, _ in known]))
    below = np.zeros(len(grid))
    for points, weight in known:
        below += weight * _below(points, grid)
    below /= sum(weight for _, weight in known)
    return {p: float(np.interp(p, below, grid)) for p in probabilities}


def _below(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A sample's distribution function at some values; all rows that share a value are included in it."""
    values, first_of = np.unique(points[::-1, 1], return_index=True)
    return np.interp(at, values, points[::-1, 0][first_of], left=0.0, right=1.0)


def _top_values(splits: Sequence[ColumnStatistics]) -> tuple[tuple[str, float], ...]:
    counts: dict[str, float] = {}
    for one in splits:
        for value, rows in one.top_values:
            counts[value] = counts.get(value, 0.0) + rows
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_TOP_VALUES])
