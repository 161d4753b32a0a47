"""`batch_predict_<workload>`: files that arrive are predicted for, each exactly once."""

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
    """The batch DAG of a workload that names an inbox: find_files -> predict (a file each) -> write_index -> announce."""
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

    # All done, failed ones too: the index is to say so. A leaf of its own comes after it: Airflow judges a run by its
    # leaves, and an index that was written must not make a run with failures green.
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
        # One at a time: each loads TensorFlow, and the CLI would make them wait for one another.
        max_active_tis_per_dag=1,
        map_index_template="{{ task.file['name'] }}",
        doc_md=_PREDICT_DOC,
        **pipeline_task(workload),
    ).expand(file=find_files())
    totals = write_index()
    announced = announce_predictions(totals)
    predict >> [totals, announced]


class PredictOperator(TrainyardOperator):
    """Predicts for one file. A file that cannot be read is noted as refused and not tried again as it is.

    Args:
        definition: the workload.
        file: `uri` and `name` of the file.
        out: folder of the results.
    """

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
            if batch_files.is_done(out, name):  # another process has come to the end of it meanwhile
                return {"folder": str(out / name)}
            if _is_about_the_file(str(error), self.file["uri"]):
                batch_files.refuse(out, name, str(error).removeprefix(FINAL))
            raise
        self.log.info("Predicted: %s", json.dumps(outcome.get("predictions")))
        return dict(outcome.get("predictions") or {})


def predict_arguments(workload: Workload, uri: str, out: Path) -> list[str]:
    """`predict` for one file."""
    batch = workload.batch
    arguments = ["predict", workload.name, "--data", uri, "--out", str(out), "--release", batch.release, "--json"]
    if batch.keys:
        arguments += ["--keys", ",".join(batch.keys)]
    if batch.format:
        arguments += ["--format", batch.format]
    return arguments


def _is_about_the_file(error: str, uri: str) -> bool:
    """Whether another file could do better: a missing release or a full disk is no fault of this one."""
    return uri.rpartition("/")[2] in error


def _schedule(workload: Workload, files: Asset) -> Any:
    if workload.batch.cron is None:
        return [files]
    return AssetOrTimeSchedule(timetable=clock(workload, workload.batch.cron, "batch.cron"), assets=[files])


_DAG_DOC = """\
### Batch predictions with {workload}
Every file of `{uri}` is predicted for once, with the release `{release}`, when it has come to rest. The results lie in
`{out}`: a folder for each file, and `index.json` over all. **Answers for it:** {owner}.

A file is the same as long as place and content are. Changed content under the same name is predicted for anew, into a folder of
its own.

| What you see | What it means |
| --- | --- |
| `find_files` skipped | Nothing new. |
| one `predict` red, no retry | That file cannot be read: its last log line says which row or column. It is not tried again as it is. |
| `announce_predictions` not run | At least one file failed; the others' results are there, and `index.json` says which. |
"""
_FIND_DOC = """\
Lists the files that have no results yet.
**If it fails:** the inbox or the folder of the results cannot be read; its log names it.
"""
_PREDICT_DOC = """\
Predicts for one file (`./trainyard predict`); the results' folder appears when they are complete.
**If it fails and does not retry:** its last log line says what is wrong with the file, or that there is no such release.
Mend the file and put it there again. **If it retries:** nothing half done is left; it begins anew.
"""
_INDEX_DOC = """\
Writes `index.json` over all results, anew from what is there.
**If it fails:** the folder of the results cannot be written.
"""
_ANNOUNCE_DOC = """\
Tells Airflow that there are predictions (the predictions asset): other DAGs may start on it.
**If it is upstream_failed:** a file failed; see `predict`.
"""
