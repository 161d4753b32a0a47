"""`batch_predict_<workload>`: makes predictions for the files that arrive, exactly once for each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, Context, TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException

from dags import batch_files
from dags.assets import batch_pattern, filled_in, new_files, predictions
from dags.defaults import clock, pipeline_task, workload_dag
from dags.operators import FINAL, TrainyardOperator
from dags.skips import skipped
from spec.workload import Workload


def build_batch_predict_dag(workload: Workload) -> DAG | None:
    """The batch DAG of a workload that names an inbox: find_files -> predict (one task per file) -> write_index -> announce."""
    if workload.batch.uri is None:
        return None
    files, predicted = new_files(workload), predictions(workload)
    out = Path(filled_in(workload.batch.out, workload))
    with workload_dag(
        workload,
        "batch_predict",
        "batch",
        description=f"Predicts with {workload.name} for files as they arrive",
        schedule=_schedule(workload, files),
        doc_md=_DAG_DOC.format(
            workload=workload.name,
            uri=batch_pattern(workload),
            out=out,
            owner=workload.owner,
            release=workload.batch.release,
        ),
    ) as dag:
        _add_tasks(workload, files, predicted, out)
    return dag


def _add_tasks(workload: Workload, files: Asset, predicted: Asset, out: Path) -> None:
    @task(inlets=[files], doc_md=_FIND_DOC)
    def find_files() -> list[dict[str, str]]:
        found = batch_files.pending(batch_pattern(workload), out)
        if not found:
            raise skipped(f"no file of {batch_pattern(workload)} is new")
        return [{"uri": one.uri, "name": one.name} for one in found]

    # Runs after failures too, because the index lists them. announce_predictions is the leaf: Airflow judges a run by its
    # leaves, and a written index must not turn a run with failures green.
    @task(trigger_rule=TriggerRule.ALL_DONE, doc_md=_INDEX_DOC)
    def write_index() -> dict[str, Any]:
        totals: dict[str, Any] = batch_files.write_index(out)["totals"]
        return totals

    @task(outlets=[predicted], doc_md=_ANNOUNCE_DOC)
    def announce_predictions(totals: dict[str, Any], **context: Any) -> dict[str, Any]:
        extra = {"workload": workload.name, "index": str(out / batch_files.INDEX), "totals": totals}
        context["outlet_events"][predicted].extra = extra
        return extra

    predict = PredictOperator.partial(
        task_id="predict",
        definition=workload,
        out=str(out),
        # One at a time: each loads TensorFlow, and the CLI would make them wait for one another anyway.
        max_active_tis_per_dag=1,
        map_index_template="{{ task.file['name'] }}",
        doc_md=_PREDICT_DOC,
        **pipeline_task(workload),
    ).expand(file=find_files())
    totals = write_index()
    announced = announce_predictions(totals)
    predict >> [totals, announced]


class PredictOperator(TrainyardOperator):
    """Makes predictions for one file. A file that cannot be read is noted as refused, and not tried again until it changes."""

    template_fields: Sequence[str] = ("file",)

    def __init__(self, *, definition: Workload, file: Mapping[str, str], out: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.definition, self.file, self.out = definition, file, out

    def execute(self, context: Context) -> dict[str, Any]:
        out, name = Path(self.out), self.file["name"]
        if batch_files.is_done(out, name):
            self.log.info("%s has its predictions: %s", self.file["uri"], out / name)
            return {"folder": str(out / name)}
        try:
            outcome = self.outcome(predict_arguments(self.definition, self.file["uri"], out / name))
        except AirflowFailException as error:
            if batch_files.is_done(out, name):  # another process has finished it meanwhile
                return {"folder": str(out / name)}
            if _is_about_the_file(str(error), self.file["uri"]):
                batch_files.refuse(out, name, str(error).removeprefix(FINAL))
            raise
        self.log.info("Predicted: %s", json.dumps(outcome.get("predictions")))
        return dict(outcome.get("predictions") or {})


def predict_arguments(workload: Workload, uri: str, out: Path) -> list[str]:
    """The arguments of `trainyard predict` for one file."""
    batch = workload.batch
    arguments = ["predict", workload.name, "--data", uri, "--out", str(out), "--release", batch.release, "--json"]
    if batch.keys:
        arguments += ["--keys", ",".join(batch.keys)]
    if batch.format:
        arguments += ["--format", batch.format]
    return arguments


def _is_about_the_file(error: str, uri: str) -> bool:
    """Whether the file itself is at fault, rather than a missing release or a full disk."""
    return uri.rpartition("/")[2] in error


def _schedule(workload: Workload, files: Asset) -> Any:
    if workload.batch.cron is None:
        return [files]
    return AssetOrTimeSchedule(timetable=clock(workload, workload.batch.cron, "batch.cron"), assets=[files])


_DAG_DOC = """\
### Batch predictions with {workload}
Makes predictions once for every file of `{uri}`, with the release `{release}`, when the file has stopped changing. The results
are in `{out}`: a folder for each file, and `index.json` for all of them. **Owner:** {owner}.

A file counts as the same while its place and content are unchanged. New content under the same name gets new predictions, in a
folder of its own.

| What you see | What it means |
| --- | --- |
| `find_files` skipped | Nothing new. |
| one `predict` red, no retry | The file cannot be read; its last log line says where. It is not tried again until it changes. |
| `announce_predictions` not run | At least one file failed; the others' results are there, and `index.json` says which. |
"""
_FIND_DOC = """\
Lists the files that have no results yet.
**If it fails:** the inbox or the results folder cannot be read; the log says which.
"""
_PREDICT_DOC = """\
Makes predictions for one file (`./trainyard predict`); the results folder appears when they are complete.
**If it fails and does not retry:** its last log line says what is wrong with the file, or that there is no such release.
Correct the file and deliver it again. **If it retries:** no partial results are left behind; it starts over.
"""
_INDEX_DOC = """\
Rebuilds `index.json`, the index of all results.
**If it fails:** the results folder cannot be written.
"""
_ANNOUNCE_DOC = """\
Tells Airflow that there are new predictions (the predictions asset), which other DAGs can be scheduled on.
**If it is upstream_failed:** a file failed; see `predict`.
"""
