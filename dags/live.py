"""How well a served model does, by the labels that come later, and what is done where it does not do what it has to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

import storage
from dags import alerts
from dags.alerts import Severity
from dags.assets import filled_in
from dags.links import DATA_QUALITY, pages_of, report_links
from dags.operators import TrainyardOperator, last_json_object, read_outcome
from dags.recorded import has_labels, nothing_recorded
from dags.release_choice import ROLLBACK
from dags.skips import skipped
from landing import glob
from spec import exit_codes
from spec.workload import Workload


class FeedbackOperator(TrainyardOperator):
    """Takes in the files with labels that have landed; tells people which rows could not be used."""

    def __init__(self, *, definition: Workload, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.definition = definition

    def execute(self, context: Context) -> dict[str, Any]:
        name, uri = self.definition.name, filled_in(self.definition.monitoring.live.feedback, self.definition)
        if reason := nothing_recorded(name):
            raise skipped(f"{name}: {reason}")
        if not glob(*storage.filesystem(uri, fresh=True)):
            raise skipped(f"{name}: no labels have landed at {uri}")
        finished = self.finished(["feedback", name, "--json"])
        found = last_json_object(finished.stdout)
        if found is None or finished.returncode not in (exit_codes.OK, exit_codes.FIX_INPUT):
            return read_outcome(finished)  # raises what the command came to
        told = [line for one in found["files"] for line in _problems(one)]
        self.log.info("%d labels kept", found["kept"])
        if told:
            alerts.send(self.definition, "labels could not be used", "\n".join(told), Severity.WARNING)
        return {"kept": found["kept"], "refused": found["refused"]}


def _problems(taken: Mapping[str, Any]) -> list[str]:
    """What could not be used of a file: that line, or how many rows and the first of them."""
    if not taken["problems"]:
        return []
    kept = f"{taken['kept']:,} labels kept, {taken['refused']:,} refused"
    return [f"{taken['file']}: {kept}", *taken["problems"][:3]]


class LiveOperator(TrainyardOperator):
    """Judges the live metrics. What has to be done is the next task's."""

    def __init__(self, *, workload: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workload = workload

    def execute(self, context: Context) -> dict[str, Any]:
        if reason := nothing_recorded(self.workload):
            raise skipped(f"{self.workload}: {reason}")
        if not has_labels(self.workload):
            raise skipped(f"{self.workload}: no labels have come yet")
        finished = self.finished(["live", self.workload, "--json"])
        found = last_json_object(finished.stdout)
        if found is None or finished.returncode not in (exit_codes.OK, exit_codes.FIX_INPUT):
            return read_outcome(finished)  # raises what the command came to
        reports = {DATA_QUALITY: found["page"]}
        self.pages = pages_of(reports)
        (self.log.warning if found["breach"] else self.log.info)("%s", found["headline"])
        for one in found["versions"]:
            for verdict, message in one["verdicts"].values():
                self.log.info("- version %s, %s: %s", one["version"], verdict, message)
        return {"headline": found["headline"], "breach": found["breach"], "reports": report_links(reports)}


class ActOperator(TriggerDagRunOperator):
    """Does what `monitoring.live.then` says about a surely broken bound, once for each version and metric.

    Args:
        judged: the task whose verdict it is.
    """

    operator_extra_links = ()  # the inherited link needs what a skipped task does not have

    def __init__(self, *, definition: Workload, judged: str, **kwargs: Any) -> None:
        super().__init__(trigger_dag_id=f"retrain_{definition.name}", skip_when_already_exists=True, **kwargs)
        self.definition, self.judged = definition, judged

    def execute(self, context: Context) -> None:
        found: Mapping[str, Any] = context["ti"].xcom_pull(task_ids=self.judged) or {}
        breach = found.get("breach")
        if not breach:
            raise skipped("no bound is surely broken")
        if breach["then"] == "alert":
            raise AirflowFailException(breach["words"])
        if breach["refused"]:
            raise AirflowFailException(f"{breach['words']}. Not rolled back: {breach['refused']}.")
        if breach["then"] == ROLLBACK:
            self.trigger_dag_id = f"deploy_{self.definition.name}"
            self.conf = {
                "action": ROLLBACK,
                "version": breach["to"],
                "reason": f"live metrics: {breach['words']}"[:1000],
            }
        self.trigger_run_id = f"live_{breach['id']}"
        run = f"{self.trigger_run_id} of {self.trigger_dag_id}"
        if context["ti"].get_dr_count(self.trigger_dag_id, run_ids=[self.trigger_run_id]):
            raise skipped(f"{breach['words']}. Run {run} was started for it before.")
        alerts.send(self.definition, _title(breach), f"{breach['words']}.\nStarted: run {run}.", Severity.ERROR)
        super().execute(context)


def _title(breach: Mapping[str, Any]) -> str:
    done = f"going back to version {breach['to']}" if breach["then"] == ROLLBACK else "retraining"
    return f"version {breach['version']} breaks a live bound: {done}"
