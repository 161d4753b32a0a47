"""Workload -> TFX pipeline -> TFX IR -> a KFP pipeline with one container task a node.

TFX's own KubeflowV2DagRunner makes a file for Vertex, which open-source KFP cannot run (docs/decisions/0010). Here KFP's SDK
builds the file, and every task starts `pipelines.runners.kubeflow.node` with its part of the IR: drivers, cache, resolvers
and runtime parameters are TFX's, order, placement and retries are KFP's.
"""

from __future__ import annotations

import dataclasses
import inspect
import pathlib
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp import compiler as kfp_compiler
from kfp import dsl, kubernetes
from tfx.dsl.compiler import compiler as tfx_compiler
from tfx.proto.orchestration import pipeline_pb2

from components.errors import InputError
from pipelines import home, parameters
from pipelines.run import code_revision, find_workload
from pipelines.runners.kubeflow import pods, run_parameters, spec, ui
from pipelines.runners.kubeflow import pools as pools_module
from pipelines.runners.kubeflow.pools import Placement, place
from pipelines.runners.kubeflow.run_parameters import RunParameter
from pipelines.runners.kubeflow.site import ClusterSite
from pipelines.training import Site, training_pipeline
from pipelines.workload import Workload

COMMAND = ("python", "-m", "pipelines.runners.kubeflow.node")
# Node -> (execution property, runtime parameter). A node that a graph has not is passed over.
_RUNTIME = {
    "ColumnarExampleGen": ("span", run_parameters.SPAN),
    "Trainer": ("training", run_parameters.TRAINING),
    "Report": ("workload", run_parameters.WORKLOAD),
}
_ARTIFACT_TYPES = {
    one.schema_title: one
    for one in (
        dsl.Artifact,
        dsl.ClassificationMetrics,
        dsl.Dataset,
        dsl.HTML,
        dsl.Markdown,
        dsl.Metrics,
        dsl.Model,
    )
}
_BAR = re.compile(r"(?<!^)(?=[A-Z])")


@dataclasses.dataclass(frozen=True)
class CompileRequest:
    """What to compile.

    Attributes:
        workload: its name.
        site: the cluster.
        pools: by name.
        chosen_pools: component -> pool, over what the workload asks for.
        parameters: `key=value` as `trainyard run --param` takes them; they become the run parameters' defaults.
        span: default of the run parameter; -1: the newest when the run starts.
        fixed_image: the image is written into the file and is no run parameter (kfp.local cannot fill one in).
    """

    workload: str
    site: ClusterSite
    pools: Mapping[str, pools_module.Pool]
    chosen_pools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    parameters: Sequence[str] = ()
    span: int = -1
    fixed_image: bool = False


@dataclasses.dataclass(frozen=True)
class Task:
    """One node, ready to become a container task.

    Attributes:
        node_id: in the graph.
        upstream: ids of the nodes that it waits for.
        argument: its part of the IR.
        parameters: which of the run's parameters it takes.
        placement: where it runs.
    """

    node_id: str
    upstream: tuple[str, ...]
    argument: str
    parameters: tuple[str, ...]
    placement: Placement


def compile_workload(request: CompileRequest) -> str:
    """The KFP pipeline as YAML: the pipeline document and the platform document.

    The same workload, code and cluster give the same bytes, whatever the machine and the checkout's folder.

    Raises:
        WorkloadError: the workload cannot be used.
        InputError: an unknown pool or component, a request that cannot be met.
    """
    workload, folder = find_workload(request.workload)
    workload = parameters.apply(workload, request.parameters, folder / "workload.yaml")
    run_params = [run_parameters.span_parameter(request.span), run_parameters.force_parameter()]
    run_params += run_parameters.of_training(workload)
    ir = _intermediate(workload, folder, request)
    placements = place(spec.node_ids(ir), workload.resources, request.chosen_pools, request.pools)
    tasks = [_task(ir, node.pipeline_node, run_params, placements) for node in ir.nodes]
    written = _to_yaml(_kfp_pipeline(workload, tasks, run_params, request))
    # KFP's own heading lists maps in the order of a hash, another one in every process.
    body = written[written.index("\ncomponents:\n") + 1 :]
    return (
        f"# Workload {workload.name}, code revision {code_revision() or 'unknown'}. Made by trainyard compile.\n{body}"
    )


def _intermediate(workload: Workload, folder: pathlib.Path, request: CompileRequest) -> pipeline_pb2.Pipeline:
    cluster = request.site
    site = Site(
        workload_folder=folder,
        schema_folder=home.schemas_root() / workload.name,
        data_root=cluster.data.rstrip("/"),
        pipeline_root=cluster.root_of(workload.name),
        store_uri=cluster.store.rstrip("/"),
        metadata=None,
        code_revision=code_revision(),
    )
    ir = tfx_compiler.Compiler().compile(training_pipeline(workload, request.span, site))
    for node in ir.nodes:
        _make_runtime_parameter(node.pipeline_node)
    return ir


def _make_runtime_parameter(node: pipeline_pb2.PipelineNode) -> None:
    """Turns a fixed execution property into a runtime parameter whose default it is."""
    key, name = _RUNTIME.get(node.node_info.id, ("", ""))
    if key not in node.parameters.parameters:
        return
    value = node.parameters.parameters[key]
    default, is_int = value.field_value, value.field_value.HasField("int_value")
    parameter = pipeline_pb2.RuntimeParameter(
        name=name,
        type=pipeline_pb2.RuntimeParameter.INT if is_int else pipeline_pb2.RuntimeParameter.STRING,
        default_value=default,
    )
    value.Clear()
    value.runtime_parameter.CopyFrom(parameter)


