from __future__ import annotations

import pathlib
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import measured
from components.columnar import decode_splits, encode_splits
from components.example_validator._rows import offending_rows
from components.gates import CheckResult, GateFailed, GateResult, Severity, evidence_directory, keep_evidence
from components.schema import is_personal, read_schema


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
    name: str,
    info: anomalies_pb2.AnomalyInfo | None,
    feature: schema_pb2.Feature | None,
    schema: schema_pb2.Schema,
    split: str,
    uri: str,
) -> CheckResult:
    if info is None:
        return CheckResult(name=f"{split}/{name}", passes=True)
    personal = feature is not None and is_personal(feature)
    # The long description names values.
    found = info.short_description if personal else info.description
    kinds = [anomalies_pb2.AnomalyInfo.Type.Name(reason.type) for reason in info.reason]
    sample = offending_rows(feature, schema, kinds, split, uri) if feature is not None else []
    rows = "; ".join(f"{split} row {one['row']} has {one['value']!r}" for one in sample)
    return CheckResult(
        name=f"{split}/{name}",
        passes=False,
        severity=Severity.WARNING if info.severity == anomalies_pb2.AnomalyInfo.WARNING else Severity.CRITICAL,
        message=f"{name} ({split}): {found.rstrip('. ')}.{f' First rows: {rows}.' if rows else ''}",
        diagnostics={"anomalies": kinds, **({"column": feature.name} if feature else {}), "sample": sample},
    )
