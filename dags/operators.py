"""Runs Trainyard's commands as processes in the pipelines environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

import tracing
from dags.lineage import lineage_of
from dags.links import DataQualityLink, ReportLink, pages_of, report_links
from dags.process import Finished, StreamedProcess
from dags.skips import skipped
from spec import exit_codes, graph, home

FINAL = "Not retried, the input needs mending: "


class TrainyardOperator(BaseOperator):
    """Runs a `trainyard` command that prints one JSON object, and returns that.

    Its messages go to the task log line by line. Exit code 2 fails the task for good; after any other it may be retried. When
    the task is marked failed or times out, the whole process group is ended.

    Args:
        arguments: after `trainyard`.

    Attributes:
        pages: URLs of the pages that the command made, by the names in its `reports`.
    """

    template_fields: Sequence[str] = ("arguments",)
    ui_color = "#e8f0fe"

    def __init__(self, *, arguments: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arguments = arguments
        self.pages: Mapping[str, str] = {}
        self._process: StreamedProcess | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        return self.outcome(list(self.arguments))

    def outcome(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Runs the command and waits for its end.

        Raises:
            AirflowFailException: the input has to be corrected.
            AirflowException: anything else that went wrong.
        """
        finished = self.finished(arguments)
        found = last_json_object(finished.stdout) or {}
        for gate in found.get("gates") or []:
            self.tell_gate(gate)
        self.pages = pages_of(found.get("reports") or {})
        return read_outcome(finished)

    def finished(self, arguments: Sequence[str]) -> Finished:
        """Runs the command and waits for its end, however it ends."""
        argv = command(*arguments)
        self.log.info("Starting: %s", " ".join(argv))
        try:
            self._process = StreamedProcess(argv, _environment(), self.log.info)
        except OSError as error:
            raise AirflowFailException(
                f"{argv[0]}: {error.strerror}. Install it (./trainyard setup pipelines), or name its folder in TRAINYARD_VENVS."
            ) from None
        return self._process.wait()

    def on_kill(self) -> None:
        if self._process is not None:
            self.log.warning("Ending the command's process group %s.", self._process.pid)
            self._process.stop()

    def tell_gate(self, gate: Mapping[str, Any]) -> None:
        """Writes what a gate found into the task's log."""
        (self.log.info if gate["passes"] else self.log.error)("Gate %s", gate["summary"])
        for finding in gate["findings"]:
            self.log.warning("- %s: %s", finding["severity"], finding["message"])
        if gate.get("report"):
            self.log.info("- report: %s", gate["report"])


