"""What it saves that nodes share a pod on Kubeflow: a compiled workload, a task for each node and grouped, side by side.

    python -m benchmarks.kubeflow_tasks taxi                   # some minutes on two cores
    python -m benchmarks.kubeflow_tasks taxi --rows 2000 --rounds 3

kfp.local runs both files, first anew and then again, from the cache. In place of a container it starts a process: what a cluster
adds to each task (its driver, a pod's schedule and start, the launcher) is in no figure, so a cluster gains more seconds than these.
Metadata lie in SQLite, artifacts in a folder.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from kfp import components as kfp_components
from kfp import local
from kfp.local.subprocess_task_handler import SubprocessTaskHandler

from components import lazy_imports
from components.patching import replaced
from pipelines import datasets
from pipelines.runners.kubeflow.cluster.pools import load_pools
from pipelines.runners.kubeflow.cluster.site import ClusterSite, Volume
from pipelines.runners.kubeflow.grouping import Tasks
from pipelines.sampling import sample_span
from pipelines.several import own_home
from spec import environment as env
from spec import home
from spec.workload import find_workload

_RUNS = ("anew", "from the cache")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds of a run: by the clock, and of CPU in all of its processes."""

    wall: float
    cpu: float


def main() -> int:
    options = _options()
    lazy_imports.install()
    costs: dict[tuple[Tasks, str], list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="trainyard-tasks-") as folder:
        data = pathlib.Path(folder) / "data"
        _lay_out(options.workload, data, options.rows)
        for number in range(options.rounds):
            roots = {tasks: pathlib.Path(folder) / f"{tasks}-{number}" for tasks in Tasks}
            compiled = {t: compile_for(options.workload, root, data, t, options.param) for t, root in roots.items()}
            for run, tasks in itertools.product(_RUNS, Tasks):
                cost = run_with_kfp(compiled[tasks], roots[tasks])
                print(f"{tasks}, {run}: {cost.wall:.1f} s, {cost.cpu:.1f} s of CPU", flush=True)
                costs.setdefault((tasks, run), []).append(cost)
    print(f"\n{options.workload:<28}{'each':>10}{'grouped':>10}{'ratio':>8}")
    for run in _RUNS:
        for what in ("wall", "cpu"):
            each, grouped = (statistics.median(getattr(one, what) for one in costs[tasks, run]) for tasks in Tasks)
            print(f"{f'{run}, {what}':<28}{each:>8.1f} s{grouped:>8.1f} s{grouped / each:>8.2f}")
    return 0


def compile_for(
    workload: str, root: pathlib.Path, data: pathlib.Path, tasks: Tasks, parameters: tuple[str, ...] = ()
) -> pathlib.Path:
    """Compiles a workload for a cluster whose volume is this machine's disk.

    Args:
        root: a new folder, for artifacts, metadata and releases.
        data: holds the spans, in a folder of the workload's name.

    Returns:
        The file, for `run_with_kfp`.
    """
    from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload

    root.mkdir()
    shared = os.path.commonpath([root, data])
    site = ClusterSite(
        image="trainyard:benchmark",
        root=str(root / "artifacts"),
        data=str(data),
        store=str(root / "models"),
        volume=Volume(claim="benchmark", mount_path=shared),
    )
    request = CompileRequest(workload, site, load_pools(), {}, parameters, span=1, fixed_image=True, tasks=tasks)
    file = root / "pipeline.yaml"
    file.write_text(compile_workload(request))
    return file


def run_with_kfp(compiled: pathlib.Path, root: pathlib.Path) -> Cost:
    """Runs a compiled file with kfp.local, which raises an error if a task fails; its output goes to `log` in the root."""
    # kfp.local takes containers to Docker alone; what these start is a program of this environment.
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root / "kfp"))
    pipeline: Any = kfp_components.load_component_from_file(str(compiled))
    with (
        _pods_environment(root),
        replaced(SubprocessTaskHandler, "validate_not_container_component", lambda *_: None),
        (root / "log").open("a") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        began, before = time.monotonic(), os.times()
        pipeline()
        wall, after = time.monotonic() - began, os.times()
    used = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return Cost(wall, used)


@contextlib.contextmanager
def _pods_environment(root: pathlib.Path) -> Iterator[None]:
    """The environment that the file and its Secrets would give to containers."""
    before = dict(os.environ)
    with own_home() as folder:
        scratch = root / "scratch"
        scratch.mkdir(exist_ok=True)
        os.environ[env.METADATA] = f"sqlite://{root}/metadata.sqlite"
        os.environ[env.SCRATCH] = str(scratch)
        os.environ["PATH"] = os.pathsep.join([str(pathlib.Path(sys.executable).parent), before["PATH"]])
        os.environ["PYTHONPATH"] = str(home.ROOT)
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            shutil.rmtree(folder, ignore_errors=True)


def _lay_out(name: str, data: pathlib.Path, rows: int) -> None:
    """The first span of a workload's data set; some of its rows, or all."""
    workload, _ = find_workload(name)
    if workload.data.dataset is None:
        raise SystemExit(f"{name}: names no data set; choose a workload that does.")
    if not rows:
        datasets.prepare(workload.data.dataset, 1, data / name)
        return
    with tempfile.TemporaryDirectory() as whole:
        sample_span(datasets.prepare(workload.data.dataset, 1, whole), data / name / "span-1", rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kubeflow_tasks", description=__doc__.splitlines()[0])
    parser.add_argument("workload", help="one that names a data set")
    parser.add_argument("--rows", type=int, default=0, help="so many of the first span; default: all")
    parser.add_argument("--rounds", type=int, default=1, help="run so often and take medians (1)")
    parser.add_argument("--param", action="append", default=[], metavar="KEY=VALUE", help="as of `trainyard compile`")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
