"""The gates on data as tasks of their own: one process looks at the span, and each gate's task gives its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.defaults import pipeline_task
from dags.ledger import Outcome
from dags.lineage import lineage_of
from dags.links import DATA_QUALITY, pages_of, report_links
from dags.operators import FINAL, PipelineRunOperator, last_json_object, read_outcome, summary_lines, unchanged
from dags.skips import skipped
from dags.spans import settle
from spec import exit_codes, graph
from spec.workload import Workload

READ = "read_data"
"""The task that looks at the span."""
JUDGED = "judged"
"""Under this key a gate's task keeps, over its tries, whose findings it has judged."""


def add_gates(workload: Workload, span: Any, data: Asset, *, trains: bool) -> tuple[Any, list[Any]]:
    """Adds `read_data`, and the gates' tasks after it, to the DAG that is being built.

    Args:
        span: the task that chooses it, before `read_data`.
        trains: whether a training follows: where nothing has changed it is skipped, and what is refused is noted.
    """
    span_of = span.operator.task_id
    run = pipeline_task(workload)
    read = ReadDataOperator(
        task_id=READ,
        workload=workload.name,
        span_of=span_of,
        skip_if_unchanged=trains,
        settles=(workload, data) if trains else None,
        inlets=[data],
        doc_md=_READ_DOC,
        **run,
    )
    # No group: it would be folded up, and which gate refused is to be seen without a click.
    gates = [
        GateOperator(
            task_id=record.task,
            workload=workload.name,
            span_of=span_of,
            gate=record.id,
            doc_md=_GATE_DOC.format(asks=record.asks, mend=record.remedy.format(name=workload.name)),
            **run,
        )
        for record in graph.data_gates()
    ]
    span >> read >> gates
    return read, gates


class ReadDataOperator(PipelineRunOperator):
    """Runs the pipeline as far as its gates on data, and returns the outcome whatever the gates say.

    The gates' own tasks fail; this one does where the data could not be looked at.
    """

    def __init__(self, *, settles: tuple[Workload, Asset] | None = None, **kwargs: Any) -> None:
        super().__init__(until=[record.id for record in graph.data_gates()], **kwargs)
        self.settles = settles

    def execute(self, context: Context) -> dict[str, Any]:
        finished = self.finished(self.run_arguments(context))
        found = last_json_object(finished.stdout) or {}
        self.pages = pages_of(found.get("reports") or {})
        if finished.returncode == exit_codes.FIX_INPUT:
            self._settle(context, Outcome.REFUSED)
        self._found = outcome = found if is_refusal(finished.returncode, found) else read_outcome(finished)
        for line in summary_lines(outcome):
            self.log.info(line)
        if self.skip_if_unchanged and (reason := unchanged(outcome)):
            self._settle(context, Outcome.TRAINED)
            raise skipped(reason)
        for gate in outcome.get("gates") or []:
            self.log.info("%s: %s", "passed" if gate["passes"] else "REFUSED, see its task", gate["summary"])
        return outcome

    def _settle(self, context: Context, outcome: Outcome) -> None:
        if self.settles is not None:
            workload, data = self.settles
            settle(workload, data, context, context["ti"].xcom_pull(task_ids=self.span_of), outcome)


class GateOperator(PipelineRunOperator):
    """Tells what one gate has found: what `read_data` brought, and on a cleared task what is found now."""

    def __init__(self, *, gate: str, **kwargs: Any) -> None:
        super().__init__(until=[gate], **kwargs)
        self.gate = gate

    def execute(self, context: Context) -> dict[str, Any]:
        outcome = context["ti"].xcom_pull(task_ids=READ)
        judged = context["task_state_store"]
        if judged.get(JUDGED) == outcome["run_id"]:
            self.log.info("What run %s found has been judged: looking at the data again.", outcome["run_id"])
            outcome = self.outcome(self.run_arguments(context))
        else:
            judged.set(JUDGED, outcome["run_id"])
            self.pages = pages_of(outcome.get("reports") or {})
            if found := verdict(outcome, self.gate):
                self.tell_gate(found)
            if page := report_links(outcome.get("reports") or {}).get(DATA_QUALITY):
                self.log.info("The rows, and what changed: %s", page)
        return self._judged(outcome)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """For OpenLineage's provider: the data that was read, with the gate's verdict on it."""
        judged = verdict(self._found, self.gate)
        return lineage_of(self.workload, self._found, [judged] if judged else [])

    get_openlineage_facets_on_failure = get_openlineage_facets_on_complete

    def _judged(self, outcome: Mapping[str, Any]) -> dict[str, Any]:
        self._found, found = outcome, verdict(outcome, self.gate)
        if found is None and outcome.get("status") == "failed":
            raise skipped(f"{self.gate} was not asked: {outcome.get('error')}")
        if found is None:
            raise AirflowException(f"Run {outcome['run_id']} says nothing of {self.gate}.")
        if not found["passes"]:
            raise AirflowFailException(f"{FINAL}{found['summary']}")
        if before := outcome.get("same_as"):
            self.log.info("Found by run %s; nothing has changed since.", before)
        return found


def verdict(outcome: Mapping[str, Any], node: str) -> dict[str, Any] | None:
    """What a run says of a gate; None where that did not judge."""
    return next((dict(gate) for gate in outcome.get("gates") or [] if gate["gate"] == node), None)


def is_refusal(returncode: int, outcome: Mapping[str, Any]) -> bool:
    """Whether a run failed for nothing else than gates that refused what they were there to judge."""
    failed = {one["id"] for one in outcome.get("components") or [] if one["status"] == "failed"}
    refused = {gate["gate"] for gate in outcome.get("gates") or [] if not gate["passes"]}
    return returncode == exit_codes.FIX_INPUT and bool(failed) and failed <= refused


_READ_DOC = """\
Reads the span, computes its statistics and asks the gates on data, once for all of them: the tasks after it give each gate's
verdict. Nothing of it is done again by `train`.
**If it fails and does not retry:** the data could not be read, or a contract cannot be used; its last log line says where.
**If it is skipped:** nothing has changed since an earlier run. **If it waits:** another run of the workload goes first.
"""
_GATE_DOC = """\
{asks} The log has the findings, and the address of the page with the rows and what changed (*Details* has it as a button).
**If it fails:** {mend} Then clear this task: it looks at the data again, alone.
"""
