"""The verdict on a run in one sentence, the state of each gate, and what to do next."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from components.formats import figure, is_number, plural, shorten, signed
from components.gates import GateResult, Severity
from components.report.facts import FAILED, SUCCEEDED, ComponentFacts, RunFacts
from components.report.view import tally
from spec import graph
from spec.nodes import GateRecord

PASSED, WARNED, STOPPED, NOT_REACHED = "good", "warn", "bad", "idle"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of the run.

    Attributes:
        state: good (released), warn (complete, not released) or bad (stopped).
        details: reasons in words, with figures.
    """

    state: str
    sentence: str
    details: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class GateState:
    """One gate in the strip beneath the headline."""

    name: str
    state: str
    word: str
    detail: str
    anchor: str


@dataclasses.dataclass(frozen=True)
class Step:
    """Something to do next: why, and the command if there is one."""

    text: str
    command: str = ""


def verdict(facts: RunFacts) -> Verdict:
    """Released, champion kept, not released or stopped: decided by what is there, not by what should be."""
    if facts.status == FAILED:
        return _stopped(facts)
    if facts.release:
        return Verdict(PASSED, f"Released as version {facts.release['version']}{_achievement(facts)}.")
    return _not_released(facts)


def failed_component(facts: RunFacts) -> ComponentFacts | None:
    """The first component that failed."""
    return next((c for c in facts.components if c.status == FAILED), None)


def _stopped(facts: RunFacts) -> Verdict:
    node = failed_component(facts)
    consequence = f"version {facts.release['version']} was released before" if facts.release else "nothing was released"
    gate = facts.gates.get(node.id) if node else next((g for g in facts.gates.values() if not g.passes), None)
    if gate is not None and not gate.passes:
        failed, objections = gate.failures(Severity.CRITICAL), gate.objections(Severity.CRITICAL)
        name = graph.title(node.id if node else gate.gate).lower()
        many = f"{len(failed or objections)} of {plural(len(gate.checks), 'check')}"
        found = f"{many} {'failed' if failed else 'could not be judged'}"
        sentence = f"Stopped at the {name} gate: {found}, {consequence}."
        return Verdict(STOPPED, sentence, tuple(c.words for c in objections[:4]))
    where = f"Failed in {node.id}" if node else "The run failed"
    return Verdict(STOPPED, f"{where}: {consequence}.", ())


def _not_released(facts: RunFacts) -> Verdict:
    reasons = tuple(str(r) for r in (facts.metrics or {}).get("reasons") or ())
    if facts.metrics is not None and not facts.metrics.get("blessed", True):
        because = f" because {_clause(reasons[0])}" if reasons else ": the evaluation gate withheld its blessing"
        return Verdict(WARNED, f"{_kept(facts)}{because}.", reasons[1:])
    objections = [check for _, gate in model_gates(facts) for check in gate.objections(Severity.CRITICAL)]
    if objections:
        words = tuple(check.words for check in objections)
        return Verdict(WARNED, f"{_kept(facts)} because {_clause(words[0])}.", words[1:])
    pushed = facts.artifacts.get("pushed_model")
    reason = str(pushed.properties.get("reason") or "") if pushed else ""
    if reason:
        return Verdict(WARNED, f"{_kept(facts)} because {_clause(reason)}.")
    if facts.metrics is None:
        return Verdict(WARNED, "The run is complete, but it has no evaluation and released nothing.")
    return Verdict(WARNED, f"{_kept(facts)}: the model passed its gates, but nothing was pushed.")


def _kept(facts: RunFacts) -> str:
    version = champion_version(facts)
    return f"Kept champion version {version}" if version else "Not released"


def champion_version(facts: RunFacts) -> int | None:
    """The release that the challenger was compared with, if there was one."""
    comparison = (facts.metrics or {}).get("champion") or {}
    version = comparison.get("version") or (facts.champion or {}).get("version")
    return int(version) if version else None


def _achievement(facts: RunFacts) -> str:
    metrics = facts.metrics or {}
    value = (metrics.get("overall") or {}).get(facts.primary.name)
    if not is_number(value):
        return ""
    text = f": {facts.primary.title} {figure(value)}"
    comparison = metrics.get("champion") or {}
    if is_number(comparison.get("difference")):
        text += f", {signed(comparison['difference'])} against champion version {comparison.get('version', '?')}"
    return text


def _clause(reason: str) -> str:
    """A reason as the end of a sentence; names such as AUC keep their capitals."""
    reason = shorten(reason.strip().rstrip("."), 220)
    return reason[0].lower() + reason[1:] if len(reason) > 1 and reason[1].islower() else reason


