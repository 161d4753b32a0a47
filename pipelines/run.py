"""`trainyard run`: everything around the graph (parameters, lock, span, log, report)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

import tracing
from components import lazy_imports, prepared, progress
from pipelines import aftermath, beam_options, columns, datasets, memo, parameters
from pipelines.runners import noise, run_lock
from pipelines.runners.results import RunResult
from quality import provenance
from spec import exit_codes, home
from spec.errors import InputError, TryAgainError, machine_trouble
from spec.run_ids import new_run_id
from spec.words import one_line
from spec.workload import Workload, find_workload

if TYPE_CHECKING:
    from components.graph import Site

# DataQuality's worker: it imports Great Expectations while we import TensorFlow.
_FIRST_WORKER = "components.data_quality.worker"


@dataclasses.dataclass(frozen=True)
class RunRequest:
    """What to run.

    Attributes:
        span: the newest span to train on; None: the newest there is.
        wait_s: seconds to wait for another run of the same workload.
        beam: Beam's options, `key=value` or `key`, as given; they win over the workload's.
        until: run only these nodes and what they need; empty: the whole graph.
    """

    workload: str
    span: int | None = None
    parameters: tuple[str, ...] = ()
    wait_s: float = 600.0
    beam: tuple[str, ...] = ()
    until: tuple[str, ...] = ()


class Display:
    """Shows a run's progress; this base class shows nothing."""

    def started(self, result: RunResult, out: TextIO, err: TextIO) -> None: ...

    def said(self, message: str) -> None: ...

    def changed(self, result: RunResult) -> None: ...

    def ended(self, result: RunResult) -> None: ...

    def left(self) -> None:
        """Stops showing; the run goes on."""


def run(request: RunRequest, display: Display) -> RunResult:
    """Runs a workload's training pipeline on this machine.

    Returns:
        The result, even if the run failed; it is kept as run.json beside the log and the report.

    Raises:
        WorkloadError: the request is wrong; nothing was started.
    """
    workload, folder = find_workload(request.workload)
    workload = parameters.apply(workload, request.parameters, folder / "workload.yaml")
    workload, notes = columns.fit(workload, folder / "workload.yaml")
    beam = beam_options.beam_arguments(workload, request.beam)
    result = RunResult(workload.name, new_run_id(), until=list(request.until))
    with logged(result, home.runs_root(workload.name), display) as directory:
        outputs: dict[str, dict[str, list[Any]]] = {}
        for note in notes:
            display.said(note)
        with traced(result), recorded(result):
            outputs = _run_locked(workload, folder, request, beam, result, display)
        with _reporting_disk_errors(display):
            display.said("writing the run's report")
            aftermath.make_report(workload, result, directory, outputs)
            aftermath.record(workload, result, outputs, display.said)
    return result


@contextlib.contextmanager
def logged(result: RunResult, runs_root: pathlib.Path, display: Display) -> Iterator[pathlib.Path]:
    """Creates the run's folder; output goes into its log.txt, and the result into its run.json at the end."""
    directory = runs_root / result.run_id
    directory.mkdir(parents=True)
    result.log = str(directory / "log.txt")
    with noise.to_log(directory / "log.txt") as (out, err), progress.followed():
        display.started(result, out, err)
        try:
            yield directory
        finally:
            with _reporting_disk_errors(display):
                result.save(directory)
            display.ended(result)


def _run_locked(
    workload: Workload,
    folder: pathlib.Path,
    request: RunRequest,
    beam: tuple[str, ...],
    result: RunResult,
    display: Display,
) -> dict[str, dict[str, list[Any]]]:
    lock = home.pipeline_root(workload.name) / ".lock"
    with run_lock.exclusive(lock, f"run {result.run_id} of {workload.name}", request.wait_s, display.said):
        span = _lay_out(workload, request.span, display.said)
        result.span = span
        _say_unread(workload, span, display.said)
        code = provenance.code_of(workload.name)
        result.code_revision, result.code_digest = code.revision, code.digest
        root = home.pipeline_root(workload.name)
        started = time.monotonic()
        known = memo.facts(workload, folder, span)
        if memo.recall(root, known, result):
            result.seconds = round(time.monotonic() - started, 3)
            display.changed(result)
            return {}
        for asset in workload.assets.values():
            datasets.fetch_asset(asset)
        display.said(f"span {span}; loading TensorFlow and TFX")
        lazy_imports.install()
        try:
            if not memo.knows_data(root, known):
                prepared.prepare(_FIRST_WORKER)
            # Seconds of imports: after everything that can be refused without them.
            from pipelines.runners import local
            from pipelines.training import training_pipeline

            site = make_site(workload, folder, root, beam, code)
            graph = training_pipeline(workload, span, site)
            known = dataclasses.replace(known, rest=memo.rest(workload, folder))  # as the graph's own cache keys see it
            outputs = local.run_pipeline(graph, site, result, display.changed, request.until)
        finally:
            prepared.dismiss()
        if result.status == "succeeded":
            with contextlib.suppress(OSError):  # without a memo the next run asks MLMD, which only takes longer
                _remember(workload, folder, known, result, outputs)
        return outputs


