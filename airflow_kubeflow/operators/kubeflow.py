"""Runs pipelines on Kubeflow."""

from __future__ import annotations

import datetime
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from airflow_kubeflow import outcome, pipeline_file, runs, submission
from airflow_kubeflow.api import Json
from airflow_kubeflow.exceptions import KubeflowRunFailed, KubeflowUnavailable, KubeflowUserError
from airflow_kubeflow.hooks.kubeflow import KubeflowHook
from airflow_kubeflow.links.kubeflow import XCOM_UI, KubeflowRunLink
from airflow_kubeflow.submission import Submission
from airflow_kubeflow.triggers.kubeflow import KubeflowRunTrigger
from airflow_kubeflow.watch import Watch

STATE_KEY = "kubeflow_run"


class KubeflowPipelineRunOperator(BaseOperator):
    """Runs a pipeline on Kubeflow and waits for it, in the triggerer unless `deferrable` is False.

    The run is submitted once: after a crash or a platform error, the next try continues with the existing run, whether it is in
    progress or has succeeded. After a failure of the remote run, and after clearing the task, a new run is started. The remote run
    is terminated when the task is marked failed or successful, is cleared, or exceeds its `timeout`.

    Not retried: an unknown or wrong parameter, an invalid pipeline file, a 4xx answer, a run that somebody ended in Kubeflow, and
    a run whose tasks refuse their input (exit code 2, if KFP reports it). Everything else fails the try and is left to `retries`;
    by default the pauses between tries double.

    Returns (as XCom): `run_id`, `state`, `ui`, `seconds`, `tasks` (name -> state), `outputs` (task -> output -> ids of
    artifacts).

    Args:
        pipeline_file: path of a compiled pipeline on the worker (templated). Either this or `pipeline_id`.
        pipeline_id: id of a pipeline that was uploaded to KFP (templated).
        version_id: id of its version (templated); default: the newest.
        parameters: of the run (templated), checked against those that the pipeline declares. Text that spells out a number,
            a boolean, a list or a dict is converted where the pipeline expects one.
        experiment: its name (templated); created if there is none. Default: the pipeline's name.
        run_name: shown in KFP (templated), followed by a key. Default: DAG, task and run id.
        service_account: of the pods (templated); default: KFP's.
        namespace: needed if Kubeflow has several users (templated); default: the connection's.
        pipeline_root: where KFP keeps artifacts (templated); default: the pipeline's, or KFP's.
        enable_caching: switches KFP's cache on or off for all tasks; default: as compiled. Only with `pipeline_file`.
        timeout: how long the remote run may take, from its submission and over all tries; then it is terminated.
        poll_interval: seconds between polls of the run.
        patience: seconds for which KFP may fail to answer during the run.
        kubeflow_conn_id: the connection.
        deferrable: whether to wait in the triggerer.

    Example:
        >>> with DAG("taxi", schedule="@daily") as dag:  # doctest: +SKIP
        ...     KubeflowPipelineRunOperator(
        ...         task_id="train",
        ...         pipeline_file="/opt/pipelines/taxi.yaml",
        ...         parameters={"span": "{{ dag_run.conf['span'] }}", "epochs": 20},
        ...         timeout=timedelta(hours=6),
        ...         retries=3,
        ...     )
    """

    template_fields: Sequence[str] = (
        "pipeline_file", "pipeline_id", "version_id", "parameters", "experiment", "run_name", "service_account",
        "namespace", "pipeline_root",
    )  # fmt: skip
    template_fields_renderers = {"parameters": "json"}
    operator_extra_links = (KubeflowRunLink(),)
    ui_color = "#e3ecfa"

    def __init__(
        self,
        *,
        pipeline_file: str | None = None,
        pipeline_id: str | None = None,
        version_id: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        run_name: str | None = None,
        service_account: str | None = None,
        namespace: str | None = None,
        pipeline_root: str | None = None,
        enable_caching: bool | None = None,
        timeout: datetime.timedelta | float | None = None,
        poll_interval: float = 10.0,
        patience: float = 600.0,
        kubeflow_conn_id: str = KubeflowHook.default_conn_name,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retry_exponential_backoff", 2.0)
        kwargs.setdefault("max_retry_delay", datetime.timedelta(minutes=15))
        super().__init__(**kwargs)
        if (pipeline_file is None) == (pipeline_id is None):
            raise ValueError(
                f"{self.task_id}: either pipeline_file or pipeline_id. Received: {pipeline_file=}, {pipeline_id=}"
            )
        if pipeline_id is not None and enable_caching is not None:
            raise ValueError(
                f"{self.task_id}: enable_caching needs pipeline_file; KFP has no such option for a version."
            )
        self.pipeline_file = pipeline_file
        self.pipeline_id = pipeline_id
        self.version_id = version_id
        self.parameters = parameters
        self.experiment = experiment
        self.run_name = run_name
        self.service_account = service_account
        self.namespace = namespace
        self.pipeline_root = pipeline_root
        self.enable_caching = enable_caching
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.patience = patience
        self.kubeflow_conn_id = kubeflow_conn_id
        self.deferrable = deferrable
        self._hook: KubeflowHook | None = None
        self._run_id = ""
        self._killed = False

    def execute(self, context: Context) -> Json:
        """Submits the run, or finds it, and waits."""
        with KubeflowHook(self.kubeflow_conn_id) as hook:
            self._hook = hook
            run = self._earlier(hook, context) or self._submitted(hook, context)
            link = hook.link(self._run_id)
            context["ti"].xcom_push(key=XCOM_UI, value=link)
            if self._killed:  # during the submission; the process continues after on_kill
                self._terminate(hook)
                raise KubeflowRunFailed(f"Ended while run {self._run_id} was being submitted; it was terminated.")
            deadline = self._deadline(run)
            if self.deferrable and not runs.ended(run):
                self.log.info("Run %s is under way: %s", self._run_id, link)
                self.defer(trigger=self._trigger(deadline), method_name="execute_complete")
            return self._finish(self._watched(hook, deadline))

    def execute_complete(self, context: Context, event: Json) -> Json:
        """Continues with what the trigger saw, provided that it watched this task's run."""
        noted = context["task_state_store"].get(STATE_KEY)
        if isinstance(noted, dict) and event.get("run_id", noted["run_id"]) != noted["run_id"]:
            # On SQLite the ids of triggers are reused. The triggerer then mistakes a cleared task's new trigger for the old one,
            # which is still running, and tells the task about the previous run.
            self.log.info("Got an event about run %s, which no longer belongs to this task.", event["run_id"])
            return self.execute(context)
        return self._finish(event)

    def on_kill(self) -> None:
        """Terminates the remote run."""
        self._killed = True
        if self._hook is not None and self._run_id:
            hook = KubeflowHook(self.kubeflow_conn_id)
            hook._settings = self._hook.settings  # in a signal handler: Airflow must not be asked now
            with hook:
                self._terminate(hook)

    def _earlier(self, hook: KubeflowHook, context: Context) -> Json | None:
        """The run that an earlier try recorded, if this try may continue with it.

        Raises:
            KubeflowUserError: it refused its input.
        """
        noted = context["task_state_store"].get(STATE_KEY)
        if not isinstance(noted, dict):
            return None
        run_id, same_series = str(noted["run_id"]), noted["key"] == submission.key_of(context)
        try:
            run = hook.get_run(run_id)
        except KubeflowUserError as error:
            if getattr(error, "status", None) != 404:
                raise
            self.log.info("Run %s of an earlier try no longer exists in Kubeflow.", run_id)
            return None
        if same_series and submission.usable(run):
            self.log.info("Run %s was started by an earlier try; it is watched on.", run_id)
            self._run_id = run_id
            return run
        if same_series and (seen := runs.summary(run, hook.link(run_id)))["user_error"]:
            # Airflow may start another try anyway, if its scheduler misses how this one ended.
            raise outcome.failure(seen)
        if not same_series and not runs.ended(run):
            self.log.info("The task was cleared; its run %s is terminated, and a new one is started.", run_id)
            hook.terminate_run(run_id)
        return None

    def _submitted(self, hook: KubeflowHook, context: Context) -> Json:
        pipeline = self._pipeline(hook)
        body = self._body(pipeline, context)
        body["experiment_id"] = hook.get_or_create_experiment(self.experiment or pipeline.name, self.namespace or "")
        key = submission.key_of(context)

        def note(run_id: str) -> None:
            self._run_id = run_id
            context["task_state_store"].set(STATE_KEY, {"run_id": run_id, "key": key})

        return Submission(hook, body["experiment_id"], key, body, self.log.info, note).once()

    def _pipeline(self, hook: KubeflowHook) -> pipeline_file.CompiledPipeline:
        if self.pipeline_file is not None:
            pipeline = pipeline_file.read(pathlib.Path(self.pipeline_file))
            return pipeline if self.enable_caching is None else pipeline.with_caching(self.enable_caching)
        version = hook.get_pipeline_version(str(self.pipeline_id), self.version_id or "")
        self.version_id = str(version["pipeline_version_id"])
        return pipeline_file.from_documents(f"pipeline {self.pipeline_id}", version.get("pipeline_spec"))

    def _body(self, pipeline: pipeline_file.CompiledPipeline, context: Context) -> Json:
        """`V2beta1Run`, without its experiment.

        Raises:
            KubeflowUserError: a parameter is unknown, missing, or has the wrong type.
        """
        ti = context["ti"]
        name = self.run_name or f"{ti.dag_id}.{ti.task_id} {ti.run_id}"
        body: Json = {
            "display_name": submission.display_name(name, submission.key_of(context)),
            "description": f"Airflow: DAG {ti.dag_id}, run {ti.run_id}, task {ti.task_id}",
            "runtime_config": {"parameters": pipeline.checked(self.parameters or {})},
        }
        if self.pipeline_root:
            body["runtime_config"]["pipeline_root"] = self.pipeline_root
        if self.service_account:
            body["service_account"] = self.service_account
        if self.pipeline_id is None:
            return body | {"pipeline_spec": pipeline.body()}
        reference = {"pipeline_id": self.pipeline_id, "pipeline_version_id": self.version_id}
        return body | {"pipeline_version_reference": reference}

    def _deadline(self, run: Json) -> datetime.datetime | None:
        if self.timeout is None:
            return None
        allowed = (
            self.timeout if isinstance(self.timeout, datetime.timedelta) else datetime.timedelta(seconds=self.timeout)
        )
        return (runs.moment(run.get("created_at")) or datetime.datetime.now(datetime.UTC)) + allowed

    def _trigger(self, deadline: datetime.datetime | None) -> KubeflowRunTrigger:
        return KubeflowRunTrigger(
            kubeflow_conn_id=self.kubeflow_conn_id,
            run_id=self._run_id,
            poll_interval=self.poll_interval,
            deadline=deadline.isoformat() if deadline else None,
            patience=self.patience,
        )

    def _watched(self, hook: KubeflowHook, deadline: datetime.datetime | None) -> Json:
        """Waits in this process."""
        watch = Watch(self.log.info, self.poll_interval, deadline, self.patience)
        while True:
            try:
                event = watch.seen(hook.get_run(self._run_id), hook.link(self._run_id))
                if event is None and watch.overdue:
                    hook.terminate_run(self._run_id)
                    event = watch.terminated(self._run_id)
            except KubeflowUnavailable as error:
                event = watch.missed(error)
            except KubeflowUserError as error:
                event = watch.refused(error)
            if event is not None:
                return event
            self._sleep(watch.pause)

    def _sleep(self, seconds: float) -> None:
        """Sleeps until somebody ends the task: Airflow then calls on_kill, but lets the process continue."""
        until = time.monotonic() + seconds
        while not self._killed and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))
        if self._killed:
            raise KubeflowRunFailed(f"Ended; run {self._run_id} was terminated.")

    def _finish(self, event: Json) -> Json:
        result = outcome.result(event)
        took = f" in {runs.in_words(result['seconds'])}" if result["seconds"] is not None else ""
        self.log.info("Run %s succeeded%s: %s", result["run_id"], took, result["ui"])
        return result

    def _terminate(self, hook: KubeflowHook) -> None:
        self.log.info("Terminating run %s.", self._run_id)
        hook.terminate_run(self._run_id)
