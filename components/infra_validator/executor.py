"""The InfraValidator's work, around the validating process."""

from __future__ import annotations

import json
import pathlib
import signal
import tempfile
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tfx.dsl.components.base import base_executor
from tfx.types import artifact, artifact_utils

from components import border, prepared
from components.artifacts import ROWS_IN, ROWS_OUT, Artifacts, measured
from components.gates import CheckResult, GateResult
from components.infra_validator.golden import golden_rows, instances
from components.infra_validator.limits import Ended, watch
from components.infra_validator.record import RECORD
from components.served_model import SERVING_FOLDER, ServedModel
from spec.errors import InputError
from spec.splits import TEST
from spec.workload import InfraValidation

GOLDEN_REQUESTS = "golden_requests.json"
GOLDEN_ANSWERS = "golden_answers.json"
WORKER = "components.infra_validator.worker"


class Executor(base_executor.BaseExecutor):
    """Replays golden requests in a child process, and blesses the model if all is as it should be."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Reads `model`, `variants` and `examples`; writes `blessing`.

        Raises:
            InputError: the configuration is not valid, or the test split has no rows.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        limits = border.load(InfraValidation, exec_properties["limits"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        saved_model = pathlib.Path(artifact_utils.get_single_uri(input_dict["model"])) / SERVING_FOLDER
        folder = pathlib.Path(blessing.uri)
        folder.mkdir(parents=True, exist_ok=True)
        with measured(output_dict) as rows:
            examples = artifact_utils.get_single_uri(input_dict["examples"])
            variants = [
                path for one in input_dict.get("variants") or () for path in sorted(pathlib.Path(one.uri).iterdir())
            ]
            gate, asked = self._validate(saved_model, variants, examples, folder, limits)
            (folder / "gate.json").write_text(gate.to_json(), encoding="utf-8")
            _bless(blessing, gate)
            rows[ROWS_IN] = rows[ROWS_OUT] = asked

    def _validate(
        self,
        saved_model: pathlib.Path,
        variants: Sequence[pathlib.Path],
        examples_uri: str,
        folder: pathlib.Path,
        limits: InfraValidation,
    ) -> tuple[GateResult, int]:
        try:
            model = ServedModel.read(saved_model)
            columns = dict.fromkeys([*model.features, *(one for them in model.signatures.values() for one in them)])
            golden = golden_rows(examples_uri, TEST, list(columns), limits.requests)
            if not golden.num_rows:
                raise InputError("the test split has no rows to ask the model for.")
            (batch,) = golden.combine_chunks().to_batches(max_chunksize=golden.num_rows)
            requests = instances(model, batch)
        except InputError as error:
            return GateResult(RECORD.id, (CheckResult("golden requests", False, message=str(error)),)), 0
        (folder / GOLDEN_REQUESTS).write_text(json.dumps({"instances": requests}), encoding="utf-8")
        with tempfile.TemporaryDirectory() as scratch:
            checks, answers = examine(saved_model, golden, pathlib.Path(scratch), limits, variants)
        (folder / GOLDEN_ANSWERS).write_text(json.dumps(answers), encoding="utf-8")
        return GateResult(RECORD.id, tuple(checks)), golden.num_rows


def examine(
    saved_model: pathlib.Path,
    golden: pa.Table,
    scratch: pathlib.Path,
    limits: InfraValidation,
    variants: Sequence[pathlib.Path] = (),
) -> tuple[list[CheckResult], dict[str, Any]]:
    """Runs the validating process.

    Returns:
        Its checks, and the answers of `serving_default` by output.
    """
    rows, stage_file = scratch / "golden.parquet", scratch / "stage.txt"
    pq.write_table(golden, rows)
    with prepared.take(WORKER) as worker:
        files = {"saved_model": str(saved_model.absolute()), "golden": str(rows), "stage": str(stage_file)}
        worker.send({**files, "variants": {one.name: str(one.absolute()) for one in variants}})
        ended = watch(worker, limits.timeout_s, limits.memory_mb)
        stage = stage_file.read_text(encoding="utf-8") if stage_file.is_file() else "importing TensorFlow"
        diagnostics = {"seconds": round(ended.seconds, 3), "peak_memory_mb": ended.peak_mb, "stage": stage}
        found = _answer(worker, ended)
        if found is None:
            message = how_it_ended(ended, stage, limits)
            return [CheckResult("the model loads and answers", False, message=message, diagnostics=diagnostics)], {}
    diagnostics["load_seconds"] = found["load_seconds"]
    message = f"loaded in {found['load_seconds']:.1f} s, {ended.peak_mb:,} MiB at most"
    first = CheckResult("the model loads and answers", True, message=message, diagnostics=diagnostics)
    return [first, *(CheckResult(c["name"], c["passes"], message=c["message"]) for c in found["checks"])], found[
        "answers"
    ]


def _answer(worker: prepared.Worker, ended: Ended) -> dict[str, Any] | None:
    if ended.over:
        return None
    try:
        return dict(worker.answer())
    except (prepared.WorkerDied, InputError, OSError):
        return None


def how_it_ended(ended: Ended, stage: str, limits: InfraValidation) -> str:
    """One line: why the validating process gave no result, and what to do."""
    if ended.over == "time":
        return (
            f"gave no answer within {limits.timeout_s:g} s (last: {stage}); make the model smaller, "
            "or raise infra_validation.timeout_s in workload.yaml"
        )
    if ended.over == "memory":
        return (
            f"took {ended.peak_mb:,} MiB of memory while {stage}, {limits.memory_mb:,} MiB are allowed; "
            "make the model smaller, or raise infra_validation.memory_mb in workload.yaml"
        )
    if ended.code < 0:
        name = signal.Signals(-ended.code).name
        hint = ", most likely by the kernel for lack of memory" if -ended.code == signal.SIGKILL else ""
        return f"the process died of {name}{hint} while {stage}; a custom op or a damaged export does that"
    return f"failed while {stage}: {ended.last_line or f'exit status {ended.code}'}"


def _bless(blessing: artifact.Artifact, gate: GateResult) -> None:
    # File name and properties are those of TFX's own InfraValidator, so that its Pusher understands ours.
    status = "INFRA_BLESSED" if gate.passes else "INFRA_NOT_BLESSED"
    (pathlib.Path(blessing.uri) / status).write_text("")
    blessing.set_string_custom_property("blessing_status", status)
    blessing.set_int_custom_property("blessed", int(gate.passes))
    blessing.set_string_custom_property("reason", "" if gate.passes else gate.summary())
