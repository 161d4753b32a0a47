"""A test double of KFP's API server: experiments and runs over HTTP, as `kfp.Client` sees them.

It knows KFP's contract from KFP's own OpenAPI client (kfp_server_api): what an operation may be asked, what a body may
hold, what an answer looks like. A request that KFP's models do not know ends in `violations`, and so does a run whose
file is no pipeline of KFP's, or whose parameters the file does not declare with that type. It runs nothing: a test says how
the tasks get on, one step each time the run is looked at.
"""

from __future__ import annotations

import datetime
import http.server
import json
import re
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import kfp_server_api

from tests.pipelines.kubeflow import kubeflow_api_contract as contract

TOKEN = "a-token-that-nobody-may-print"
PREFIX = "/apis/v2beta1"
LOG = "/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log"
WORKFLOW = "taxi-training-x7k2p"
_API = kfp_server_api.ApiClient()
Step = Mapping[str, str]  # task (or "trainer-driver") -> "STATE" or "STATE: error"; "" is the run's own


class NoAnswer(Exception):
    """The connection ends instead of an answer."""


class Refusal(Exception):
    """An answer that is an error, as KFP's gateway writes it."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.body = status, {"error": message, "code": code, "message": message, "details": []}


class KubeflowApiDouble:
    """The server; `with` starts and stops it.

    Attributes:
        script: the states of each look at a run; the last stays.
        run_scripts: run id -> a script of its own.
        login_page: whether a proxy in front of it answers whoever has no cookie.
        refusals: statuses that the next requests get, whatever they ask; None lets one through.
        violations: requests that are against KFP's contract.
        requests: `METHOD path` of each, without the query.
        logs: what a pod has written, by its name.
        attempts: how often a task's pod was started, where it was more than once.
    """

    def __init__(self, multi_user: bool = False, token: str = TOKEN) -> None:
        self.multi_user, self.token = multi_user, token
        self.script: Sequence[Step] = [{"": "SUCCEEDED"}]
        self.login_page = False
        self.port = 0
        self.refusals: list[int | None] = []
        self.violations: list[str] = []
        self.requests: list[str] = []
        self.experiments: dict[str, Any] = {}
        self.runs: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.run_scripts: dict[str, Sequence[Step]] = {}
        self.logs: dict[str, str] = {}
        self.attempts: dict[str, int] = {}
        self.on_look: Callable[[], None] = lambda: None
        self._looks: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> KubeflowApiDouble:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: Any) -> Any:
        with self._lock:
            self.requests.append(f"{method} {path}")
            if self.refusals and (status := self.refusals.pop(0)):
                raise Refusal(status, 14, "upstream connect error")
            if self.login_page and headers.get("Cookie") != "session=1":
                return b"<html>Log in</html>"
            if headers.get("Authorization") != f"Bearer {self.token}":
                raise Refusal(401, 16, "Unauthenticated: the token is invalid or has expired")
            for verb, pattern, operation, act in self._routes():
                if verb == method and (match := re.fullmatch(PREFIX + pattern, path)):
                    self.violations += contract.of_query(operation, query)
                    answer = _API.sanitize_for_serialization(act(*match.groups(), query=query, body=body))
                    self.violations += contract.of_answer(operation, answer)
                    return answer
            if method == "GET" and (match := re.fullmatch(LOG, path)):
                return self._log(*match.groups())
            self.violations.append(f"{method} {path}: KFP has no such operation")
            raise Refusal(404, 5, "Not Found")

    def _routes(self) -> list[tuple[str, str, str, Callable[..., Any]]]:
        return [
            ("GET", "/healthz", "healthz_service_get_healthz", self._health),
            ("GET", "/experiments", "experiment_service_list_experiments", self._list_experiments),
            ("POST", "/experiments", "experiment_service_create_experiment", self._create_experiment),
            ("GET", "/runs", "run_service_list_runs", self._list_runs),
            ("POST", "/runs", "run_service_create_run", self._create_run),
            ("GET", "/runs/([^/:]+)", "run_service_get_run", self._get_run),
            ("POST", "/runs/([^/:]+):terminate", "run_service_terminate_run", self._terminate),
            ("GET", "/pipelines/([^/:]+)/versions", "pipeline_service_list_pipeline_versions", self._list_versions),
            (
                "GET",
                "/pipelines/([^/:]+)/versions/([^/:]+)",
                "pipeline_service_get_pipeline_version",
                self._get_version,
            ),
        ]

    def _namespace(self, query: Mapping[str, str]) -> None:
        if self.multi_user and query.get("namespace") != "team-a":
            raise Refusal(403, 7, f"User is not authorized in namespace {query.get('namespace')!r}")
        if not self.multi_user and query.get("namespace"):
            raise Refusal(400, 3, "In single-user mode, a request cannot name a namespace")

    def _health(self, query: Mapping[str, str], body: Any) -> Any:
        return kfp_server_api.V2beta1GetHealthzResponse(multi_user=self.multi_user)

    def _list_experiments(self, query: Mapping[str, str], body: Any) -> Any:
        self._namespace(query)
        found = self._filtered(self.experiments.values(), query)
        return kfp_server_api.V2beta1ListExperimentsResponse(experiments=found, total_size=len(found))

    def _create_experiment(self, query: Mapping[str, str], body: Any) -> Any:
        self.violations += contract.of_model("experiment", body, "V2beta1Experiment")
        self._namespace(body)
        if any(one.display_name == body["display_name"] for one in self.experiments.values()):
            raise Refusal(409, 6, f"Already exist error: experiment {body['display_name']}")
        return self.add_experiment(body["display_name"])

    def add_experiment(self, name: str) -> Any:
        one = kfp_server_api.V2beta1Experiment(experiment_id=str(uuid.uuid4()), display_name=name)
        self.experiments[one.experiment_id] = one
        return one

    def _create_run(self, query: Mapping[str, str], body: Any) -> Any:
        self.violations += contract.of_model("run", body, "V2beta1Run")
        if body["experiment_id"] not in self.experiments:
            raise Refusal(404, 5, f"experiment {body['experiment_id']} not found")
        if not (sent := body.get("pipeline_spec")):
            reference = body["pipeline_version_reference"]
            sent = self._version(reference["pipeline_id"], reference["pipeline_version_id"]).pipeline_spec
        self.violations += contract.of_submission(sent, body["runtime_config"].get("parameters", {}))
        return self.add_run(**{key: value for key, value in body.items() if key != "runtime_config"}, **{
            "runtime_config": kfp_server_api.V2beta1RuntimeConfig(**body["runtime_config"])
        })  # fmt: skip

    def add_run(self, display_name: str, **fields: Any) -> Any:
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(milliseconds=len(self.runs))
        run = kfp_server_api.V2beta1Run(
            run_id=str(uuid.uuid4()),
            display_name=display_name,
            **{"state": "PENDING", "created_at": now, "finished_at": _never(), **fields},
        )
        self.runs[run.run_id] = run
        return run

    def _list_runs(self, query: Mapping[str, str], body: Any) -> Any:
        if "experiment_id" not in query:
            self._namespace(query)
        if query.get("sort_by") != "created_at desc":
            self.violations.append(f"list of runs: sort_by {query.get('sort_by')!r}")
        runs = sorted(self._filtered(self.runs.values(), query), key=lambda run: run.created_at, reverse=True)
        if "experiment_id" in query:
            runs = [run for run in runs if run.experiment_id == query["experiment_id"]]
        first, size = int(query.get("page_token") or 0), int(query.get("page_size") or 10)
        rest = str(first + size) if first + size < len(runs) else None
        return kfp_server_api.V2beta1ListRunsResponse(
            runs=runs[first : first + size], total_size=len(runs), next_page_token=rest
        )

    def _filtered(self, things: Iterable[Any], query: Mapping[str, str]) -> list[Any]:
        """What a list's filter lets through: EQUALS and IS_SUBSTRING of text."""
        found = list(things)
        for predicate in contract.predicates(query):
            key, value = predicate["key"], predicate["string_value"]
            match predicate["operation"]:
                case "EQUALS":
                    found = [one for one in found if getattr(one, key) == value]
                case "IS_SUBSTRING":
                    found = [one for one in found if value in getattr(one, key)]
                case other:
                    self.violations.append(f"filter: the double knows no operation {other!r}")
        return found

    def _run(self, run_id: str) -> Any:
        if run_id not in self.runs:
            raise Refusal(404, 5, f"Run {run_id} not found")
        return self.runs[run_id]

    def _get_run(self, run_id: str, query: Mapping[str, str], body: Any) -> Any:
        run = self._run(run_id)
        self.on_look()
        if run.state == "CANCELING":
            # Its workflow has failed; that it was terminated stays in the history alone.
            _enter(run, "FAILED")
            run.finished_at = run.created_at + datetime.timedelta(minutes=1)
        if run.state in ("PENDING", "RUNNING"):
            look = self._looks[run_id] = self._looks.get(run_id, -1) + 1
            script = self.run_scripts.get(run_id, self.script)
            self._advance(run, script[min(look, len(script) - 1)])
        return run

    def _advance(self, run: Any, step: Step) -> None:
        began = run.created_at
        state, _, error = step.get("", "RUNNING").partition(": ")
        if state == "CANCELED":  # a script says what it means, KFP says this
            _enter(run, "CANCELING")
            state = "FAILED"
        _enter(run, state)
        run.error = _status(error)
        if run.state not in ("PENDING", "RUNNING"):
            run.finished_at = began + datetime.timedelta(minutes=20)
        details = [
            kfp_server_api.V2beta1PipelineTaskDetail(
                run_id=run.run_id,
                task_id=str(uuid.uuid4()),
                display_name=task,
                state=state.partition(": ")[0],
                error=_status(state.partition(": ")[2]),
                create_time=began,
                start_time=began,
                end_time=began + datetime.timedelta(seconds=90)
                if state.startswith(("SUCCEEDED", "FAILED"))
                else _never(),
            )
            for task, state in step.items()
            if task
        ]
        for one in list(details):
            if not one.display_name.endswith("-driver"):
                details += self._executor(one)
        run.run_details = kfp_server_api.V2beta1RunDetails(task_details=details)

    def _executor(self, task: Any) -> list[Any]:
        """What is below a task: the step, and a pod for each attempt, by the ids of Argo's nodes."""
        step = f"{WORKFLOW}.root.{task.display_name}.executor"
        attempts = [f"{step}({one})" for one in range(self.attempts.get(task.display_name, 1))]
        task.child_tasks = _children([step])
        same = {name: getattr(task, name) for name in ("run_id", "state", "create_time", "start_time", "end_time")}
        made = [("executor", _children(attempts)), *((f"executor({n})", None) for n in range(len(attempts)))]
        return [
            kfp_server_api.V2beta1PipelineTaskDetail(
                task_id=str(uuid.uuid4()), display_name=name, child_tasks=children, **same
            )
            for name, children in made
        ]

    def _terminate(self, run_id: str, query: Mapping[str, str], body: Any) -> Any:
        run = self._run(run_id)
        if run.state not in ("PENDING", "RUNNING"):
            raise Refusal(400, 9, f"Failed to terminate run {run_id}: it has ended")
        _enter(run, "CANCELING")
        return {}

    def _log(self, run_id: str, pod: str) -> bytes:
        """A pod's log; where there is none, KFP has answered 200 before it knows."""
        if run_id in self.runs and (text := self.logs.get(urllib.parse.unquote(pod))) is not None:
            return text.encode()
        said = f"Failed to read logs for run {run_id}"
        return json.dumps({"error_message": said, "error_details": f'{said}: pods "{pod}" not found'}).encode()

    def add_version(self, pipeline_id: str, pipeline_spec: Any) -> Any:
        """Uploads a version of a pipeline."""
        one = kfp_server_api.V2beta1PipelineVersion(
            pipeline_id=pipeline_id, pipeline_version_id=str(uuid.uuid4()), pipeline_spec=pipeline_spec
        )
        self.versions[one.pipeline_version_id] = one
        return one

    def _version(self, pipeline_id: str, version_id: str) -> Any:
        one = self.versions.get(version_id)
        if one is None or one.pipeline_id != pipeline_id:
            raise Refusal(404, 5, f"Pipeline version {version_id} not found")
        return one

    def _get_version(self, pipeline_id: str, version_id: str, query: Mapping[str, str], body: Any) -> Any:
        return self._version(pipeline_id, version_id)

    def _list_versions(self, pipeline_id: str, query: Mapping[str, str], body: Any) -> Any:
        found = [one for one in reversed(self.versions.values()) if one.pipeline_id == pipeline_id]
        return kfp_server_api.V2beta1ListPipelineVersionsResponse(
            pipeline_versions=found[: int(query.get("page_size") or 10)], total_size=len(found)
        )