class PipelineRunOperator(TrainyardOperator):
    """Runs a workload's pipeline, or a part of it, and returns the run's outcome.

    Parts share one cache: this task takes from it what earlier tasks of the DAG have done.

    Args:
        workload: the workload's name.
        span_of: the task that has chosen the span and returned it (None: the newest). Its result is pulled when this task runs:
            as an argument it would draw an edge to every task of the graph.
        until: nodes to end with; empty: the whole pipeline.
        skip_if_unchanged: skip this task, and those after it, if a whole run has seen the same data, code and champion.
    """

    template_fields: Sequence[str] = ()
    operator_extra_links = (ReportLink(), DataQualityLink())

    def __init__(
        self,
        *,
        workload: str,
        span_of: str,
        until: Sequence[str] = (),
        skip_if_unchanged: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workload = workload
        self.span_of = span_of
        self.until = tuple(until)
        self.skip_if_unchanged = skip_if_unchanged
        self._found: Mapping[str, Any] = {}

    def outcome(self, arguments: Sequence[str]) -> dict[str, Any]:
        """The outcome of the run; see `TrainyardOperator.outcome`."""
        self._found = outcome = super().outcome(arguments)
        return outcome

    def execute(self, context: Context) -> dict[str, Any]:
        outcome = self.outcome(self.run_arguments(context))
        for line in summary_lines(outcome):
            self.log.info(line)
        if self.skip_if_unchanged and (reason := unchanged(outcome)):
            raise skipped(reason)
        return outcome

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """For OpenLineage's provider: the data that was read, and the release."""
        return lineage_of(self.workload, self._found)

    def run_arguments(self, context: Context) -> list[str]:
        """The arguments of `trainyard run` for the workload and the chosen span."""
        return run_arguments(self.workload, context["ti"].xcom_pull(task_ids=self.span_of), self.until)


def command(*arguments: str) -> list[str]:
    """The command line of a `trainyard` command in the pipelines environment."""
    return [str(home.environment_python("pipelines")), "-P", "-m", "cli.main", *arguments]


def run_arguments(workload: str, span: int | None, until: Sequence[str] = ()) -> list[str]:
    """The arguments of `trainyard run` for a workload."""
    arguments = ["run", workload, "--json"]
    if span is not None:
        arguments += ["--span", str(span)]
    for node in until:
        arguments += ["--until", node]
    return arguments


def unchanged(outcome: Mapping[str, Any]) -> str:
    """Why a run would come to nothing new, in words; empty if it may."""
    whole = any(component["id"] == graph.records()[-1].id for component in outcome.get("components") or [])
    if not outcome.get("same_as") or not whole:
        return ""
    release = outcome.get("release")
    if release and not tried_before(outcome["workload"], int(release["version"])):
        return ""  # released, and nobody has been told: the run that did it was killed
    return f"{outcome['workload']}: nothing has changed since run {outcome['same_as']}: the same data, code, contracts and champion"


def tried_before(model: str, version: int) -> str:
    """What has happened to a release since it was published, in words; empty for a new one."""
    from model_store import ModelStore

    moved = [e for e in ModelStore(home.store_uri()).history(model) if e.version == version and e.action != "publish"]
    return f"{moved[-1].action} at {moved[-1].at[:19]} ({moved[-1].reason})" if moved else ""


def read_outcome(finished: Finished) -> dict[str, Any]:
    """The JSON object that a finished command printed.

    Raises:
        AirflowFailException: the input has to be corrected; a retry cannot help.
        AirflowException: anything else; Airflow retries.
    """
    said = finished.last_lines[-1] if finished.last_lines else "it printed nothing"
    outcome = last_json_object(finished.stdout)
    reasons = (outcome.get("error") or "; ".join(outcome.get("reasons") or [])) if outcome else ""
    if finished.returncode == exit_codes.FIX_INPUT:
        raise AirflowFailException(f"{FINAL}{reasons or said}")
    if finished.returncode < 0:
        raise AirflowException(f"The command was ended by signal {-finished.returncode}.")
    if finished.returncode != 0:
        raise AirflowException(f"The command failed with exit code {finished.returncode}: {reasons or said}")
    if outcome is None:
        raise AirflowException(
            f"The command exited with 0 and printed no JSON object. Received: {finished.stdout!r:.200}"
        )
    return outcome


def summary_lines(outcome: Mapping[str, Any]) -> list[str]:
    """A summary of the run for the task log: figures, verdict, and where the reports are."""
    lines = [f"Run {outcome.get('run_id')}: {outcome.get('status')} in {outcome.get('seconds')} s"]
    metrics = outcome.get("metrics") or {}
    figures = {k: round(v, 4) for k, v in metrics.get("overall", metrics).items() if isinstance(v, int | float)}
    if figures:
        sure = {k: f" ({one['words']})" for k, one in (outcome.get("bounds") or {}).items() if one["gated"]}
        lines.append("Metrics: " + ", ".join(f"{k} {value}{sure.get(k, '')}" for k, value in figures.items()))
    if champion := outcome.get("champion"):
        lines.append(in_words(champion))
    if release := outcome.get("release"):
        lines.append(f"Released as version {release['version']}: {release['uri']}")
    lines += [f"Not released: {reason}" for reason in outcome.get("reasons") or []]
    lines += [f"Report ({name}): {place}" for name, place in report_links(outcome.get("reports") or {}).items()]
    return lines


def in_words(champion: Mapping[str, Any]) -> str:
    """The comparison with the champion in one line."""
    return (
        f"Champion is version {champion['version']}: {champion['metric']} {champion['champion_value']:.4f}, "
        f"this model {champion['challenger_value']:.4f} ({champion['difference']:+.4f})"
    )


def last_json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a command printed; None if it printed something else."""
    for candidate in (text, text.strip().rsplit("\n", 1)[-1]):
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return None


def _environment() -> dict[str, str]:
    # Airflow's settings hold its keys, which the pipeline does not need.
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    trace = tracing.carried().get(tracing.HEADER)
    return ours | ({tracing.VARIABLE: trace} if trace else {})
