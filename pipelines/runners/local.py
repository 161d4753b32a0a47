"""Runs a graph in this process, node by node, with TFX's own launcher."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

import tracing
from components import prepared, progress, searched
from components.artifacts import ROWS_IN, ROWS_OUT
from components.gates import GateResult, Severity
from components.graph import Site
from components.ingestion.quarantine import QUARANTINE_FILE, ROWS_QUARANTINED, ROWS_UNLABELLED
from pipelines.metadata import upkeep
from pipelines.metadata.opening import connection
from pipelines.runners import _failures, _gates, noise
from pipelines.runners.results import ComponentResult, RunResult
from spec import exit_codes, graph
from spec.errors import InputError
from spec.nodes import GateRecord, NodeRecord

# A worker that imports TensorFlow while one of these nodes works, Transform on one core as a rule: the last one will take it.
_WORKER, _MEANWHILE, _TAKER = "components.infra_validator.worker", ("Transform", "Trainer"), "InfraValidator"
_FAILED = (mlmd.Execution.FAILED, mlmd.Execution.CANCELED)


# Node id -> channel -> artifacts.
Outputs = dict[str, dict[str, list[Any]]]
# Is told about every change of a run.
Changed = Callable[[RunResult], None]


class _Launcher(launcher.Launcher):
    """TFX's launcher, which starts a worker for a later node once it is known that the cache does not answer for this one."""

    worker = ""

    def _run_executor(self, execution_info: Any) -> Any:
        if self.worker:
            prepared.prepare(self.worker)
        return super()._run_executor(execution_info)


def run_pipeline(
    built: tfx_pipeline.Pipeline, site: Site, result: RunResult, changed: Changed, until: Sequence[str] = ()
) -> Outputs:
    """Runs every node in order and fills `result`; stops at the first that fails.

    Where a gate refuses, the nodes that do not need it go on (as they do on Kubeflow): a data team wants to see what every gate
    on the data found, not only the first.

    Args:
        site: where things lie; its pipeline is nobody else's in the metadata store while the run lock is held.
        until: run only these nodes and what they need; none: all.

    Returns:
        The output artifacts of the nodes that succeeded.
    """
    started = time.monotonic()
    pipeline = compiler.Compiler().compile(built)
    nodes = _needed(pipeline, until)
    runtime_parameter_utils.substitute_runtime_parameter(
        pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: result.run_id}
    )
    config = runner_utils.extract_local_deployment_config(pipeline)
    name, root = pipeline.pipeline_info.id, pathlib.Path(site.pipeline_root)
    with connection(site.metadata) as handle:
        upkeep.bury_unfinished(handle.store, name, root)
        upkeep.clear_ahead(handle.store, name, root)
        upkeep.forget_damaged(handle.store, constants.PIPELINE_CONTEXT_TYPE_NAME, name)
    result.components = [ComponentResult(node.pipeline_node.node_info.id) for node in nodes]
    changed(result)
    outputs: Outputs = {}
    blocked: set[str] = set()
    tells = {"trainyard.workload": result.workload, "trainyard.run_id": result.run_id}
    for node in nodes:
        node_id = node.pipeline_node.node_info.id
        if blocked.intersection(node.pipeline_node.upstream_nodes):
            blocked.add(node_id)
            continue
        try:
            with tracing.span(node_id, **tells) as span:
                component = result.component(node_id)
                outputs[node_id] = _run_node(node.pipeline_node, pipeline, config, site, component, changed, result)
                span.tell({"trainyard.cached": component.cached})
        except BaseException as error:
            _fail(result, node_id, error)
            blocked.add(node_id)
            if not _failures.is_refusal(error):
                break
        finally:
            result.seconds = round(time.monotonic() - started, 3)
            changed(result)
    if not blocked:
        result.status, result.exit_code = "succeeded", exit_codes.OK
    _harvest(result, outputs)
    result.gates = _gates.gates_of(outputs, str(site.pipeline_root), result.run_id)
    return outputs


def _needed(pipeline: pipeline_pb2.Pipeline, until: Sequence[str]) -> list[Any]:
    """The requested nodes and all that come before them, in the graph's order.

    Raises:
        InputError: there is no node of that name.
    """
    nodes = list(pipeline.nodes)
    upstream = {n.pipeline_node.node_info.id: list(n.pipeline_node.upstream_nodes) for n in nodes}
    if unknown := [name for name in until if name not in upstream]:
        raise InputError(f"--until {unknown[0]}: there is no such node. Known: {', '.join(upstream)}.")
    wanted, ahead = set[str](), list(until)
    while ahead:
        name = ahead.pop()
        if name not in wanted:
            wanted.add(name)
            ahead += upstream[name]
    return [n for n in nodes if not until or n.pipeline_node.node_info.id in wanted]


