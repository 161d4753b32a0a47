from __future__ import annotations

import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import measured
from components.columnar import decode_splits, encode_splits, read_split
from components.gates import CheckResult, GateFailed, GateResult, Severity, evidence_directory, keep_evidence
from components.schema import read_schema

_SAMPLE = 5


class Executor(base_executor.BaseExecutor):
    """Validates every split; writes TFDV's anomalies and the gate's result."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_uri(input_dict["statistics"])
        schema = read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        output = artifact_utils.get_single_instance(output_dict["anomalies"])
        splits = decode_splits(examples.split_names)
        with measured(output_dict):
            checks: list[CheckResult] = []
            for split in splits:
                found = _validate(pathlib.Path(statistics) / f"Split-{split}" / "FeatureStats.pb", schema)
                target = pathlib.Path(output.uri) / f"Split-{split}" / "SchemaDiff.pb"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(found.SerializeToString())
                checks += _checks(found, schema, split, examples.uri)
            result = GateResult("ExampleValidator", tuple(checks))
            (pathlib.Path(output.uri) / "gate.json").write_text(result.to_json())
            output.split_names = encode_splits(splits)
            output.span = examples.span
        if not result.passes:
            node, run = self._context.pipeline_node.node_info.id, self._context.pipeline_run_id
            keep_evidence(result, evidence_directory(exec_properties["pipeline_root"], run, node))
            raise GateFailed(result)


def _validate(statistics: pathlib.Path, schema: schema_pb2.Schema) -> anomalies_pb2.Anomalies:
    return tfdv.validate_statistics(tfdv.load_stats_binary(str(statistics)), schema)


def _checks(found: anomalies_pb2.Anomalies, schema: schema_pb2.Schema, split: str, uri: str) -> list[CheckResult]:
    """One check a feature of the schema, and one for anything that concerns none."""
    checks = []
    anomalies = dict(found.anomaly_info)
    for feature in schema.feature:
        info = anomalies.pop(feature.name, None)
        checks.append(_check(feature.name, info, feature, split, uri))
    checks += [_check(name, info, None, split, uri) for name, info in anomalies.items()]
    if found.HasField("dataset_anomaly_info"):
        checks.append(_check("the whole data set", found.dataset_anomaly_info, None, split, uri))
    return checks


def _check(name: str, info: anomalies_pb2.AnomalyInfo | None, feature: Any, split: str, uri: str) -> CheckResult:
    if info is None:
        return CheckResult(name=f"{split}/{name}", passes=True)
    rows = _offending_rows(feature, split, uri) if feature is not None else []
    where = f" First rows: {'; '.join(rows)}." if rows else ""
    return CheckResult(
        name=f"{split}/{name}",
        passes=False,
        severity=Severity.WARNING if info.severity == anomalies_pb2.AnomalyInfo.WARNING else Severity.CRITICAL,
        message=f"{name} ({split}): {info.description.rstrip('.')}.{where}",
        diagnostics={
            "anomalies": [anomalies_pb2.AnomalyInfo.Type.Name(reason.type) for reason in info.reason],
            "rows": rows,
        },
    )


def _offending_rows(feature: Any, split: str, uri: str) -> list[str]:
    """Up to five rows that break the feature's domain or presence, with their values."""
    try:
        column = read_split(uri, split, [feature.name]).column(0)
    except (KeyError, pa.ArrowInvalid):
        return []
    mask = _breaks_domain(column, feature)
    if mask is None or not pc.any(mask).as_py():
        if feature.presence.min_fraction < 1 or not column.null_count:
            return []
        mask = column.is_null()
    rows = pc.indices_nonzero(mask)[:_SAMPLE].to_pylist()
    return [f"row {row + 1} of {split} has {column[row].as_py()!r}" for row in rows]


def _breaks_domain(column: pa.ChunkedArray, feature: Any) -> Any:
    domain = feature.WhichOneof("domain_info")
    if pa.types.is_nested(column.type) or domain is None:
        return None
    if domain in ("int_domain", "float_domain"):
        limits = getattr(feature, domain)
        low, high = limits.min, limits.max
        too_low = pc.less(column, low) if _has_bound(limits, "min") else pa.scalar(False)
        too_high = pc.greater(column, high) if _has_bound(limits, "max") else pa.scalar(False)
        return pc.fill_null(pc.or_(too_low, too_high), False)
    if domain == "string_domain":
        known = pa.array(list(feature.string_domain.value), column.type)
        return pc.and_(pc.invert(pc.is_in(column, known)), column.is_valid())
    return None


def _has_bound(limits: Any, name: str) -> bool:
    return bool(limits.HasField(name))