def gate_strip(facts: RunFacts) -> tuple[GateState, ...]:
    """Every gate between data and release, and how far the run came: those on data worst first, then those on models."""
    on_data = [_gate_state(facts, record) for record in _data_gates(facts)]
    on_models = [_gate_state(facts, record) for record in graph.model_gates()]
    states = (*on_data, *on_models)
    if facts.release:
        released = GateState("Release", PASSED, "Released", f"version {facts.release['version']}", "lineage")
    elif facts.status == FAILED:
        released = GateState("Release", NOT_REACHED, "Not reached", "", "lineage")
    else:
        released = GateState("Release", WARNED, "Withheld", "nothing pushed", "lineage")
    return (*states, released)


def data_gates(facts: RunFacts) -> list[tuple[GateRecord, GateResult]]:
    """What the gates on data found, worst first."""
    return [(record, facts.gates[record.id]) for record in _data_gates(facts) if record.id in facts.gates]


def model_gates(facts: RunFacts) -> list[tuple[GateRecord, GateResult]]:
    """What the gates on models found."""
    return [(record, facts.gates[record.id]) for record in graph.model_gates() if record.id in facts.gates]


def _data_gates(facts: RunFacts) -> list[GateRecord]:
    def gravity(record: GateRecord) -> int:
        gate = facts.gates.get(record.id)
        return 3 if gate is None else 0 if not gate.passes else 1 if gate.objections(Severity.WARNING) else 2

    return sorted(graph.data_gates(), key=gravity)


def _gate_state(facts: RunFacts, record: GateRecord) -> GateState:
    name, anchor, gate = record.title, record.section, facts.gates.get(record.id)
    if gate is None:
        return _state_of_component(facts, record)
    detail = _tally(gate)
    if not gate.passes:
        word = "Failed" if gate.failures(Severity.CRITICAL) else "Not judged"
        return GateState(name, STOPPED, word, detail, anchor)
    warnings = gate.objections(Severity.WARNING)
    return GateState(name, WARNED if warnings else PASSED, "Warned" if warnings else "Passed", detail, anchor)


def _state_of_component(facts: RunFacts, record: GateRecord) -> GateState:
    """A gate that left no result: its component tells how far it came."""
    name = record.title
    status = next((c.status for c in facts.components if c.id == record.id), None)
    if status == FAILED:
        return GateState(name, STOPPED, "Failed", "before it could judge", "error")
    if status == SUCCEEDED:
        return GateState(name, PASSED, "Passed", "", "")
    return GateState(name, NOT_REACHED, "Not reached" if facts.status == FAILED else "No result", "", "")


def _tally(gate: GateResult) -> str:
    if not gate.checks:
        return "nothing to check"
    parts = tally(gate)
    return f"{', '.join(parts)} of {plural(len(gate.checks), 'check')}" if parts else plural(len(gate.checks), "check")


def next_steps(facts: RunFacts, state: str) -> tuple[Step, ...]:
    """What a person can do now, most useful first."""
    name = str(facts.workload.get("name", "<workload>"))
    if state == PASSED and facts.release:
        return _after_release(name, facts.release)
    if facts.status == FAILED:
        return _after_failure(facts, name)
    bars = f"The bars are in pipelines/workloads/{name}/workload.yaml under evaluation."
    return (
        Step(f"{bars} Look at the weakest slices below before lowering one."),
        Step(
            "Change features.py, model.py or the hyperparameters and run again; the rest comes from the cache.",
            f"./trainyard run {name}",
        ),
        Step("See what is serving now.", f"./trainyard release list {name}"),
    )


def _after_release(name: str, release: Mapping[str, Any]) -> tuple[Step, ...]:
    version = release["version"]
    return (
        Step(
            "Look at the release: its data, metrics, gates and the digest of every file.",
            f"./trainyard release show {name} {version}",
        ),
        Step("Show its card to people outside.", f"./trainyard release card {name} {version} --html > card.html"),
        Step(
            f"The DAG deploy_{name} takes it from here: it loads it, compares its answers with stable and promotes it. "
            "By hand:",
            f"./trainyard release promote {name} {version}",
        ),
        Step("If it does not do well in service, go back.", f"./trainyard release rollback {name}"),
    )


def _after_failure(facts: RunFacts, name: str) -> tuple[Step, ...]:
    node = failed_component(facts)
    examples = facts.artifacts.get("examples")
    span = examples.properties.get("span") if examples else None
    again = f"./trainyard run {name}" + (f" --span {span}" if is_number(span) else "")
    record = graph.find(node.id) if node else None
    first = record.remedy.format(name=name) if record else ""
    first = first or "Read the message above and the log of the run."
    return (Step(first), Step("Then run again: finished components come from the cache.", again))
