"""From TFDV's anomalies to the checks of a gate: plain words, and the rows that show it."""

from __future__ import annotations

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.example_validator._rows import offending_rows
from components.gates import CheckResult, Severity
from components.schema import is_personal

_WHOLE = "the whole data set"


def checks_of(
    found: anomalies_pb2.Anomalies,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    split: str,
    uri: str,
    rows_of: str = "",
) -> list[CheckResult]:
    """One check a feature of the schema, and one for anything that concerns none.

    Args:
        rows_of: the split of the Examples at `uri` in which a finding's rows are looked up; default: `split`.
    """
    rows_of, empty = rows_of or split, _empty(statistics, schema)
    checks = []
    anomalies = dict(found.anomaly_info)
    for feature in schema.feature:
        info = anomalies.pop(feature.name, None)
        if info is None and feature.name in empty:
            why = f"it has no value in {split}, which the schema allows"
            checks.append(
                CheckResult.not_judged(f"{split}/{feature.name}", why, Severity.INFO, {"column": feature.name})
            )
        else:
            checks.append(_check(feature.name, info, feature, schema, split, uri, rows_of))
    checks += [_check(name, info, None, schema, split, uri, rows_of) for name, info in anomalies.items()]
    if found.HasField("dataset_anomaly_info"):
        checks.append(_check(_WHOLE, found.dataset_anomaly_info, None, schema, split, uri, rows_of))
    return checks


def _empty(statistics: statistics_pb2.DatasetFeatureStatisticsList, schema: schema_pb2.Schema) -> set[str]:
    """Features without a single value."""
    features = [one for dataset in statistics.datasets for one in dataset.features]
    seen = {
        one.name or ".".join(one.path.step)
        for one in features
        if (kind := one.WhichOneof("stats")) and getattr(one, kind).common_stats.num_non_missing
    }
    return {feature.name for feature in schema.feature} - seen


def _check(
    name: str,
    info: anomalies_pb2.AnomalyInfo | None,
    feature: schema_pb2.Feature | None,
    schema: schema_pb2.Schema,
    split: str,
    uri: str,
    rows_of: str,
) -> CheckResult:
    column = {} if name == _WHOLE else {"column": name}
    if info is None:
        return CheckResult(name=f"{split}/{name}", passes=True, diagnostics=column)
    personal = feature is not None and is_personal(feature)
    # The long description names values.
    found = info.short_description if personal else info.description
    kinds = [anomalies_pb2.AnomalyInfo.Type.Name(reason.type) for reason in info.reason]
    sample = offending_rows(feature, schema, kinds, rows_of, uri) if feature is not None else []
    rows = "; ".join(f"{rows_of} row {one['row']} has {one['value']!r}" for one in sample)
    return CheckResult(
        name=f"{split}/{name}",
        passes=False,
        severity=Severity.WARNING if info.severity == anomalies_pb2.AnomalyInfo.WARNING else Severity.CRITICAL,
        message=f"{name} ({split}): {found.rstrip('. ')}.{f' First rows: {rows}.' if rows else ''}",
        diagnostics={"anomalies": kinds, **column, "sample": sample},
    )
