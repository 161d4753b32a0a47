from __future__ import annotations

import pathlib
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import Artifacts, measured
from components.columnar import decode_splits, encode_splits
from components.example_validator.record import RECORD
from components.example_validator.schema_checks import checks_of
from components.example_validator.validation import validate
from components.gates import CheckResult, GateResult, insist_on_pass
from components.schema import read_schema


class Executor(base_executor.BaseExecutor):
    """Validates every split; writes TFDV's anomalies and the gate's result."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_uri(input_dict["statistics"])
        schema = read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        output = artifact_utils.get_single_instance(output_dict["anomalies"])
        splits = decode_splits(examples.split_names)
        with measured(output_dict):
            checks: list[CheckResult] = []
            for split in splits:
                loaded = tfdv.load_stats_binary(str(pathlib.Path(statistics) / f"Split-{split}" / "FeatureStats.pb"))
                found = validate(loaded, schema)
                target = pathlib.Path(output.uri) / f"Split-{split}" / "SchemaDiff.pb"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(found.SerializeToString())
                checks += checks_of(found, loaded, schema, split, examples.uri)
            result = GateResult(RECORD.id, tuple(checks))
            (pathlib.Path(output.uri) / "gate.json").write_text(result.to_json())
            output.split_names = encode_splits(splits)
            output.span = examples.span
        insist_on_pass(result, self._context, exec_properties["pipeline_root"])