def _remember(
    workload: Workload, folder: pathlib.Path, known: memo.Facts, result: RunResult, outputs: aftermath.Outputs
) -> None:
    """Writes the memo for the data that ingestion really read; not if anything else changed during the run."""
    if memo.rest(workload, folder) != known.rest:
        return  # e.g. a champion was promoted: some nodes saw the old one, some the new one
    read = json.loads(outputs["ColumnarExampleGen"]["examples"][0].get_string_custom_property("spans"))
    used = dataclasses.replace(known, spans=tuple((one["span"], one["digest"]) for one in read))
    uris = [a.uri for channels in outputs.values() for some in channels.values() for a in some]
    memo.remember(home.pipeline_root(workload.name), used, result, uris)


def make_site(
    workload: Workload,
    folder: pathlib.Path,
    root: pathlib.Path,
    beam: tuple[str, ...] = (),
    code: provenance.Code | None = None,
) -> Site:
    """Where a workload's pipeline finds and leaves things on this machine; artifacts and metadata lie in `root`."""
    from components.graph import Site
    from pipelines.metadata.opening import open_store

    code = code or provenance.code_of(workload.name)
    return Site(
        workload_folder=folder,
        schema_folder=home.schemas_root() / workload.name,
        data_root=home.data_root(),
        pipeline_root=root,
        store_uri=home.store_uri(),
        metadata=open_store(root),
        code_revision=code.revision,
        code_digest=code.digest,
        beam_args=beam,
    )


def _lay_out(workload: Workload, span: int | None, say: Callable[[str], None]) -> int:
    """The span to run on; it is laid out from the workload's data set if it is missing."""
    from components.ingestion import sources
    from landing import has_spans

    uri = workload.span_uri("{SPAN}", home.data_root())
    if not has_spans(uri):
        return 0
    available = sources.available_spans(uri)
    if span is None and available:
        return sources.newest_span(uri)  # skips one that is still being written
    if workload.data.dataset and span not in available:
        known = datasets.spans(workload.data.dataset)
        span = known[0] if span is None else span
        # The whole window, so that asking for span 2 first trains on what asking for 1 and then 2 does.
        for number in range(max(known[0], span - workload.data.window + 1), span + 1):
            if number not in available:
                say(f"laying out span {number} of the data set {workload.data.dataset}")
                datasets.prepare(workload.data.dataset, number, home.data_root() / workload.name)
    return sources.newest_span(uri) if span is None else span


def _say_unread(workload: Workload, span: int, say: Callable[[str], None]) -> None:
    """Says which folders of the window are not read: a file pattern skips them silently."""
    from landing import has_spans, locations, unread_folders

    uri = workload.span_uri("{SPAN}", home.data_root())
    if not has_spans(uri) or workload.data.format == "images":
        return
    for one in [place for number, place in locations(uri).items() if number <= span][-workload.data.window :]:
        if folders := unread_folders(one):
            say(f"span {one.span}: not read, since {one.uri} names files: the folder(s) {', '.join(folders[:5])}")


@contextlib.contextmanager
def traced(result: RunResult) -> Iterator[None]:
    """The run as a span, if traces are sent."""
    tracing.start("trainyard-pipeline")
    with tracing.span(f"run {result.workload}", **{"trainyard.run_id": result.run_id}) as span:
        yield
        span.tell({"trainyard.status": result.status}, failed=result.status == "failed")


@contextlib.contextmanager
def recorded(result: RunResult) -> Iterator[None]:
    """Puts errors outside the graph's nodes into the result, like those inside."""
    try:
        yield
    except InputError as error:
        result.error, result.exit_code = str(error), exit_codes.FIX_INPUT
    except TryAgainError as error:  # another run is at work, or an input is changing
        result.error, result.exit_code = str(error), exit_codes.MAY_RETRY
    except KeyboardInterrupt:
        result.error, result.exit_code = "interrupted", exit_codes.INTERRUPTED
    except Exception as error:
        noise.trace(error)
        trouble = machine_trouble(error)
        result.error = trouble or f"{type(error).__name__}: {one_line(error, 400)}"
        result.exit_code = exit_codes.FIX_INPUT if trouble else exit_codes.MAY_RETRY
    if result.error:
        result.status = "failed"


@contextlib.contextmanager
def _reporting_disk_errors(display: Display) -> Iterator[None]:
    """Says that the disk is too full for report.html or run.json; the run's outcome stands and is shown all the same."""
    try:
        yield
    except OSError as error:
        display.said(f"the run's record is incomplete: {machine_trouble(error) or error}")
