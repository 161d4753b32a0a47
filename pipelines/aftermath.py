"""What is written about a run when it is over: its page, and its entry in the history of data quality."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pipelines.runners.results import RunResult
from quality.provenance import Code
from spec import graph, home
from spec.words import one_line
from spec.workload import Workload

if TYPE_CHECKING:
    from components.report.facts import ArtifactFacts, RunFacts
    from quality.history import History

Outputs = Mapping[str, Mapping[str, list[Any]]]


def make_report(workload: Workload, result: RunResult, directory: pathlib.Path, outputs: Outputs) -> None:
    """Puts the run's page beside its log: the Report node's, or one made from what a failed run left."""
    page = directory / "report.html"
    if result.same_as:
        return  # the earlier run's page stands
    if "run" in result.reports:
        shutil.copyfile(result.reports["run"], page)
    elif result.components and result.status == "failed":
        from components.report.render import render_run

        page.write_text(render_run(_facts(workload, result, outputs)), encoding="utf-8")
    else:
        return
    result.reports["run"] = str(page)


def record(workload: Workload, result: RunResult, outputs: Outputs, say: Callable[[str], None]) -> None:
    """Adds what the run found in its data to the history, and brings the report site up to date.

    A history that cannot be written is reported, and changes nothing about the run.
    """
    if result.same_as or not result.components:
        return  # no data was looked at: what an earlier run found stands
    try:
        page = _record(workload, result, outputs, say)
    except Exception as error:  # a database's trouble does not change the run's outcome
        say(f"the history of data quality has no entry of this run: {one_line(error, 400)}")
        return
    if page is not None:
        from components.report.site import page_url

        result.reports["data_quality_page"] = str(page)
        if url := page_url(workload.name, page.parent.name):
            result.reports["data_quality_url"] = url


def _record(workload: Workload, result: RunResult, outputs: Outputs, say: Callable[[str], None]) -> pathlib.Path | None:
    from quality import lineage
    from quality.history import History
    from quality.history import runs as recording
    from quality.reports import build, page_of

    site = home.home() / "reports"
    facts = _facts(workload, result, outputs)
    documents = {"report": result.reports["run"]} if "run" in result.reports else {}
    validation = recording.from_run(facts, result.span, documents)
    if validation is None:
        return None
    release = recording.release_of(facts, result.span)
    with History.open() as history:
        before = _judged_before(history, result)
        if before is None:
            history.record(validation, release)
            code = Code(result.code_revision, result.code_digest)
            lineage.emit(validation, workload.span_uri(str(result.span), home.data_root()), say, code)
        elif release is not None:
            history.record_releases([release])
        build(history, site, only=workload.name)
    return page_of(site, workload.name, before or validation.id)


def _judged_before(history: History, result: RunResult) -> str | None:
    """The earlier validation that still holds, because all of this run's gates came from the cache; else None."""
    judging = {record.id for record in graph.data_gates()}
    gates = [one for one in result.components if one.id in judging]
    if result.status != "succeeded" or not gates or not all(one.cached for one in gates):
        return None
    return next((one.id for one in history.validations(result.workload) if one.span == result.span), None)


def _facts(workload: Workload, result: RunResult, outputs: Outputs) -> RunFacts:
    from components.gates import evidence_directory
    from components.report.collect import collect, collect_failure

    plain, artifacts = workload.model_dump(mode="json"), _artifacts(outputs)
    if result.status == "succeeded":
        return collect(plain, result.run_id, artifacts)
    components = [dataclasses.asdict(component) for component in result.components]
    evidence = evidence_directory(str(home.pipeline_root(workload.name)), result.run_id, "")
    return collect_failure(plain, result.run_id, components, result.error or "", evidence, artifacts)


def _artifacts(outputs: Outputs) -> dict[str, ArtifactFacts]:
    """What the finished nodes wrote, by its names among a run's artifacts."""
    from components.report.collect import artifact_facts

    return {
        record.name_of(output): facts
        for record in graph.records()
        for output, artifacts in outputs.get(record.id, {}).items()
        if (facts := artifact_facts(artifacts)) is not None
    }
