"""The connection to Kubeflow Pipelines, with and without asyncio."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from types import TracebackType
from typing import Any, TypeVar

import httpx
from airflow.sdk import BaseHook

from airflow_kubeflow import answers, api
from airflow_kubeflow.api import Asking, Json, Request
from airflow_kubeflow.exceptions import KubeflowUnavailable, KubeflowUserError
from airflow_kubeflow.settings import Settings

T = TypeVar("T")
_LONGEST_PAUSE = 60.0


class KubeflowHook(BaseHook):
    """Talks to KFP's API (v2beta1) with the settings of a connection of type "kubeflow".

    After 5xx, 429 and connection errors, requests are retried with growing pauses, as often as the connection says, and finally
    raise `KubeflowUnavailable`. Whatever the user has to correct is a `KubeflowUserError`, which Airflow does not retry. Methods
    whose names begin with `a` are for asyncio.

    Args:
        kubeflow_conn_id: the connection.

    Example:
        >>> with KubeflowHook("kubeflow_default") as hook:  # doctest: +SKIP
        ...     hook.get_run("4f0b2f0e-5d0c-4d0e-8a53-0a51f2c1c6c3")["state"]
        'RUNNING'
    """

    conn_name_attr = "kubeflow_conn_id"
    default_conn_name = "kubeflow_default"
    conn_type = "kubeflow"
    hook_name = "Kubeflow Pipelines"

    def __init__(self, kubeflow_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.kubeflow_conn_id = kubeflow_conn_id
        self._settings: Settings | None = None
        self._client: httpx.Client | None = None
        self._async_client: httpx.AsyncClient | None = None

    def __enter__(self) -> KubeflowHook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def settings(self) -> Settings:
        """The connection's settings; it is read once."""
        if self._settings is None:
            connection = self.get_connection(self.kubeflow_conn_id)
            self._settings = Settings.from_connection(connection, connection.extra_dejson)
        return self._settings

    async def asettings(self) -> Settings:
        """The connection's settings, read without blocking."""
        if self._settings is None:
            connection = await self.aget_connection(self.kubeflow_conn_id)
            self._settings = Settings.from_connection(connection, await connection.aextra_dejson())
        return self._settings

    def get_conn(self) -> httpx.Client:
        """The HTTP client."""
        if self._client is None:
            self._client = httpx.Client(**_client_options(self.settings))
        return self._client

    def close(self) -> None:
        """Closes the HTTP client."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def aclose(self) -> None:
        """Closes the asynchronous HTTP client and forgets the settings, so that a changed token is used next time."""
        self._settings = None
        if self._async_client is not None:
            await self._async_client.aclose()
            self._async_client = None

    def test_connection(self) -> tuple[bool, str]:
        """Whether KFP answers and accepts this connection; the button "Test" in Airflow's connection form calls it."""
        try:
            namespace = self._do(api.namespace_to_use(self.settings.namespace))
            self._do(api.find_experiment("Default", namespace))
        except (KubeflowUserError, KubeflowUnavailable) as error:
            return False, str(error)
        finally:
            self.close()
        users = f"several users, namespace {namespace}" if namespace else "one user"
        return True, f"Kubeflow Pipelines answers at {self.settings.host} ({users})."

    def health(self) -> Json:
        """KFP's health; `multi_user` says whether it has several users."""
        return self._do(api.health())

    def get_or_create_experiment(self, name: str, namespace: str = "") -> str:
        """Id of the experiment of that name, which is created if there is none.

        Args:
            name: of the experiment.
            namespace: its namespace, if Kubeflow has several users; default: the connection's.
        """
        namespace = self._do(api.namespace_to_use(namespace or self.settings.namespace))
        return self._do(api.get_or_create_experiment(name, namespace))

    def get_pipeline_version(self, pipeline_id: str, version_id: str = "") -> Json:
        """A version of an uploaded pipeline; the newest if none is named."""
        return self._do(api.get_pipeline_version(pipeline_id, version_id))

    def create_run(self, body: Json) -> Json:
        """Starts a run.

        Args:
            body: `V2beta1Run` of KFP's API.

        Raises:
            KubeflowUnavailable: its `sent` says whether KFP may have started the run nevertheless.
        """
        return self._do(api.create_run(body))

    def get_run(self, run_id: str) -> Json:
        """A run (`V2beta1Run`) with its tasks."""
        return self._do(api.get_run(run_id))

    async def aget_run(self, run_id: str) -> Json:
        """A run (`V2beta1Run`) with its tasks."""
        return await self._ado(api.get_run(run_id))

    def find_runs(self, experiment_id: str, part_of_name: str) -> list[Json]:
        """Runs of an experiment with that text in their display name, the newest first."""
        return self._do(api.find_runs(experiment_id, part_of_name))

    def terminate_run(self, run_id: str) -> None:
        """Ends a run; nothing happens if it has ended."""
        self._do(api.terminate_run(run_id))

    async def aterminate_run(self, run_id: str) -> None:
        """Ends a run; nothing happens if it has ended."""
        await self._ado(api.terminate_run(run_id))

    def link(self, run_id: str) -> str:
        """The URL of a run's page in KFP."""
        return self.settings.link(run_id)

    def _do(self, asking: Asking[T]) -> T:
        try:
            request = next(asking)
            while True:
                try:
                    answer = self._send(request)
                except KubeflowUserError as error:
                    request = asking.throw(error)
                else:
                    request = asking.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    async def _ado(self, asking: Asking[T]) -> T:
        try:
            request = next(asking)
            while True:
                try:
                    answer = await self._asend(request)
                except KubeflowUserError as error:
                    request = asking.throw(error)
                else:
                    request = asking.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def _send(self, request: Request) -> Json:
        settings = self.settings
        for attempt in range(settings.retries + 1):
            try:
                answer = self.get_conn().request(**_request_options(request, settings.bearer()))
                return answers.read(answer, settings.host)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = answers.unavailable(error, settings.host)
            except KubeflowUnavailable as error:
                problem = error
            if attempt == settings.retries or (problem.sent and not request.repeatable):
                raise problem
            time.sleep(_pause(settings, attempt))
        raise AssertionError("there is always a last attempt")

    async def _asend(self, request: Request) -> Json:
        settings = await self.asettings()
        if self._async_client is None:
            self._async_client = httpx.AsyncClient(**await asyncio.to_thread(_client_options, settings))
        for attempt in range(settings.retries + 1):
            try:
                answer = await self._async_client.request(**_request_options(request, settings.bearer()))
                return answers.read(answer, settings.host)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = answers.unavailable(error, settings.host)
            except KubeflowUnavailable as error:
                problem = error
            if attempt == settings.retries or (problem.sent and not request.repeatable):
                raise problem
            await asyncio.sleep(_pause(settings, attempt))
        raise AssertionError("there is always a last attempt")


def _client_options(settings: Settings) -> dict[str, Any]:
    return {
        "base_url": settings.host + api.PREFIX,
        "verify": _verify(settings),
        "timeout": httpx.Timeout(settings.timeout, connect=min(10.0, settings.timeout)),
        "headers": {"Cookie": settings.cookie} if settings.cookie else {},
    }


def _verify(settings: Settings) -> ssl.SSLContext | bool:
    """How to check the host's certificate. Reading the authorities' certificates takes a while."""
    if not settings.verify or settings.host.startswith("http://"):
        return False
    if not settings.ca_file:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except ssl.SSLError:
        raise KubeflowUserError(f"{settings.ca_file}: no certificates in it.") from None


def _request_options(request: Request, token: str) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.path,
        "params": dict(request.query),
        "json": request.body,
        "headers": {"Authorization": f"Bearer {token}"} if token else {},
    }


def _pause(settings: Settings, attempt: int) -> float:
    """Seconds until the next attempt; random, to keep many tasks from coming back at once."""
    return min(settings.backoff * 2.0**attempt, _LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
