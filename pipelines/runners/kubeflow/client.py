"""KFP's API: `kfp.Client`, connected as kubeflow.yaml says, with its errors turned into ours.

What a person has to mend (no access, no such run) is an `InputError`, what may be tried again is `Unavailable`.
"""

from __future__ import annotations

import contextlib
import http
import io
import json
import logging
import os
import pathlib
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import kfp_server_api
import urllib3
from kfp import client as kfp_client
from kfp.client import token_credentials_base

from pipelines.runners.kubeflow.cluster.site import Api
from pipelines.runners.kubeflow.watching import Unavailable
from spec import environment as env
from spec.errors import InputError
from spec.words import one_line

PAGE = 50
_TIMEOUT = (10, 60)  # seconds to connect and to read; kfp.Client itself would wait for ever
_HOST, _UI = "KF_PIPELINES_ENDPOINT", "KF_PIPELINES_UI_ENDPOINT"  # KFP's own names
_MEND_ACCESS = (
    f"Put a valid token into {env.KUBEFLOW_TOKEN}, or name its file in {env.KUBEFLOW_TOKEN_FILE} or api.token_file"
)


class TokenFile(token_credentials_base.TokenCredentialsBase):  # type: ignore[misc]
    """A bearer token that is read for every request: service accounts' tokens expire after an hour, runs take longer."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def refresh_api_key_hook(self, config: Any) -> None:
        """Fills in the token; the client calls this before each request.

        Raises:
            InputError: there is no such file, or nothing in it.
        """
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text"
            raise InputError(f"{self._path}: the token cannot be read: {why}. {_MEND_ACCESS}.") from None
        if not token:
            raise InputError(f"{self._path}: the token file is empty. {_MEND_ACCESS}.")
        config.api_key["authorization"] = token
        config.api_key_prefix["authorization"] = "Bearer"


class Kubeflow:
    """One KFP installation, accessed as one user.

    Args:
        api: where it is; environment variables take precedence.

    Raises:
        InputError: the host, a needed token or a needed namespace is missing, or there is no KFP at the host.
        Unavailable: nobody answers.
    """

    def __init__(self, api: Api) -> None:
        self.host = (os.environ.get(_HOST) or api.host).rstrip("/")
        if not self.host:
            raise InputError(
                f"where is KFP's API? Set api.host in kubeflow.yaml (TRAINYARD_KUBEFLOW names yours), or {_HOST}, "
                "e.g. http://localhost:8888 after `kubectl port-forward -n kubeflow svc/ml-pipeline 8888`."
            )
        self.host = self.host if "://" in self.host else f"https://{self.host}"
        self._ui = (os.environ.get(_UI) or api.ui or self.host).rstrip("/")
        _hush()
        access = _access(api)
        several_users = self._asked_for_health(access, api)
        with self._explained(), warnings.catch_warnings(action="ignore"):
            # A single-user KFP has no namespaces. The client takes its default for none.
            namespace = api.namespace if several_users and api.namespace else "kubeflow"
            self._client = kfp_client.Client(
                host=self.host, namespace=namespace, ssl_ca_cert=api.ca_file or None, **access
            )
        if several_users and not self._client.get_user_namespace():
            raise InputError(
                f"{self.host} has several users: which namespace is yours? Set api.namespace in kubeflow.yaml."
            )

    def link(self, run_id: str) -> str:
        """The address of a run in KFP's UI."""
        return f"{self._ui}/#/runs/details/{run_id}"

    def experiment(self, name: str) -> str | None:
        """Id of the experiment of that name; None if there is none yet."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        with self._explained():
            listed = self._client.experiments.experiment_service_list_experiments(
                filter=json.dumps({"predicates": [predicate]}),
                namespace=self._client.get_user_namespace(),
                _request_timeout=_TIMEOUT,
            )
        return str(listed.experiments[0].experiment_id) if listed.experiments else None

    def create_run(
        self,
        compiled: pathlib.Path,
        name: str,
        experiment: str,
        parameters: Mapping[str, Any],
        service_account: str,
    ) -> str:
        """Starts a run of a compiled file in the experiment of that name, which is created if needed.

        Returns:
            The run's id.
        """
        # kfp prints links of its own.
        with self._explained(), contextlib.redirect_stdout(io.StringIO()):
            experiment_id = self.experiment(experiment) or self._new_experiment(experiment)
        try:
            with self._explained(), contextlib.redirect_stdout(io.StringIO()):
                created = self._client.create_run_from_pipeline_package(
                    str(compiled),
                    arguments=dict(parameters),
                    run_name=name,
                    experiment_id=experiment_id,
                    service_account=service_account,
                )
        except Unavailable as error:
            # KFP may have started it before the answer was lost, and would start a second one of the same name.
            raise Unavailable(f"{error} Whether the run was started shows `trainyard runs list`.") from None
        return str(created.run_id)

    def run(self, run_id: str) -> Any:
        """A run (`V2beta1Run`), with its tasks."""
        with self._explained(f"there is no run {run_id!r}. `trainyard runs list` shows the newest."):
            return self._client.runs.run_service_get_run(run_id=run_id, _request_timeout=_TIMEOUT)

    def log(self, run_id: str, pod: str) -> str | None:
        """A pod's log, live or archived by Argo; None if there is neither."""
        path = f"/apis/v1alpha1/runs/{_quoted(run_id)}/nodes/{_quoted(pod)}/log"
        try:
            with self._explained():
                answer = self._client.runs.api_client.call_api(
                    path, "GET", auth_settings=["Bearer"], _preload_content=False, _request_timeout=_TIMEOUT
                )
        except InputError:
            return None
        text = str(answer.data.decode("utf-8", "replace"))
        # KFP answers 200 before it looks for the pod, and appends an error as JSON.
        return None if text.startswith('{"error_message"') else text.partition('{"error_message"')[0]

    def resumed(self, run: Any, name: str, parameters: Mapping[str, Any]) -> str:
        """Starts a run with the same pipeline, experiment and service account as another.

        Args:
            run: `V2beta1Run`.

        Returns:
            The new run's id.
        """
        runtime = kfp_server_api.V2beta1RuntimeConfig(
            parameters=dict(parameters), pipeline_root=run.runtime_config and run.runtime_config.pipeline_root
        )
        body = kfp_server_api.V2beta1Run(
            experiment_id=run.experiment_id,
            display_name=name,
            pipeline_spec=run.pipeline_spec,
            pipeline_version_reference=None if run.pipeline_spec else run.pipeline_version_reference,
            runtime_config=runtime,
            service_account=run.service_account,
        )
        with self._explained():
            created = self._client.runs.run_service_create_run(run=body, _request_timeout=_TIMEOUT)
        return str(created.run_id)

    def runs(self, experiment: str | None = None) -> Iterator[Any]:
        """Runs (`V2beta1Run`) of one experiment or of all, newest first; pages are fetched as needed."""
        within: dict[str, str] = {"namespace": self._client.get_user_namespace()}
        if experiment is not None:
            found = self.experiment(experiment)
            if found is None:
                raise InputError(f"there is no experiment {experiment!r} at {self.host}.")
            within = {"experiment_id": found}
        token = ""
        while True:
            with self._explained():
                page = self._client.runs.run_service_list_runs(
                    page_token=token,
                    page_size=PAGE,
                    sort_by="created_at desc",
                    _request_timeout=_TIMEOUT,
                    **within,
                )
            yield from page.runs or ()
            token = page.next_page_token or ""
            if not token:
                return

    def terminate(self, run_id: str) -> None:
        """Asks KFP to terminate a run; it stops the pods some seconds later."""
        with self._explained(f"there is no run {run_id!r}. `trainyard runs list` shows the newest."):
            self._client.runs.run_service_terminate_run(run_id=run_id, _request_timeout=_TIMEOUT)

    def _new_experiment(self, name: str) -> str:
        try:
            return str(self._client.create_experiment(name).experiment_id)
        except kfp_server_api.ApiException as error:
            # Somebody else has just created it.
            if error.status == http.HTTPStatus.CONFLICT and (found := self.experiment(name)):
                return found
            raise

    def _asked_for_health(self, access: Mapping[str, Any], api: Api) -> bool:
        """Whether KFP has several users. Asked first, because kfp.Client would retry for 25 s and log each traceback."""
        config = kfp_server_api.Configuration(host=self.host)
        config.ssl_ca_cert = api.ca_file or None
        config.retries = urllib3.Retry(1, backoff_factor=0.5)
        if credentials := access.get("credentials"):
            credentials.refresh_api_key_hook(config)
        elif token := access.get("existing_token"):
            config.api_key["authorization"] = token
            config.api_key_prefix["authorization"] = "Bearer"
        health = kfp_server_api.HealthzServiceApi(kfp_server_api.ApiClient(config, cookie=access.get("cookies")))
        not_here = f"{self.host} is not KFP's API. Name what comes before /apis, often https://host/pipeline."
        with self._explained(not_here):
            answer = health.healthz_service_get_healthz(_preload_content=False, _request_timeout=_TIMEOUT)
        try:
            return bool(json.loads(answer.data).get("multi_user"))
        except (ValueError, AttributeError):
            raise InputError(
                f"{self.host} answers with a page and not as KFP's API does: it may want a login. {_MEND_ACCESS}, "
                f"or a session's cookie into {env.KUBEFLOW_COOKIE}; or mend api.host."
            ) from None

    @contextlib.contextmanager
    def _explained(self, missing: str = "") -> Iterator[None]:
        """Turns errors of KFP and of the network into one line that says what to do."""
        try:
            yield
        except kfp_server_api.ApiException as error:
            raise self._told(error, missing) from None
        except urllib3.exceptions.MaxRetryError as error:
            if isinstance(error.reason, urllib3.exceptions.SSLError):
                raise InputError(
                    f"{self.host}: its certificate is not trusted ({error.reason}). Set api.ca_file in kubeflow.yaml."
                ) from None
            raise Unavailable(f"{self.host} does not answer: {_reason(error.reason)}.") from None
        except urllib3.exceptions.LocationParseError as error:
            raise InputError(f"{self.host} is no host: {error}. Mend api.host or {_HOST}.") from None
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{self.host} does not answer: {_reason(error)}.") from None

    def _told(self, error: Any, missing: str) -> Exception:
        said = f"{self.host} says {error.status} {_message(error)}".rstrip()
        match error.status:
            case http.HTTPStatus.UNAUTHORIZED:
                return InputError(f"{said}: no access. {_MEND_ACCESS}.")
            case http.HTTPStatus.FORBIDDEN:
                return InputError(f"{said}: this user may not. Ask for access, or check api.namespace.")
            case http.HTTPStatus.NOT_FOUND:
                return InputError(missing or f"{said}.")
            case 0:
                return InputError(f"{self.host}: TLS failed: {error.reason}. Set api.ca_file in kubeflow.yaml.")
            case status if status >= 500 or status in (
                http.HTTPStatus.REQUEST_TIMEOUT,
                http.HTTPStatus.TOO_MANY_REQUESTS,
            ):
                return Unavailable(f"{said}.")
        return InputError(f"{said}.")


