"""`trainyard demo`: two spans of data arrive, Airflow trains, releases and deploys, and a client asks for predictions."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from embedded.airflow_api import FINISHED, AirflowApi, DagRun
from embedded.commands import missing_environments, say, stop_on_signals
from embedded.credentials import load_secrets
from embedded.database import SQLITE, choose
from embedded.settings import Paths, choose_ports, free_port
from embedded.supervisor import AlreadyRunningError, Platform, PlatformError, StoppedError
from embedded.timeline import Timeline
from spec import environment as env
from spec import exit_codes, home

WORKLOAD = "taxi"
LOADED_TIMEOUT_S, NOTICED_TIMEOUT_S, RUN_TIMEOUT_S = 90.0, 90.0, 900.0
CLIENT_REQUESTS = 50
POLL_S = 1.0
# Only the DAGs that are shown, and parsed only once: on two cores the training needs the processor more.
SETTINGS = {env.DAG_WORKLOADS: WORKLOAD, "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120"}


class DemoError(Exception):
    """A step went wrong: says which one, with the end of its log."""

    def __init__(self, what: str, log: list[str] | None = None) -> None:
        super().__init__(what)
        self.log = log or []


def demo() -> int:
    """Runs the demo in its own home and stops everything that it started.

    Returns:
        0: the loop was shown; 1: a step failed; 2: an environment is missing or the data cannot be obtained; 130: interrupted.
    """
    if missing := missing_environments():
        say(f"The environments {', '.join(missing)} are not installed. Run: ./trainyard setup {' '.join(missing)}")
        return exit_codes.FIX_INPUT
    timeline, folder = Timeline(), home.home() / "demo"
    try:
        with _own_home(folder):
            return _demo_in(folder, timeline)
    except AlreadyRunningError:
        say(f"A demo is running already in {folder}.")
    except StoppedError:
        say("Interrupted; every process has ended.")
        return exit_codes.INTERRUPTED
    except PlatformError as error:
        say(f"The demo stopped: {error}")
    except DemoError as failure:
        timeline.event(f"FAILED: {failure}")
        for line in failure.log[-25:]:
            timeline.detail(line)
        say(f"\nEvery process has ended. State and logs: {folder}")
    except ValueError as error:
        # InputError: the user has to see to data that cannot be obtained.
        say(f"trainyard demo: {error}")
        return exit_codes.FIX_INPUT
    return exit_codes.MAY_RETRY


def _demo_in(folder: Path, timeline: Timeline) -> int:
    ports = choose_ports(airflow=free_port(), rest=free_port(), grpc=free_port(), reports=free_port())
    # The demo has its own database, whatever the environment says about the user's.
    platform = Platform(folder, ports, timeline.event, SETTINGS, choose(Paths(folder), SQLITE))
    with stop_on_signals(platform):
        platform.acquire()
        try:
            _wipe(folder, keep=platform.paths.lock)
            _Demo(platform, timeline).run()
        finally:
            platform.stop()
    timeline.event("Stopped; every process has ended.")
    timeline.headline("Go on")
    for line in _go_on(folder):
        timeline.plain(line)
    return exit_codes.OK


class _Demo:
    """The demo's script; every method is one scene."""

    def __init__(self, platform: Platform, timeline: Timeline) -> None:
        self.platform = platform
        self.timeline = timeline
        self.paths: Paths = platform.paths
        self.api: AirflowApi | None = None
        self._seen: set[str] = set()
        self._told: dict[tuple[str, ...], int] = {}

    def run(self) -> None:
        self.start()
        self.timeline.headline("Span 1: the older trips arrive")
        first = self.retrain(span=1)
        if first["version"] is None:
            raise DemoError(f"the first model was not released: {first['why']}")
        self.deploy(first["version"], first_deployment=True)
        self.ask("A client asks the model server")
        self.timeline.headline("Span 2: newer trips arrive")
        second = self.retrain(span=2)
        if second["version"] is None:
            self.timeline.event(f"The champion stays: version {first['version']} keeps serving. {second['why']}")
        else:
            self.deploy(second["version"], first_deployment=False)
        self.ask("The same client asks again")
        self.timeline.headline("Reports")
        for name, outcome in (("span 1", first), ("span 2", second)):
            for kind, path in (outcome["reports"] or {}).items():
                self.timeline.plain(f"  {name}, {kind}: {path}")

    def start(self) -> None:
        self.timeline.headline("Airflow and the model server start")
        self.platform.start()
        threading.Thread(target=self.platform.watch, daemon=True).start()
        ports = self.platform.ports
        keys, _ = load_secrets(self.paths)
        self.timeline.event(f"Running: Airflow {ports.airflow_url} (user admin, password {keys.password})")
        self.timeline.detail(
            f"model server {ports.server_url}, gRPC 127.0.0.1:{ports.grpc}; state in {self.paths.home}"
        )
        self.api = AirflowApi(ports, self.paths, keys.password)
        dags = (f"retrain_{WORKLOAD}", f"deploy_{WORKLOAD}")
        self.until(lambda: all(map(self._api.dag_is_loaded, dags)), LOADED_TIMEOUT_S, self._not_loaded)
        self.timeline.event(f"Airflow has loaded the DAGs {' and '.join(dags)}")

    def retrain(self, span: int) -> dict[str, Any]:
        """Delivers a span and follows retrain_taxi until it ends."""
        from pipelines import datasets

        landed = datasets.prepare(WORKLOAD, span, self.paths.home / "data" / WORKLOAD)
        self.timeline.event(f"Landed: {landed}")
        what, outcome = "Airflow has noticed the new span", None
        while outcome is None:
            run = self.follow(self.next_run(f"retrain_{WORKLOAD}", what))
            if run.state != "success":
                raise self.failure(run)
            # Nothing where it had nothing to do: schedule and data may both have started a run for the span before.
            what, outcome = "That run had nothing to do; the next", self._api.result(run, "train")
        self._tell_outcome(outcome)
        release = outcome.get("release")
        return {
            "version": release and int(release["version"]),
            "why": "; ".join(outcome.get("reasons") or []),
            "reports": outcome.get("reports"),
        }

    def deploy(self, version: int, *, first_deployment: bool) -> None:
        """Follows deploy_taxi until it ends. A refused successor is fine, a refused first model is not."""
        run = self.follow(
            self.next_run(f"deploy_{WORKLOAD}", f"The release of version {version} has started a deployment")
        )
        states = {task.task_id: task.state for task in self._api.tasks(run)}
        if run.state != "success":
            refused = states.get("compare_answers") == "failed" and states.get("roll_back") == "success"
            if first_deployment or not refused:
                raise self.failure(run)
            reason = self._api.log_lines(run, "compare_answers")[-1]
            self.timeline.event(f"Version {version} was refused and rolled back; the champion keeps serving. {reason}")
            return
        comparison = self._api.result(run, "compare_answers")
        self.timeline.event(f"Version {version} is stable now")
        text = f"{comparison['requests']} golden requests, median {comparison['canary_median_ms']:.1f} ms"
        if comparison["changed_share"] is not None:
            text += (
                f"; {comparison['changed_share']:.1%} of the answers differ from version {comparison['stable_version']}"
            )
        self.timeline.detail(text)

    def ask(self, what: str) -> None:
        """Sends requests to the model server as a client would, and prints an answer and the latency."""
        url = f"{self.platform.ports.server_url}/v1/models/{WORKLOAD}"
        with httpx.Client(timeout=30, trust_env=False) as client:
            version = client.get(f"{url}/labels/stable").json()["model_version_status"][0]["version"]
            row = self._sample_row(version)
            times = []
            for _ in range(CLIENT_REQUESTS):
                started = time.perf_counter()
                answer = client.post(f"{url}:predict", json={"instances": [row]})
                times.append((time.perf_counter() - started) * 1000)
                answer.raise_for_status()
        self.timeline.event(f"{what}: POST {url}:predict")
        self.timeline.detail(f"one trip: {_short(row)}")
        self.timeline.detail(
            f"version {version} answers {json.dumps(answer.json()['predictions'][0])}, "
            f"median of {CLIENT_REQUESTS} requests {statistics.median(times):.1f} ms"
        )

    def next_run(self, dag_id: str, what: str) -> DagRun:
        """Waits for a new run of the DAG."""
        found: list[DagRun] = []

        def appeared() -> bool:
            found[:] = [run for run in self._api.runs(dag_id) if run.run_id not in self._seen]
            return bool(found)

        self.until(
            appeared, NOTICED_TIMEOUT_S, lambda: DemoError(f"no run of {dag_id} within {NOTICED_TIMEOUT_S:.0f} s")
        )
        self._seen.add(found[0].run_id)
        self.timeline.event(f"{what}: {dag_id} starts")
        return found[0]

    def follow(self, run: DagRun) -> DagRun:
        """Prints the run's tasks as they end, and the pipeline's progress, until the run has ended."""
        state = [run.state]

        def ended() -> bool:
            self._tell_progress(run)
            state[0] = next(one.state for one in self._api.runs(run.dag_id) if one.run_id == run.run_id)
            return state[0] in FINISHED

        self.until(ended, RUN_TIMEOUT_S, lambda: self.failure(run))
        self._tell_progress(run)
        return replace(run, state=state[0])

    def until(self, done: Callable[[], bool], seconds: float, failure: Callable[[], DemoError]) -> None:
        """Polls until a condition holds.

        Raises:
            DemoError: it does not hold in time.
            StoppedError: the user asked to stop.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                if done():
                    return
            except httpx.HTTPError:
                # The API server may be restarting: the deadline decides.
                pass
            if self.platform.stop_requested.wait(POLL_S):
                raise StoppedError
            if time.monotonic() > deadline:
                raise failure()

    def failure(self, run: DagRun) -> DemoError:
        """Names the task at which a run failed, with the end of its log."""
        tasks = self._api.tasks(run)
        bad = next((task for task in tasks if task.state == "failed"), None) or next(
            (task for task in tasks if task.state in ("running", "up_for_retry", "queued")), None
        )
        if bad is None:
            return DemoError(f"{run.dag_id} ended as {run.state}, run {run.run_id}")
        what = f"task {bad.task_id} of {run.dag_id} is {bad.state} (try {bad.try_number})"
        return DemoError(what, self._api.log_lines(run, bad.task_id))

    @property
    def _api(self) -> AirflowApi:
        assert self.api is not None
        return self.api

    def _tell_progress(self, run: DagRun) -> None:
        if run.dag_id.startswith("retrain"):
            for task_id in ("read_data", "train"):
                self._tell_components(run, task_id)
        for task in self._api.tasks(run):
            ended = task.state in ("success", "failed", "up_for_retry")
            if ended and self._told.get((run.run_id, task.task_id)) != task.try_number:
                self._told[run.run_id, task.task_id] = task.try_number
                took = f" ({task.seconds:.1f} s)" if task.seconds is not None else ""
                self.timeline.event(f"  {task.task_id}: {task.state}{took}")

    def _tell_components(self, run: DagRun, task_id: str) -> None:
        lines = self._api.log_lines(run, task_id)
        # Components report progress in indented lines; the rest stays in the log.
        told = self._told.get((run.run_id, task_id, "lines"), 0)
        for line in lines[told:]:
            if line.startswith("  ") and " cached" not in line:
                self.timeline.event(f"    {line.strip()}")
        self._told[run.run_id, task_id, "lines"] = len(lines)

    def _tell_outcome(self, outcome: dict[str, Any]) -> None:
        metrics = (outcome.get("metrics") or {}).get("overall", outcome.get("metrics") or {})
        figures = ", ".join(f"{k} {v:.4f}" for k, v in metrics.items() if isinstance(v, int | float))
        self.timeline.event(f"Trained and judged in {outcome['seconds']:.0f} s: {figures}")
        if champion := outcome.get("champion"):
            self.timeline.detail(
                f"challenger {champion['metric']} {champion['challenger_value']:.4f} against "
                f"champion (version {champion['version']}) {champion['champion_value']:.4f}: {champion['difference']:+.4f}, "
                f"95 % interval {champion['ci_low']:+.4f} to {champion['ci_high']:+.4f}"
            )
        if outcome.get("release"):
            self.timeline.event(f"All gates passed; released as version {outcome['release']['version']}")
        else:
            self.timeline.event("Not released")

    def _not_loaded(self) -> DemoError:
        return DemoError("Airflow has not loaded the DAGs", self._api.import_errors())

    def _sample_row(self, version: str) -> Any:
        file = self.paths.home / "models" / WORKLOAD / str(version) / "assets.extra" / "golden_requests.json"
        if not file.is_file():
            raise DemoError(f"release {version} has no golden requests: {file}")
        return json.loads(file.read_text(encoding="utf-8"))["instances"][0]


@contextmanager
def _own_home(folder: Path) -> Iterator[None]:
    """Everything the demo makes lies in its own home: a user's data, releases and runs are never touched."""
    names = (env.HOME, env.DATA, env.STORE)
    previous = {name: os.environ.pop(name, None) for name in names}
    os.environ[env.HOME] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(env.HOME)
        os.environ.update({name: value for name, value in previous.items() if value is not None})


def _wipe(folder: Path, keep: Path) -> None:
    for entry in folder.iterdir():
        if entry == keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _short(row: Any) -> str:
    text = json.dumps(row)
    return text if len(text) <= 160 else text[:157] + "..."


def _go_on(folder: Path) -> list[str]:
    return [
        "  ./trainyard up              the same platform, left running for you",
        "  ./trainyard run digits      one pipeline by hand, with live progress",
        "  ./trainyard new churn --data customers.csv --label churned --run      your own use case from a file",
        f"  TRAINYARD_HOME={folder} ./trainyard release list      what the demo released",
    ]
