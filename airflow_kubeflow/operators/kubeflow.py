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

    The run is submitted once: a try that comes after a crash or a platform's error goes on with the run that is there,
    whether it is still under way or has succeeded. A try after the remote run failed, and a cleared task, start a fresh
    one. The remote run is terminated when the task is marked failed or successful, cleared, or over its `timeout`.

    Not retried: an unknown or wrong parameter, a file that is none, an answer 4xx, a run that somebody ended in
    Kubeflow, a run whose tasks refuse their input (exit code 2, where KFP tells it). Everything else fails the try, and
    `retries` decides; pauses between tries double by default.

    Returns (as XCom): `run_id`, `state`, `ui`, `seconds`, `tasks` (name -> state), `outputs` (task -> output -> ids of
    artifacts).

    Args:
        pipeline_file: Path of a compiled pipeline on the worker (templated). Either this or `pipeline_id`.
        pipeline_id: Id of a pipeline that was uploaded to KFP (templated).
        version_id: Id of its version (templated); default: the newest.
        parameters: Of the run (templated), checked against those that the pipeline declares. Text that says a number,
            true or false, a list or a dict is taken for it where the pipeline wants one.
        experiment: Its name (templated); made if there is none. Default: the pipeline's name.
        run_name: Shown in KFP (templated), with a key behind it. Default: DAG, task and run id.
        service_account: Of the pods (templated); default: KFP's.
        namespace: Where Kubeflow has several users (templated); default: the connection's.
        pipeline_root: Where KFP keeps artifacts (templated); default: the pipeline's, or KFP's.
        enable_caching: KFP's cache for all tasks; default: as compiled. Only with `pipeline_file`.
        timeout: The remote run may take as long; then it is terminated. Counted from its submission, over all tries.
        poll_interval: Seconds between two looks at the run.
        patience: Seconds that KFP may be away while the run is under way.
        kubeflow_conn_id: The connection.
        deferrable: Whether to wait in the triggerer.

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
            if self._killed:  # while KFP was asked; the process itself goes on after on_kill
                self._terminate(hook)
                raise KubeflowRunFailed(f"Ended while run {self._run_id} was being submitted; it was terminated.")
            deadline = self._deadline(run)
            if self.deferrable and not runs.ended(run):
                self.log.info("Run %s is under way: %s", self._run_id, link)
                self.defer(trigger=self._trigger(deadline), method_name="execute_complete")
            return self._finish(self._watched(hook, deadline))

    def execute_complete(self, context: Context, event: Json) -> Json:
        """Goes on with what the trigger saw, if it is this task's run that it looked at."""
        noted = context["task_state_store"].get(STATE_KEY)
        if isinstance(noted, dict) and event.get("run_id", noted["run_id"]) != noted["run_id"]:
            # On SQLite the ids of triggers are used again. The triggerer then takes a cleared task's new trigger for the
            # old one, which still runs, and tells the task what became of the run before.
            self.log.info("Heard of run %s, which is not this task's any more.", event["run_id"])
            return self.execute(context)
        return self._finish(event)

    def on_kill(self) -> None:
        """Terminates the remote run."""
        self._killed = True
        if self._hook is not None and self._run_id:
            hook = KubeflowHook(self.kubeflow_conn_id)
            hook._settings = self._hook.settings  # a signal's handler: nothing may ask Airflow now
            with hook:
                self._terminate(hook)

    def _earlier(self, hook: KubeflowHook, context: Context) -> Json | None:
        """The run that an earlier try wrote down, if this one may go on with it.

        Raises:
            KubeflowUserError: it has refused its input.
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
            self.log.info("Run %s of an earlier try is not in Kubeflow any more.", run_id)
            return None
        if same_series and submission.usable(run):
            self.log.info("Run %s was started by an earlier try; it is watched on.", run_id)
            self._run_id = run_id
            return run
        if same_series and (seen := runs.summary(run, hook.link(run_id)))["user_error"]:
            # Airflow may start a next try all the same, where its scheduler misses how this one ended.
            raise outcome.failure(seen)
        if not same_series and not runs.ended(run):
            self.log.info("The task was cleared; its run %s is terminated, and a fresh one is started.", run_id)
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
        """`V2beta1Run`, but for its experiment.

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
        """Sleeps, unless a person ends the task: Airflow calls on_kill then, and lets the process go on."""
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
