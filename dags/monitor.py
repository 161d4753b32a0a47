"""`monitor_<workload>`: looks at a model in use, what it is asked and how well it answers, and acts on what it finds."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, TriggerRule

from dags.defaults import clock, workload_dag
from dags.live import ActOperator, FeedbackOperator, LiveOperator
from dags.skew import SkewOperator
from spec.workload import Workload

TIMEOUT = timedelta(minutes=30)
JUDGE = "judge_live"


def build_monitor_dag(workload: Workload) -> DAG:
    """The monitoring DAG of a workload: take_feedback -> judge_live -> act; check_skew."""
    cron = workload.monitoring.cron
    with workload_dag(
        workload,
        "monitor",
        "monitor",
        description=f"Looks at what {workload.name}'s model is asked and how well it answers",
        schedule=None if cron is None else clock(workload, cron, "monitoring.cron"),
        doc_md=_DAG_DOC.format(workload=workload.name, owner=workload.owner),
    ) as dag:
        taken = FeedbackOperator(
            task_id="take_feedback", definition=workload, doc_md=_FEEDBACK_DOC, execution_timeout=TIMEOUT
        )
        judged = LiveOperator(
            task_id=JUDGE,
            workload=workload.name,
            trigger_rule=TriggerRule.NONE_FAILED,
            doc_md=_JUDGE_DOC,
            execution_timeout=TIMEOUT,
        )
        taken >> judged >> ActOperator(task_id="act", definition=workload, judged=JUDGE, doc_md=_ACT_DOC)
        SkewOperator(task_id="check_skew", workload=workload.name, doc_md=_SKEW_DOC, execution_timeout=TIMEOUT)
    return dag


_DAG_DOC = """\
### The model of {workload} in use
By `monitoring.cron`: takes in labels that have landed (`monitoring.live.feedback`), computes the live metrics of every version,
and compares requests and answers with those of the training. **Owner:** {owner}.

| What you see | What it means |
| --- | --- |
| `act` skipped | The model does what it has to, or there are too few labels to tell, or what is to be done was started before. |
| `act` green | A bound is surely broken: it has started a retraining or a rollback (`monitoring.live.then`); its log says why. |
| `act` red | A bound is surely broken, and people have to act: no action is set, or something speaks against the rollback. |
| `judge_live` skipped | No requests are recorded, nothing is deployed, or no labels have come yet. |
| `check_skew` red | Requests no longer look like the training data: the page shows which columns differ. |
| `check_skew` skipped | The model server keeps no record of requests, or nothing is deployed. |
"""
_FEEDBACK_DOC = """\
Takes in the files with labels that it has not seen: `trainyard feedback`. Rows that cannot be used are told, and the others kept.
**If it is skipped:** nothing is recorded (TRAINYARD_RECORD), or no file has landed at `monitoring.live.feedback`.
**If it fails:** the landing folder or the record cannot be read or written; its log says which. Mend that and clear it.
"""
_JUDGE_DOC = """\
Computes the metrics of every version over `monitoring.live.window_hours` and judges them: `trainyard live`. A bound is broken only
if the whole interval lies beyond it.
**If it is skipped:** nothing is recorded, no release is stable, or no labels have come. **If it fails:** its last line says why.
"""
_ACT_DOC = """\
Does what `monitoring.live.then` says if the stable release surely breaks a bound, once for each version and metric, and tells people.
**If it is skipped:** nothing has to be done, or it was started before (its log names the run).
**If it fails:** people have to decide: its last line has the figures, and what speaks against a rollback. Retrain, go back
(`deploy_...` with action rollback), or correct the bound in workload.yaml.
"""
_SKEW_DOC = """\
Compares the requests of the last day (`trainyard serve --record`) with the training data of the stable release, column by column,
and its answers with those on the test split: `trainyard skew`. Limits are `quality.skew` in workload.yaml.
**If it fails:** its log has the columns and the page's address. Retrain on newer data, or find out which caller has changed.
**If it is skipped:** no requests are recorded (TRAINYARD_RECORD), or no release is stable.
"""
