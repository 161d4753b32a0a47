"""Turns answers of KFP's API, and network errors, into this provider's exceptions."""

from __future__ import annotations

import http
import ssl
from typing import Any

import httpx

from airflow_kubeflow.api import Json, Refused
from airflow_kubeflow.exceptions import KubeflowUnavailable, KubeflowUserError

_LONGEST_MESSAGE = 300
_REMEDIES: dict[int, str] = {
    http.HTTPStatus.UNAUTHORIZED: "no access. Put a valid token into the connection",
    http.HTTPStatus.FORBIDDEN: "this user may not do that. Ask for access, or check the namespace",
}


def read(answer: httpx.Response, host: str) -> Json:
    """The JSON of an answer.

    Raises:
        Refused: 4xx.
        KubeflowUserError: a page that asks for a login.
        KubeflowUnavailable: 5xx, 408, 429.
    """
    if answer.status_code == http.HTTPStatus.OK:
        return _json(answer, host)
    said = f"{host} says {answer.status_code} {_message(answer)}".rstrip(". ")
    if answer.is_redirect:
        raise KubeflowUserError(f"{said}: it wants a login. Put a token, or a session's cookie, into the connection.")
    # A request that was refused by a rate limit had no effect.
    if answer.status_code == http.HTTPStatus.TOO_MANY_REQUESTS:
        raise KubeflowUnavailable(f"{said}.")
    if answer.is_server_error or answer.status_code == http.HTTPStatus.REQUEST_TIMEOUT:
        raise KubeflowUnavailable(f"{said}.", sent=True)
    if remedy := _REMEDIES.get(answer.status_code):
        said = f"{said}: {remedy}"
    raise Refused(f"{said}.", answer.status_code)


def unavailable(error: Exception, host: str) -> KubeflowUnavailable:
    """Converts a network error.

    Raises:
        KubeflowUserError: the host's certificate is not trusted, or its name is invalid.
    """
    if isinstance(_cause(error), ssl.SSLCertVerificationError):
        raise KubeflowUserError(f"{host}: its certificate is not trusted ({error}). Set the connection's ca_file.")
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        raise KubeflowUserError(f"{host} is not a valid host: {error}. Correct the connection.")
    not_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return KubeflowUnavailable(f"{host} does not answer: {str(error) or type(error).__name__}.", sent=not not_sent)


def _json(answer: httpx.Response, host: str) -> Json:
    try:
        value = answer.json() if answer.content else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise KubeflowUserError(
            f"{host} answers with a web page, not as KFP's API does: it may want a login. Put a token, or a session's "
            "cookie, into the connection; or check the host, which is what comes before /apis."
        )
    return value


def _message(answer: httpx.Response) -> str:
    """The API's message, else the reason phrase. Headers are left out, since they may hold a token."""
    try:
        body: Any = answer.json()
        message = str(body["message"])
    except (ValueError, TypeError, KeyError):
        message = answer.reason_phrase
    words = " ".join(message.split())
    return words if len(words) <= _LONGEST_MESSAGE else f"{words[:_LONGEST_MESSAGE]} …"


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return error
