"""Workload -> TFX pipeline -> TFX IR -> a KFP pipeline with a container task for each node, or for each group of nodes.

TFX's own KubeflowV2DagRunner writes files for Vertex, which open-source KFP cannot run (docs/decisions/0010). Here KFP's SDK
builds the file, and every task starts `pipelines.runners.kubeflow.node` with its nodes' parts of the IR: drivers, cache, resolvers
and runtime parameters are TFX's, order, placement and retries are KFP's.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from kfp import compiler as kfp_compiler
from kfp import dsl, kubernetes
from tfx.dsl.compiler import compiler as tfx_compiler
from tfx.proto.orchestration import pipeline_pb2

from components.graph import Site
from components.patching import replaced
from pipelines import columns, parameters
from pipelines.runners.kubeflow import grouping, pods, retries, run_parameters, spec
from pipelines.runners.kubeflow import tasks as tasks_module
from pipelines.runners.kubeflow.cluster import pools as pools_module
from pipelines.runners.kubeflow.cluster.pools import TRAINER, TUNER, Placement, place
from pipelines.runners.kubeflow.cluster.site import ClusterSite
from pipelines.runners.kubeflow.grouping import Tasks
from pipelines.runners.kubeflow.multi_node import manifest
from pipelines.runners.kubeflow.run_parameters import RunParameter
from pipelines.runners.kubeflow.tasks import IMAGE, Task, component, function_of, placement_inputs, python_parameter
from pipelines.training import training_pipeline
from quality.provenance import Code, code_of
from spec import graph, home
from spec.errors import InputError
from spec.workload import Workload, find_workload


@dataclasses.dataclass(frozen=True)
class CompileRequest:
    """What to compile.

    Attributes:
        chosen_pools: component -> pool; overrides what the workload asks for.
        parameters: `key=value` as `trainyard run --param` takes them; they become the run parameters' defaults.
        span: default of the run parameter; -1: the newest span when the run starts.
        fixed_image: writes the image into the file instead of making it a run parameter, which kfp.local cannot fill in.
        tasks: whether nodes share pods.
    """

    workload: str
    site: ClusterSite
    pools: Mapping[str, pools_module.Pool]
    chosen_pools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    parameters: Sequence[str] = ()
    span: int = -1
    fixed_image: bool = False
    tasks: Tasks = Tasks.EACH


def compile_workload(request: CompileRequest) -> str:
    """The KFP pipeline as YAML: the pipeline document and the platform document.

    The same workload, code and cluster give the same bytes on any machine and in any folder.

    Raises:
        WorkloadError: the workload cannot be used.
        InputError: an unknown pool or component, a request that cannot be met.
    """
    workload, folder = find_workload(request.workload)
    workload = parameters.apply(workload, request.parameters, folder / "workload.yaml")
    workload, _ = columns.fit(workload, folder / "workload.yaml")
    run_params = run_parameters.of_run(workload, request.span)
    code = code_of(workload.name)
    ir = _intermediate(workload, folder, request, code)
    placements = place(spec.node_ids(ir), workload.resources, request.chosen_pools, request.pools)
    tasks = _tasks(ir, grouping.groups(placements, request.site, request.tasks), run_params, placements)
    origin = {"workload": workload.name, "revision": code.revision}
    tasks = [_across_nodes(task, workload, request, origin) for task in tasks]
    with replaced(dsl.PipelineTask, "_ensure_container_spec_exists", _insist_on_a_container):
        made = _kfp_pipeline(workload, tasks, run_params, request, origin)
    written = _to_yaml(made)
    # KFP's own heading lists maps in hash order, which differs from process to process.
    body = written[written.index("\ncomponents:\n") + 1 :]
    return f"# Workload {workload.name}, code revision {code.revision or 'unknown'}. Made by trainyard compile.\n{body}"


def _intermediate(
    workload: Workload, folder: pathlib.Path, request: CompileRequest, code: Code
) -> pipeline_pb2.Pipeline:
    cluster = request.site
    site = Site(
        workload_folder=folder,
        schema_folder=home.schemas_root() / workload.name,
        data_root=cluster.data.rstrip("/"),
        pipeline_root=cluster.root_of(workload.name),
        store_uri=cluster.store.rstrip("/"),
        metadata=None,
        code_revision=code.revision,
        code_digest=code.digest,
    )
    ir = tfx_compiler.Compiler().compile(training_pipeline(workload, request.span, site))
    for node in ir.nodes:
        _make_runtime_parameter(node.pipeline_node)
    return ir


def _make_runtime_parameter(node: pipeline_pb2.PipelineNode) -> None:
    """Turns a fixed execution property into a runtime parameter with that default."""
    name = _run_parameter(node.node_info.id)
    if name not in node.parameters.parameters:
        return
    value = node.parameters.parameters[name]
    default, is_int = value.field_value, value.field_value.HasField("int_value")
    parameter = pipeline_pb2.RuntimeParameter(
        name=name,
        type=pipeline_pb2.RuntimeParameter.INT if is_int else pipeline_pb2.RuntimeParameter.STRING,
        default_value=default,
    )
    value.Clear()
    value.runtime_parameter.CopyFrom(parameter)


def _run_parameter(node_id: str) -> str:
    """The execution property of a node that a run sets; empty: none."""
    record = graph.find(node_id)
    return record.run_parameter if record else ""


def _tasks(
    ir: pipeline_pb2.Pipeline,
    groups: Sequence[Sequence[str]],
    run_params: Sequence[RunParameter],
    placements: Mapping[str, Placement],
) -> list[Task]:
    """A task for each group of nodes."""
    nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}
    name_of = {node_id: grouping.name_of(group) for group in groups for node_id in group}
    made = []
    for group in groups:
        upstream = dict.fromkeys(name_of[one] for node_id in group for one in nodes[node_id].upstream_nodes)
        takes = dict.fromkeys(name for node_id in group for name in _takes(node_id, run_params))
        made.append(
            Task(
                parts={node_id: spec.encode(spec.part_of(ir, node_id)) for node_id in group},
                upstream=tuple(one for one in upstream if one != grouping.name_of(group)),
                parameters=tuple(takes),
                placement=grouping.shared_placement([placements[node_id] for node_id in group]),
            )
        )
    return made


def _takes(node_id: str, run_params: Sequence[RunParameter]) -> tuple[str, ...]:
    """Which of the run's parameters a node takes."""
    runtime = _run_parameter(node_id)
    if runtime in ("", run_parameters.SPAN):
        return (runtime,) if runtime else ()
    settings = {run_parameters.SPAN, run_parameters.FORCE_RETRAIN}
    takes = tuple(p.name for p in run_params if p.name not in settings)
    return (*takes, run_parameters.FORCE_RETRAIN) if runtime == run_parameters.TRAINING else takes


