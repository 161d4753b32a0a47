"""Runs a training pipeline in the pipelines environment, as a process of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.process import Finished, StreamedProcess
from pipelines import home

EXIT_FIX_INPUT = 2
"""What the CLI exits with when a retry cannot help (components/errors.py, which needs TFX's environment)."""


class PipelineRunOperator(BaseOperator):
    """Runs `trainyard run <workload> --json` and returns the JSON object that it prints.

    The CLI's progress goes to the task log line by line. Exit code 2 fails the task for good, any other may retry.
    When the task is marked failed or runs into its timeout, the whole process group ends.

    Args:
        workload: The workload's name.
        span: The span to train on; None: the newest.
    """

    template_fields: Sequence[str] = ("span",)
    ui_color = "#e8f0fe"

    def __init__(self, *, workload: str, span: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workload = workload
        self.span = span
        self._process: StreamedProcess | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        argv = pipeline_argv(self.workload, self.span)
        self.log.info("Starting: %s", " ".join(argv))
        self._process = StreamedProcess(argv, _environment(), self.log.info)
        finished = self._process.wait()
        outcome = read_outcome(finished)
        for line in summary_lines(outcome):
            self.log.info(line)
        return outcome

    def on_kill(self) -> None:
        if self._process is not None:
            self.log.warning("Ending the pipeline's process group %s.", self._process.pid)
            self._process.stop()


def pipeline_argv(workload: str, span: int | None) -> list[str]:
    """The command that runs a workload's pipeline in its own environment."""
    argv = [str(home.environment_python("pipelines")), "-m", "pipelines.cli", "run", workload, "--json"]
    return argv if span is None else [*argv, "--span", str(span)]


def read_outcome(finished: Finished) -> dict[str, Any]:
    """The JSON object that a finished run printed.

    Raises:
        AirflowFailException: the input needs mending; trying again cannot help.
        AirflowException: anything else; Airflow tries again.
    """
    said = finished.last_lines[-1] if finished.last_lines else "it printed nothing"
    outcome = _last_json_object(finished.stdout)
    reasons = (outcome.get("error") or "; ".join(outcome.get("reasons") or [])) if outcome else ""
    if finished.returncode == EXIT_FIX_INPUT:
        raise AirflowFailException(f"Not retried, the input needs mending: {reasons or said}")
    if finished.returncode < 0:
        raise AirflowException(f"The pipeline was ended by signal {-finished.returncode}.")
    if finished.returncode != 0:
        raise AirflowException(f"The pipeline failed with exit code {finished.returncode}: {reasons or said}")
    if outcome is None:
        raise AirflowException(
            f"The pipeline exited with 0 and printed no JSON object. Received: {finished.stdout!r:.200}"
        )
    return outcome


def summary_lines(outcome: Mapping[str, Any]) -> list[str]:
    """The run in a few lines for the task log: figures, verdict, where the reports are."""
    lines = [f"Run {outcome.get('run_id')}: {outcome.get('status')} in {outcome.get('seconds')} s"]
    metrics = outcome.get("metrics") or {}
    figures = {k: round(v, 4) for k, v in metrics.get("overall", metrics).items() if isinstance(v, int | float)}
    if figures:
        lines.append("Metrics: " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    if champion := outcome.get("champion"):
        lines.append(in_words(champion))
    if release := outcome.get("release"):
        lines.append(f"Released as version {release['version']}: {release['uri']}")
    lines += [f"Not released: {reason}" for reason in outcome.get("reasons") or []]
    lines += [f"Report ({name}): {path}" for name, path in (outcome.get("reports") or {}).items() if path]
    return lines


def in_words(champion: Mapping[str, Any]) -> str:
    """The comparison with the champion in one line."""
    return (
        f"Champion is version {champion['version']}: {champion['metric']} {champion['champion_value']:.4f}, "
        f"this model {champion['challenger_value']:.4f} ({champion['difference']:+.4f})"
    )


def _environment() -> dict[str, str]:
    # Airflow's own settings hold its keys: the pipeline has no use for them.
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}


def _last_json_object(text: str) -> dict[str, Any] | None:
    for candidate in (text, text.strip().rsplit("\n", 1)[-1]):
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return None
