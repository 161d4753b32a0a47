"""`trainyard run all`, and `--quick`: workloads one after the other in this process, each for real or on a small sample.

A quick run shows that everything works, from the data set to a release, and says nothing about how good a model is: it lasts one or
two epochs, its bounds are not judged, and it lies in a home of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from model_store import ModelStore
from pipelines import datasets
from pipelines.run import Display, RunRequest, run
from pipelines.runners.results import RunResult
from pipelines.sampling import sample_span
from spec import environment as env
from spec import exit_codes, home
from spec.errors import InputError
from spec.workload import Workload, WorkloadError, find_workload, workload_names

ROWS, EPOCHS = 2_000, 2
"""What a quick run takes at most: rows of each split, and epochs."""
_ANY_LOSS = 1e9
_NEVER_ENOUGH = 10**9  # rows that it takes to judge a bound
# What would lead out of a home of its own; `home()` is what all of them default to.
_ELSEWHERE = (env.DATA, env.STORE, env.HISTORY, env.METADATA, env.CHECKPOINTS, env.REPORTS_URL)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one workload.

    Attributes:
        result: of its run; None where it was not run.
        why: why it was not run.
        skipped: whether that is no failure: its data cannot be had here.
        metric: the first of its task's.
        seconds: wall clock, the data set's layout included.
    """

    workload: str
    task: str
    metric: str
    seconds: float
    result: RunResult | None = None
    why: str = ""
    skipped: bool = False

    @property
    def exit_code(self) -> int:
        if self.result is None:
            return exit_codes.OK if self.skipped else exit_codes.FIX_INPUT
        return self.result.exit_code

    @property
    def value(self) -> float | None:
        """Of the metric; None where it was not measured."""
        return self.result.metrics.get(self.metric) if self.result else None


@contextlib.contextmanager
def own_home() -> Iterator[pathlib.Path]:
    """Until it ends, whatever runs make goes into a new folder, which stays: releases, data, metadata, reports."""
    before = dict(os.environ)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="trainyard-quick-"))
    for name in _ELSEWHERE:
        os.environ.pop(name, None)
    os.environ[env.HOME] = str(folder)
    os.environ["OPENLINEAGE_DISABLED"] = "true"  # nobody's catalogue is to hear of samples
    try:
        yield folder
    finally:
        for name in (*_ELSEWHERE, env.HOME, "OPENLINEAGE_DISABLED"):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


def in_order(names: Sequence[str] = ()) -> list[str]:
    """Workloads (none: all there are), each after the one whose release judges it, which is added where it is missing."""
    found: dict[str, None] = {}
    for name in names or workload_names(home.workloads_root()):
        with contextlib.suppress(WorkloadError):  # told when it is its turn
            found |= dict.fromkeys(_judges(find_workload(name)[0]))
        found[name] = None
    return list(found)


def run_several(
    names: Sequence[str], request: Callable[[str], RunRequest], display: Callable[[], Display], quick: bool
) -> Iterator[Outcome]:
    """Runs workloads in turn, and yields what became of each as it ends; an interrupted run is the last.

    Args:
        request: what to run of a workload, by its name.
        display: makes what shows a run.
        quick: whether on a sample; within `own_home`.
    """
    for name in names:
        started = time.monotonic()
        task = metric = ""

        def outcome(result: RunResult | None = None, why: str = "", skipped: bool = False) -> Outcome:
            return Outcome(name, task, metric, time.monotonic() - started, result, why, skipped)  # noqa: B023 used at once

        try:
            workload, _ = find_workload(name)
            task, metric = workload.task, workload.champion_metric
            if why := _not_to_be_had(workload, quick):
                yield outcome(why=why, skipped=True)
                continue
            asked = request(name)
            if quick:
                asked = dataclasses.replace(asked, parameters=(*quick_parameters(workload), *asked.parameters))
            result = run(asked, display())
        except InputError as error:
            yield outcome(why=str(error))
            continue
        if quick and result.release:
            _promote(name, int(result.release["version"]))
        yield outcome(result)
        if result.exit_code == exit_codes.INTERRUPTED:
            return


def quick_parameters(workload: Workload) -> tuple[str, ...]:
    """What a quick run says in place of workload.yaml: few epochs, and nothing holds anything back."""
    judges = [f"evaluation.judge={judge}@stable" for judge in _judges(workload)]
    bounds = [one.model_dump(mode="json") | {"min_rows": _NEVER_ENOUGH} for one in workload.evaluation.thresholds]
    search = ["training.search.trials=2", "training.search.parallel=1"] if workload.training.search else []
    limits = {"max_loss": _ANY_LOSS, "max_size": 100, "max_latency": None}
    made = [
        one.model_dump(mode="json") | limits | ({"epochs": 1} if one.method == "pruned" else {})
        for one in workload.export.variants
    ]
    return (
        f"training.epochs={min(EPOCHS, workload.training.epochs)}",
        f"evaluation.thresholds={json.dumps(bounds)}",
        "evaluation.not_judged=warn",
        "quality.fail_on=never",
        *([f"export.variants={json.dumps(made)}"] if made else []),
        *judges,
        *search,
    )


def _not_to_be_had(workload: Workload, quick: bool) -> str:
    """Lays out the data, or a sample of it; returns why that cannot be done on this machine, empty if it was."""
    if quick and not workload.data.dataset:
        return "its workload.yaml names no data.dataset"
    if absent := [name for name in _judges(workload) if quick and name not in ModelStore(home.store_uri()).models()]:
        return f"there is no release of {absent[0]} to judge it by"
    try:
        for asset in workload.assets.values():
            datasets.fetch_asset(asset)
        if workload.data.dataset:
            _lay_out(workload, workload.data.dataset, quick)
    except InputError as error:
        return str(error)
    return ""


def _lay_out(workload: Workload, name: str, quick: bool) -> None:
    """The data set's first span, which a run takes where there is none."""
    first, folder = datasets.spans(name)[0], home.data_root() / workload.name
    if quick:
        whole = datasets.prepare(name, first, home.home() / "whole" / name)
        sample_span(whole, folder / whole.name, ROWS, workload.data.split.column, workload.data.query)
    elif not folder.is_dir() or not any(folder.iterdir()):
        datasets.prepare(name, first, folder)


def _judges(workload: Workload) -> list[str]:
    """The workload whose release judges this one, if one does."""
    judge = workload.evaluation.judge
    return [judge.partition("@")[0]] if judge else []


def _promote(model: str, version: int) -> None:
    """As another workload may be judged by it."""
    ModelStore(home.store_uri()).promote(model, version, reason="a quick run", actor="trainyard run --quick")
