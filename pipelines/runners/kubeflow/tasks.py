"""A task, of one node or of several that share a pod, as a container component of KFP's SDK."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp import dsl

from components.tasks import find
from pipelines.runners.kubeflow import grouping
from pipelines.runners.kubeflow.cluster.pools import Placement
from pipelines.runners.kubeflow.grouping import snake_case
from pipelines.runners.kubeflow.run_parameters import RunParameter
from spec import graph
from spec.nodes import ArtifactType
from spec.workload import Workload

COMMAND = ("python", "-P", "-m", "pipelines.runners.kubeflow.node")
IMAGE = "image"
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


@dataclasses.dataclass(frozen=True)
class Task:
    """One node, or several that share a pod, ready to become a container task.

    Attributes:
        parts: node -> its encoded part of the IR, in the order in which they run.
        upstream: names of the tasks it depends on.
        parameters: which of the run's parameters it takes.
        train_job: the template of the TrainJob that it starts, as JSON; empty: it does the work itself.
        workers: where that job's pods run.
    """

    parts: Mapping[str, str]
    upstream: tuple[str, ...]
    parameters: tuple[str, ...]
    placement: Placement
    train_job: str = ""
    workers: Placement | None = None

    @property
    def node_ids(self) -> tuple[str, ...]:
        return tuple(self.parts)

    @property
    def name(self) -> str:
        return grouping.name_of(self.node_ids)


def component(
    task: Task, run_params: Sequence[RunParameter], workload: Workload, revision: str, image: str, fixed_image: bool
) -> Callable[..., Any]:
    """A container component named like the task, with the outputs that KFP's UI shows of its nodes."""
    kinds = {"run_id": str} | {p.name: p.type for p in run_params if p.name in task.parameters}
    kinds |= train_job_inputs(task, fixed_image)

    def build(**given: Any) -> dsl.ContainerSpec:
        arguments = [word for node_id, part in task.parts.items() for word in ("--node", node_id, "--spec", part)]
        arguments += ["--revision", revision, "--run-id", given["run_id"]]
        arguments += ["--executor-input", dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER]
        # One word each: a separate value that starts with "-" would be taken for an option.
        arguments += [f"--param={name}={given[name]}" for name in task.parameters]
        if task.train_job:
            selector, tolerations = placement_inputs(task)
            arguments += ["--train-job", task.train_job, "--train-job-image", given.get(IMAGE, image)]
            arguments += ["--train-job-node-selector", given[selector], "--train-job-tolerations", given[tolerations]]
        return dsl.ContainerSpec(image=image, command=list(COMMAND), args=arguments)

    signature = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)
        for name, kind in kinds.items()
    ]
    signature += [
        inspect.Parameter(
            grouping.output_name(task.node_ids, node_id, name),
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            annotation=dsl.Output[_ARTIFACT_TYPES[schema_title]],
        )
        for node_id in task.parts
        for name, schema_title in outputs(node_id, str(workload.task)).items()
    ]
    doc = f"{task.name} of workload {workload.name}."
    made: Callable[..., Any] = dsl.container_component(function_of(build, snake_case(task.name), signature, doc))
    return made


def outputs(node_id: str, task: str) -> dict[str, str]:
    """What a node shows in KFP's UI, which it fills in itself (shown.py): name -> KFP's schema title; nothing if it isn't ours.

    Args:
        task: the workload's: one whose report has no confusion matrix has no output for it either.

    Example:
        >>> outputs("Evaluator", "regression")
        {'evaluation_metrics': 'system.Metrics'}
    """
    record = graph.find(node_id)
    shows = record.shows if record else {}
    has_classes = "confusion_matrix" in {view.chart for view in find(task).views}
    return {name: str(kind) for name, kind in shows.items() if has_classes or kind != ArtifactType.CLASSIFICATION}


def placement_inputs(task: Task) -> tuple[str, str]:
    """Names of the run parameters that say where a task's pods, or its workers, may run."""
    return f"{snake_case(task.name)}_node_selector", f"{snake_case(task.name)}_tolerations"


def train_job_inputs(task: Task, fixed_image: bool) -> dict[str, type]:
    """The further run parameters of a task that starts a TrainJob."""
    if not task.train_job:
        return {}
    selector, tolerations = placement_inputs(task)
    return ({} if fixed_image else {IMAGE: str}) | {selector: dict, tolerations: list}


def python_parameter(name: str, kind: type, default: Any) -> inspect.Parameter:
    """One of a run's parameters, as KFP's SDK reads it."""
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)


def function_of(
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