def _hush() -> None:
    """Silences urllib3, which logs every retry, and kfp, which logs every creation.

    Each module's own logger: kfp_server_api resets the level of urllib3's parent logger whenever it is configured.
    """
    for name in ("urllib3.connectionpool", "kfp", "kfp_server_api.rest"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")


def _access(api: Api) -> dict[str, Any]:
    """Credentials, as kfp.Client's arguments. The environment takes precedence, and a token over a file."""
    access: dict[str, Any] = {}
    token, file = (
        os.environ.get(env.KUBEFLOW_TOKEN, "").strip(),
        os.environ.get(env.KUBEFLOW_TOKEN_FILE) or api.token_file,
    )
    if token:
        if not (token.isascii() and token.isprintable()):
            raise InputError(f"{env.KUBEFLOW_TOKEN}: holds characters that no token has. Copy it again.")
        access["existing_token"] = token
    elif file:
        access["credentials"] = TokenFile(pathlib.Path(file).expanduser())
    if cookie := os.environ.get(env.KUBEFLOW_COOKIE):
        access["cookies"] = cookie
    if api.ca_file and not pathlib.Path(api.ca_file).is_file():
        raise InputError(f"kubeflow.yaml, field api.ca_file: there is no file {api.ca_file!r}.")
    return access


def _message(error: Any) -> str:
    """The API's message from its JSON, else the status text. Headers, which may hold a token, are left out."""
    try:
        message = json.loads(error.body)["message"]
    except (ValueError, TypeError, KeyError):
        message = error.reason or ""
    words = one_line(message)
    return words if len(words) <= 300 else words[:300] + " …"


def _reason(error: BaseException | None) -> str:
    """The last part of urllib3's message: `<object at 0x..>: Failed to establish a new connection: [Errno 111] ...`."""
    return str(error).rpartition(": ")[2].rstrip(".") or type(error).__name__