def _across_nodes(task: Task, workload: Workload, request: CompileRequest, origin: Mapping[str, str]) -> Task:
    """Trainer or Tuner on a pool of several nodes: its own pod starts a TrainJob and waits, or keeps the trials of a search."""
    workers, site = task.placement, request.site
    if TRAINER in task.parts:
        manifest.check(workload.training, workers)
    if TUNER in task.parts and workload.training.search:
        manifest.check_search(workload.training.search, workers)
    if workers.pool.nodes == 1:
        return task
    runtime = site.search_runtime if TUNER in task.parts else site.training_runtime
    labels = pods.labels(task.node_ids, workers.pool_name, site, origin)
    template = manifest.template(workers, site, runtime, labels, pods.environment(task.node_ids, site, origin))
    (default,) = place([*task.parts], {}, {}, request.pools).values()
    return dataclasses.replace(
        task,
        placement=manifest.of_driver(workers, default),
        train_job=json.dumps(template, sort_keys=True, separators=(",", ":")),
        workers=workers,
    )


def _insist_on_a_container(task: dsl.PipelineTask) -> None:
    """As KFP's SDK does before each of a task's settings; it asks for the source of all frames of the stack to name the setting."""
    if task.container_spec is None:
        raise ValueError(f"{sys._getframe(1).f_code.co_name} is for tasks that are a container.")


def _kfp_pipeline(
    workload: Workload,
    tasks: Sequence[Task],
    run_params: Sequence[RunParameter],
    request: CompileRequest,
    origin: Mapping[str, str],
) -> Any:
    """The pipeline as KFP's SDK understands it: a function whose signature is the run's parameters."""
    site, revision = request.site, origin["revision"]
    placed = [task for task in tasks if (task.workers or task.placement).pool_name != pools_module.DEFAULT_POOL]
    budgets: dict[str, int] = {}

    def build(**given: Any) -> None:
        made: dict[str, Any] = {}
        for task in tasks:
            takes = [*task.parameters, *tasks_module.train_job_inputs(task, request.fixed_image)]
            one = component(task, run_params, workload, revision, site.image, request.fixed_image)(
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, **{name: given[name] for name in takes}
            )
            one.after(*(made[upstream] for upstream in task.upstream))
            if not request.fixed_image:
                one.set_container_image(given[IMAGE])
            pods.configure(one, task.node_ids, task.placement, site, origin)
            if task.train_job:
                pods.tell_who_it_is(one)
            if task.train_job and TUNER in task.parts:
                pods.let_it_keep_trials(one, site)
            if task in placed and not task.train_job:
                selector, tolerations = placement_inputs(task)
                kubernetes.add_node_selector_json(one, given[selector])
                kubernetes.add_toleration_json(one, given[tolerations])
            else:
                pods.keep_to_pool(one, task.placement.pool)
            made[task.name] = one
            pool = task.placement.pool
            budgets[one.name] = retries.budget_s(pool.retries, pool.deadline_minutes * 60)

    signature = [python_parameter(p.name, p.type, p.default) for p in run_params]
    texts = [f"{p.name}: {p.description}" for p in run_params]
    if not request.fixed_image:
        signature.append(python_parameter(IMAGE, str, site.image))
        texts.append("image: The pipeline image; it must hold the code revision that this file was compiled from.")
    for task in placed:
        place_of = task.workers or task.placement
        values = pools_module.as_json(place_of.pool)
        selector, tolerations = placement_inputs(task)
        signature += [python_parameter(selector, dict, values[0]), python_parameter(tolerations, list, values[1])]
        texts.append(f"{selector}: Labels of the nodes for {task.name}. Default: those of pool {place_of.pool_name}.")
        texts.append(f"{tolerations}: Taints that {task.name} bears. Default: those of pool {place_of.pool_name}.")
    # KFP's SDK takes the parameters' descriptions from the docstring, if that has a first line.
    doc = f"Trains {workload.name}.\n\nArgs:\n" + "\n".join(f"    {text}" for text in texts)
    function = function_of(build, f"{workload.name}_training", signature, doc)
    description = f"{workload.description} Workload {workload.name}, code revision {revision or 'unknown'}.".strip()
    made = dsl.pipeline(name=f"{workload.name.replace('_', '-')}-training", description=description)(function)
    for name, seconds in budgets.items():
        made.pipeline_spec.root.dag.tasks[name].retry_policy.backoff_max_duration.seconds = seconds
    return made


def _to_yaml(pipeline: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "pipeline.yaml"
        try:
            kfp_compiler.Compiler().compile(pipeline, package_path=str(path))
        except (TypeError, ValueError) as error:
            raise InputError(f"KFP's compiler refuses the pipeline: {error}") from error
        return path.read_text(encoding="utf-8")