def _run_node(
    node: pipeline_pb2.PipelineNode,
    pipeline: pipeline_pb2.Pipeline,
    config: Any,
    site: Site,
    component: ComponentResult,
    changed: Changed,
    result: RunResult,
) -> dict[str, Any]:
    component.status, started = "running", time.monotonic()
    progress.clear()
    changed(result)
    metadata = connection(site.metadata)
    try:
        one = _Launcher(
            pipeline_node=node,
            mlmd_connection=metadata,
            pipeline_info=pipeline.pipeline_info,
            pipeline_runtime_spec=pipeline.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(config, component.id),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(config, component.id),
        )
        if component.id in _MEANWHILE and any(later.id == _TAKER for later in result.components):
            one.worker = _WORKER
        info = one.launch()
    finally:
        component.seconds = round(time.monotonic() - started, 3)
    if info is None or info.execution_id is None:
        raise _failures.NodeFailed(f"{component.id}: was not run; an input that it needs was not made")
    with metadata as handle:
        execution = handle.store.get_executions_by_id([info.execution_id])[0]
        if execution.last_known_state in _FAILED:
            raise _failures.NodeFailed(f"{component.id}: its inputs could not be resolved")
        outputs = upkeep.tfx_outputs_of(handle.store, info.execution_id)
    component.cached = execution.last_known_state == mlmd.Execution.CACHED
    component.status = "succeeded"
    first = next((a for artifacts in outputs.values() for a in artifacts), None)
    if first is not None:
        component.rows_in = _rows(first, ROWS_IN)
        component.rows_out = _rows(first, ROWS_OUT)
    return outputs


def _rows(artifact: Any, key: str) -> int | None:
    return int(artifact.get_int_custom_property(key)) if artifact.has_custom_property(key) else None


def _fail(result: RunResult, node_id: str, error: BaseException) -> None:
    result.status, result.component(node_id).status = "failed", "failed"
    noise.trace(error)
    message, code = _failures.describe(node_id, error)
    if result.error and code == result.exit_code:
        message = f"{result.error.rstrip('.')}. Also: {message}"  # a second gate that refused
    result.error, result.exit_code = message, code


def _harvest(result: RunResult, outputs: Outputs) -> None:
    """Reads what the summary shows from the nodes' artifacts."""
    made = {
        record.name_of(output): artifacts[0]
        for record in graph.records()
        for output, artifacts in outputs.get(record.id, {}).items()
    }
    for record in graph.records():
        if record.id in outputs:
            _harvest_record(result, record, made)
    if "evaluation" in made:
        metrics = json.loads((pathlib.Path(made["evaluation"].uri) / "metrics.json").read_text())
        result.metrics, result.bounds, result.trivial = metrics["overall"], metrics["bounds"], metrics["trivial"]
        result.baseline, result.variants = metrics.get("baseline"), metrics.get("variants")
        champion = metrics.get("champion")
        if champion:
            result.champion = {k: v for k, v in champion.items() if k not in ("roc", "overall")}
    if "pushed_model" in made and made["pushed_model"].get_int_custom_property("pushed"):
        pushed = made["pushed_model"]
        result.release = {
            "version": int(pushed.get_string_custom_property("pushed_version")),
            "uri": pushed.get_string_custom_property("pushed_destination"),
        }
    if "best_hyperparameters" in made:
        folder = pathlib.Path(made["best_hyperparameters"].uri)
        result.search = {**searched.read(folder).summary(), "record": str(folder / searched.RECORD_FILE)}
    if "examples" in made:
        result.unlabelled = _rows(made["examples"], ROWS_UNLABELLED)
        if quarantined := _rows(made["examples"], ROWS_QUARANTINED):
            file = pathlib.Path(made["examples"].uri) / QUARANTINE_FILE
            result.quarantine = {"rows": quarantined, "file": str(file)}
    if "BatchInference" in outputs:
        index = pathlib.Path(outputs["BatchInference"]["predictions"][0].uri) / "index.json"
        found = json.loads(index.read_text())
        keys = ("version", "rows", "predicted", "failed")
        result.predictions = {**{key: found[key] for key in keys}, "folder": str(index.parent)}


def _harvest_record(result: RunResult, record: NodeRecord, made: Mapping[str, Any]) -> None:
    """A node's page; what a gate on data let pass with a warning, and why one on models withheld its blessing."""
    if record.page:
        page = pathlib.Path(made[record.name_of(record.page.output)].uri) / record.page.file
        result.reports[record.page.name] = str(page)
    if not isinstance(record, GateRecord):
        return
    folder = pathlib.Path(made[record.result_name].uri)
    gate = GateResult.from_json((folder / "gate.json").read_text())
    if record.on_data:
        result.warnings += [check.words for check in gate.objections(Severity.WARNING)]
    else:
        result.blessed = result.blessed is not False and gate.passes
        result.reasons += [check.words for check in gate.objections(Severity.CRITICAL)]
