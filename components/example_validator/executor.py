from __future__ import annotations

import pathlib
from collections.abc import Sequence
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
_LONGEST = 60  # characters of a value in a message


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
        checks.append(_check(feature.name, info, feature, schema, split, uri))
    checks += [_check(name, info, None, schema, split, uri) for name, info in anomalies.items()]
    if found.HasField("dataset_anomaly_info"):
        checks.append(_check("the whole data set", found.dataset_anomaly_info, None, schema, split, uri))
    return checks


def _check(
    name: str, info: anomalies_pb2.AnomalyInfo | None, feature: Any, schema: schema_pb2.Schema, split: str, uri: str
) -> CheckResult:
    if info is None:
        return CheckResult(name=f"{split}/{name}", passes=True)
    anomalies = [anomalies_pb2.AnomalyInfo.Type.Name(reason.type) for reason in info.reason]
    sample = _sample(feature, schema, anomalies, split, uri) if feature is not None else []
    shown = ", ".join(f"{_show(one['value'])} ({split} row {one['row']})" for one in sample)
    return CheckResult(
        name=f"{split}/{name}",
        passes=False,
        severity=Severity.WARNING if info.severity == anomalies_pb2.AnomalyInfo.WARNING else Severity.CRITICAL,
        message=f"{name} ({split}): {info.description.strip(' .')}{f', e.g. {shown}' if shown else ''}.",
        diagnostics={
            **({"column": name} if feature is not None else {}),
            "anomalies": anomalies,
            "sample": sample,
        },
    )


def _show(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _sample(
    feature: Any, schema: schema_pb2.Schema, anomalies: Sequence[str], split: str, uri: str
) -> list[dict[str, Any]]:
    """Up to five rows, from 0 in the split, that break the feature's domain or lack a value, with what they have."""
    try:
        column = read_split(uri, split, [feature.name]).column(0)
    except (KeyError, pa.ArrowInvalid):
        return []
    if pa.types.is_nested(column.type):
        return []
    mask = _breaks_domain(column, feature, schema)
    if mask is None or not pc.any(mask).as_py():
        if not any("PRESENT" in anomaly for anomaly in anomalies):
            return []
        mask = column.is_null()
    rows = pc.indices_nonzero(mask)[:_SAMPLE].to_pylist()
    return [{"split": split, "row": row, "value": _plain(column[row].as_py())} for row in rows]


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _breaks_domain(column: pa.ChunkedArray, feature: Any, schema: schema_pb2.Schema) -> Any:
    domain = feature.WhichOneof("domain_info")
    if domain in ("int_domain", "float_domain"):
        limits = getattr(feature, domain)
        broken = pa.scalar(False)
        if _has_bound(limits, "min"):
            broken = pc.or_(broken, pc.less(column, limits.min))
        if _has_bound(limits, "max"):
            broken = pc.or_(broken, pc.greater(column, limits.max))
        if domain == "float_domain" and limits.disallow_inf:
            broken = pc.or_(broken, pc.is_inf(column))
        return None if isinstance(broken, pa.Scalar) else pc.fill_null(broken, False)
    known = None
    if domain == "string_domain":
        known = feature.string_domain.value
    elif domain == "domain":  # one of the schema's own, by name
        known = next((one.value for one in schema.string_domain if one.name == feature.domain), None)
    if known is None:
        return None
    return pc.and_(pc.invert(pc.is_in(column, pa.array(list(known), column.type))), column.is_valid())


def _has_bound(limits: Any, name: str) -> bool:
    return bool(limits.HasField(name))