def _task(
    ir: pipeline_pb2.Pipeline,
    node: pipeline_pb2.PipelineNode,
    run_params: Sequence[RunParameter],
    placements: Mapping[str, Placement],
) -> Task:
    node_id = node.node_info.id
    runtime = _RUNTIME.get(node_id, ("", ""))[1]
    takes: tuple[str, ...] = ()
    if runtime == run_parameters.SPAN:
        takes = (run_parameters.SPAN,)
    elif runtime:
        settings = {run_parameters.SPAN, run_parameters.FORCE_RETRAIN}
        takes = tuple(p.name for p in run_params if p.name not in settings)
    if runtime == run_parameters.TRAINING:
        takes += (run_parameters.FORCE_RETRAIN,)
    return Task(node_id, tuple(node.upstream_nodes), spec.encode(spec.part_of(ir, node_id)), takes, placements[node_id])


def _kfp_pipeline(
    workload: Workload, tasks: Sequence[Task], run_params: Sequence[RunParameter], request: CompileRequest
) -> Any:
    """The pipeline as KFP's SDK understands it: a function whose signature is the run's parameters."""
    site, revision = request.site, code_revision()
    placed = [task for task in tasks if task.placement.pool_name != pools_module.DEFAULT_POOL]

    def build(**given: Any) -> None:
        made: dict[str, Any] = {}
        for task in tasks:
            one = _component(task, run_params, workload, revision, site.image)(
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, **{name: given[name] for name in task.parameters}
            )
            one.after(*(made[upstream] for upstream in task.upstream))
            if not request.fixed_image:
                one.set_container_image(given["image"])
            pods.configure(one, task.node_id, task.placement, site, {"workload": workload.name, "revision": revision})
            if task in placed:
                prefix = snake_case(task.node_id)
                kubernetes.add_node_selector_json(one, given[f"{prefix}_node_selector"])
                kubernetes.add_toleration_json(one, given[f"{prefix}_tolerations"])
            else:
                pods.keep_to_pool(one, task.placement.pool)
            made[task.node_id] = one

    signature = [_python_parameter(p.name, p.type, p.default) for p in run_params]
    texts = [f"{p.name}: {p.description}" for p in run_params]
    if not request.fixed_image:
        signature.append(_python_parameter("image", str, site.image))
        texts.append("image: The pipeline image; it must hold the code revision that this file was compiled from.")
    for task in placed:
        selector, tolerations = pools_module.as_json(task.placement.pool)
        prefix, pool = snake_case(task.node_id), task.placement.pool_name
        signature.append(_python_parameter(f"{prefix}_node_selector", dict, selector))
        signature.append(_python_parameter(f"{prefix}_tolerations", list, tolerations))
        texts.append(f"{prefix}_node_selector: Labels of the nodes for {task.node_id}. Default: those of pool {pool}.")
        texts.append(f"{prefix}_tolerations: Taints that {task.node_id} bears. Default: those of pool {pool}.")
    # KFP's SDK takes the parameters' descriptions from the docstring, if that has a first line.
    doc = f"Trains {workload.name}.\n\nArgs:\n" + "\n".join(f"    {text}" for text in texts)
    function = _function(build, f"{workload.name}_training", signature, doc)
    description = f"{workload.description} Workload {workload.name}, code revision {revision or 'unknown'}.".strip()
    return dsl.pipeline(name=f"{workload.name.replace('_', '-')}-training", description=description)(function)


def _python_parameter(name: str, kind: type, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)


def _function(
    build: Callable[..., Any], name: str, signature: Sequence[inspect.Parameter], doc: str
) -> Callable[..., Any]:
    """A function with the name and signature that KFP's SDK reads; the SDK calls it by position."""

    def function(*values: Any) -> Any:
        return build(**dict(zip((one.name for one in signature), values, strict=True)))

    function.__name__ = function.__qualname__ = name
    function.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    function.__annotations__ = {one.name: one.annotation for one in signature}
    function.__doc__ = doc
    return function


def _component(
    task: Task, run_params: Sequence[RunParameter], workload: Workload, revision: str, image: str
) -> Callable[..., Any]:
    """A container component of the node's own name, with the outputs that KFP's UI shows."""
    kinds = {p.name: p.type for p in run_params}
    names = ["run_id", *task.parameters]

    def build(**given: Any) -> dsl.ContainerSpec:
        arguments = ["--node", task.node_id, "--spec", task.argument, "--revision", revision]
        arguments += ["--run-id", given["run_id"]]
        arguments += ["--executor-input", dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER]
        # One word each: a value that starts with "-" would be taken for an option.
        arguments += [f"--param={name}={given[name]}" for name in task.parameters]
        return dsl.ContainerSpec(image=image, command=list(COMMAND), args=arguments)

    signature = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kinds.get(name, str))
        for name in names
    ]
    signature += [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=dsl.Output[_ARTIFACT_TYPES[schema_title]]
        )
        for name, schema_title in ui.outputs(task.node_id, str(workload.task)).items()
    ]
    doc = f"{task.node_id} of workload {workload.name}."
    component: Callable[..., Any] = dsl.container_component(_function(build, snake_case(task.node_id), signature, doc))
    return component


def _to_yaml(pipeline: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "pipeline.yaml"
        try:
            kfp_compiler.Compiler().compile(pipeline, package_path=str(path))
        except (TypeError, ValueError) as error:
            raise InputError(f"KFP's compiler refuses the pipeline: {error}") from error
        return path.read_text(encoding="utf-8")


def snake_case(node_id: str) -> str:
    """`ColumnarExampleGen` as Python and KFP spell it: `columnar_example_gen`."""
    return re.sub(r"\W+", "_", _BAR.sub("_", node_id)).lower()
