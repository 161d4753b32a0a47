"""Writes what a run on Kubeflow found in its data into the history of data quality, if TRAINYARD_HISTORY names one.

No process sees a whole run here, so the node that ends it writes: Report, or a gate that refuses. Gates run at the same time,
so each gate that ends after a refusal writes what is known by then.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

import storage
from components.data_quality.record import RECORD as DATA_QUALITY
from components.gates import evidence_directory
from components.report.collect import artifact_facts, collect, collect_failure
from components.report.facts import ArtifactFacts, RunFacts
from components.report.record import RECORD as REPORT
from components.staged import CANONICAL_URI
from pipelines.runners.kubeflow.pod.staging import say
from quality import lineage
from quality.history import History, Validation, runs
from quality.provenance import code_of
from spec import environment as env
from spec import graph, home
from spec.words import one_line
from spec.workload import find_workload

_EVIDENCE = ("gate.json", "profile.json")


@dataclasses.dataclass(frozen=True)
class Run:
    """The run of a node.

    Attributes:
        store: of metadata, connected.
    """

    workload: str
    run_id: str
    root: str
    store: Any


def record(run: Run, node_id: str, error: str = "") -> None:
    """Adds the run to the history, if this node ends it. Reports errors, and never fails the node.

    Args:
        error: what ended it, in words; empty where it succeeded.
    """
    if not os.environ.get(env.HISTORY) or not _ends_a_run(node_id):
        return
    try:
        with History.open() as history:
            _record(history, run, node_id, error)
    except Exception as trouble:  # a database's trouble does not change the run's outcome
        say(f"the history of data quality has no entry of this run: {one_line(trouble, 400)}")


def _record(history: History, run: Run, node_id: str, error: str) -> None:
    known = history.load(run.run_id)
    if node_id != REPORT.id and not error and (known is None or known.outcome != "failed"):
        return  # the run goes on, and Report will cover this gate
    refused = known.error or known.headline if known is not None and node_id != REPORT.id else ""
    said = error or refused
    for _ in range(2):  # a gate that refused at the same moment may have written its evidence meanwhile
        with tempfile.TemporaryDirectory() as folder:
            facts, from_cache = _facts(run, node_id, said, pathlib.Path(folder))
        span = _span(facts)
        release = runs.release_of(facts, span)
        if from_cache and not said and any(one.span == span for one in history.validations(run.workload)):
            history.record_releases([release] if release else [])
            return  # no data was looked at
        found = runs.from_run(facts, span, _documents(run, facts))
        if found is None or ((written := history.load(run.run_id)) and _told(written) == _told(found)):
            return
        history.record(found, release)
        lineage.emit(found, _source(run, facts, span), say, code_of(run.workload))
        say(f"history of data quality: {found.headline}")
        if not said:
            return


def _facts(run: Run, node_id: str, error: str, folder: pathlib.Path) -> tuple[RunFacts, bool]:
    """What the run has produced so far, and whether all of its data gates came from the cache."""
    workload: dict[str, Any] = {"name": run.workload}
    with contextlib.suppress(Exception):  # the image may hold other workloads
        workload = find_workload(run.workload)[0].model_dump(mode="json")
    artifacts, cached, files = {}, [], _files()
    gates = {record.id for record in graph.data_gates()}
    for node, state, name, made in _outputs(run.store, run.run_id):
        if name in files and (facts := artifact_facts([made])) is not None:
            artifacts[name] = _fetched(facts, files[name], folder / name)
        if node in gates:
            cached.append(state == mlmd.Execution.CACHED)
    if not error:
        return collect(workload, run.run_id, artifacts), bool(cached) and all(cached)
    for gate in sorted(gates):
        place = evidence_directory("", run.run_id, gate).as_posix()
        _fetch(f"{run.root}/{place}", _EVIDENCE, folder / "evidence" / gate)
    failed = [{"id": node_id, "status": "failed"}]
    return collect_failure(workload, run.run_id, failed, error, folder / "evidence", artifacts), False


def _files() -> dict[str, tuple[str, ...]]:
    """What the history is made from: the small files of artifacts, by the names of these. A page links to the rest."""
    found = {record.result_name: _EVIDENCE for record in graph.data_gates()}
    return {"examples": (), **found, "champion": ("release.json",), "pushed_model": ("release.json",)}


def _ends_a_run(node_id: str) -> bool:
    record = graph.find(node_id)
    return record is not None and (record.reads_data or node_id == REPORT.id)


def _outputs(store: Any, run_id: str) -> Iterator[tuple[str, Any, str, Any]]:
    """(node, state, output, artifact) of each output that the run's nodes produced or took from the cache."""
    from pipelines.metadata.upkeep import tfx_outputs_of

    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    kinds = {one.id: one.name for one in store.get_execution_types()} if context else {}
    for execution in store.get_executions_by_context(context.id) if context else ():
        if execution.last_known_state not in (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED):
            continue
        node = kinds[execution.type_id].rpartition(".")[2]
        for output, made in tfx_outputs_of(store, execution.id).items():
            if made:
                yield node, execution.last_known_state, output, made[0]


def _fetched(facts: ArtifactFacts, files: tuple[str, ...], folder: pathlib.Path) -> ArtifactFacts:
    """The artifact with its needed files copied to a local folder; it remembers where it really lies."""
    _fetch(facts.uri, files, folder)
    return dataclasses.replace(facts, uri=str(folder), properties={**facts.properties, CANONICAL_URI: facts.original})


def _fetch(uri: str, names: tuple[str, ...], folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (content := storage.read_if_there(f"{uri.rstrip('/')}/{name}")) is not None:
            (folder / name).write_bytes(content)
    if not any(folder.iterdir()) and folder.parent.name == "evidence":
        folder.rmdir()


def _documents(run: Run, facts: RunFacts) -> Mapping[str, str]:
    """Where this run's pages lie; they are fetched when a site is built."""
    places = {}
    if DATA_QUALITY.page and (quality := facts.artifacts.get(DATA_QUALITY.page.output)) is not None:
        places["data_docs"] = f"{quality.original}/{DATA_QUALITY.page.file}"
    elif DATA_QUALITY.page and DATA_QUALITY.id in facts.gates:
        evidence = evidence_directory("", run.run_id, DATA_QUALITY.id).as_posix()
        places["data_docs"] = f"{run.root}/{evidence}/{DATA_QUALITY.page.file}"
    report = next((made.uri for node, _, _, made in _outputs(run.store, run.run_id) if node == REPORT.id), "")
    return {**places, "report": f"{report}/index.html"} if report else places


def _source(run: Run, facts: RunFacts, span: int | None) -> str:
    """Where the span lies, by this image's workload; else where its Examples lie."""
    with contextlib.suppress(Exception):
        return find_workload(run.workload)[0].span_uri(str(span), home.data_uri())
    examples = facts.artifacts.get("examples")
    return examples.original if examples else f"{run.root}/{run.run_id}"


def _span(facts: RunFacts) -> int | None:
    examples = facts.artifacts.get("examples")
    noted = json.loads(str(examples.properties.get("spans") or "[]")) if examples else []
    if noted:
        return int(noted[-1]["span"])
    return int(examples.properties["span"]) if examples and "span" in examples.properties else None


def _told(one: Validation) -> tuple[Any, ...]:
    return one.outcome, one.headline, sorted((check.gate, check.name, check.passes) for check in one.checks)