def pod_name(task: str, attempt: int, template: str) -> str:
    """As Argo names the pod of an attempt."""
    return f"{WORKFLOW}-{template}-{_hash(f'{WORKFLOW}.root.{task}.executor({attempt})')}"


def _children(nodes: Sequence[str]) -> list[Any]:
    return [kfp_server_api.PipelineTaskDetailChildTask(pod_name=f"{WORKFLOW}-{_hash(node)}") for node in nodes]


def _hash(text: str) -> int:
    """FNV-1a, written down once more: the code under test has its own."""
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def _enter(run: Any, state: str) -> None:
    """A state, and its place in the history."""
    if run.state == state and run.state_history:
        return
    run.state = state
    entry = kfp_server_api.V2beta1RuntimeStatus(update_time=run.created_at, state=state)
    run.state_history = [*(run.state_history or ()), entry]


def _status(message: str) -> Any:
    return kfp_server_api.GoogleRpcStatus(code=2, message=message) if message else None


def _never() -> datetime.datetime:
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def _handler(double: KubeflowApiDouble) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._do("GET")

        def do_POST(self) -> None:
            self._do("POST")

        def _do(self, method: str) -> None:
            split = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(split.query))
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            try:
                status, answer = 200, double.answer(method, split.path, query, self.headers, body)
            except Refusal as refusal:
                status, answer = refusal.status, refusal.body
            except NoAnswer:
                self.close_connection = True
                return
            written = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: the test's output is the command's."""

    return Handler
