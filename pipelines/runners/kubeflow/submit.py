"""Compiles a workload's pipeline and starts it on Kubeflow. Everything is checked before anything is sent."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines import columns, parameters
from pipelines.runners.kubeflow import assets, run_parameters
from pipelines.runners.kubeflow.cluster.pools import Pool
from pipelines.runners.kubeflow.cluster.site import ClusterSite
from pipelines.runners.kubeflow.grouping import Tasks
from quality.provenance import code_of
from spec.errors import InputError
from spec.workload import Asset, find_workload

if TYPE_CHECKING:
    from pipelines.runners.kubeflow.client import Kubeflow

LONGEST_NAME = 255  # of a run's name: the size of the column in KFP's database


@dataclasses.dataclass(frozen=True)
class SubmitRequest:
    """What to run.

    Attributes:
        chosen_pools: component -> pool; overrides what the workload asks for.
        parameters: `key=value`: run parameters, or fields of workload.yaml that are compiled in.
        span: -1: the newest when the run starts.
        tasks: whether nodes share pods.
    """

    workload: str
    site: ClusterSite
    pools: Mapping[str, Pool]
    chosen_pools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    parameters: Sequence[str] = ()
    span: int = -1
    image: str | None = None
    experiment: str | None = None
    name: str | None = None
    tasks: Tasks = Tasks.EACH


@dataclasses.dataclass(frozen=True)
class Plan:
    """A request whose parameters have been checked.

    Attributes:
        compiled_in: `key=value`, for the compiler.
        assets: that its pods will look for.
    """

    request: SubmitRequest
    run_parameters: Mapping[str, Any]
    compiled_in: Sequence[str]
    experiment: str
    name: str
    assets: Mapping[str, Asset]


def plan(request: SubmitRequest) -> Plan:
    """Checks a request without loading KFP or TFX.

    Raises:
        WorkloadError: there is no such workload, or a field would not be valid.
        InputError: an unknown parameter, or a value of the wrong type or out of range.
    """
    workload, folder = find_workload(request.workload)
    given, compiled_in = run_parameters.chosen(workload, request.parameters)
    fitted, _ = columns.fit(parameters.apply(workload, compiled_in, folder / "workload.yaml"), folder / "workload.yaml")
    given = {run_parameters.SPAN: request.span, **given}
    if request.image:
        given["image"] = request.image
    span = given[run_parameters.SPAN]
    revision = code_of(workload.name).revision or "no revision"
    name = f"{workload.name}, {'newest span' if span == -1 else f'span {span}'}, {revision}"
    experiment = request.experiment or workload.name
    planned = Plan(request, given, compiled_in, experiment, request.name or name, fitted.assets)
    for option, text, most in (("--experiment", planned.experiment, 128), ("--name", planned.name, LONGEST_NAME)):
        if len(text) > most:
            raise InputError(f"{option}: KFP keeps {most} characters. Received: {len(text)}, {text[:40]!r}...")
    return planned


def submit(
    plan: Plan,
    kubeflow: Kubeflow,
    around_compiling: Callable[[], contextlib.AbstractContextManager[None]],
    say: Callable[[str], None],
) -> str:
    """Stages the workload's assets, compiles it and starts a run of it.

    Args:
        around_compiling: a context for importing TFX and compiling.
        say: told what is left for a person to do.

    Returns:
        The run's id.

    Raises:
        InputError: an asset cannot be had, the pools cannot meet the request, the file would not run, or access is refused.
        Unavailable: KFP does not answer.
    """
    kubeflow.experiment(plan.experiment)  # find out now whether access is refused, not after seconds of compiling
    for note in assets.stage(plan.assets, plan.request.site):
        say(note)
    with around_compiling():
        text = _compiled(plan)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "pipeline.yaml"
        file.write_text(text, encoding="utf-8")
        return kubeflow.create_run(
            file, plan.name, plan.experiment, plan.run_parameters, plan.request.site.service_account
        )


def _compiled(plan: Plan) -> str:
    from components import lazy_imports

    lazy_imports.install()
    from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload
    from pipelines.runners.kubeflow.lint import lint

    asked = plan.request
    text = compile_workload(
        CompileRequest(asked.workload, asked.site, asked.pools, asked.chosen_pools, plan.compiled_in, tasks=asked.tasks)
    )
    if findings := lint(text):
        raise InputError(f"{asked.workload}: the compiled pipeline would not run: {'; '.join(findings)}")
    return text
