"""The settings in a connection of type "kubeflow"."""

from __future__ import annotations

import dataclasses
import pathlib
import urllib.parse
from typing import Any

from airflow_kubeflow.exceptions import KubeflowUserError

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where KFP is, and how to log in.

    Attributes:
        host: the URL up to, but without, `/apis`.
        ui: URL of KFP's pages.
        namespace: the profile, if Kubeflow has several users; else empty.
        token: bearer token.
        token_file: file with a token; read for every request, because the tokens of service accounts are short-lived.
        cookie: `name=value`, for a proxy that only knows browsers.
        ca_file: certificates of the authority that signed the host's certificate; empty: the public ones.
        verify: whether the host's certificate is checked.
        timeout: seconds that one request may take.
        retries: how often a request is sent again after 5xx, 429 or a connection error.
        backoff: seconds before the first retry; each further one waits twice as long, at most a minute.
    """

    host: str
    ui: str
    namespace: str = ""
    token: str = dataclasses.field(default="", repr=False)
    token_file: str = ""
    cookie: str = dataclasses.field(default="", repr=False)
    ca_file: str = ""
    verify: bool = True
    timeout: float = 30.0
    retries: int = 3
    backoff: float = 1.0

    @classmethod
    def from_connection(cls, connection: Any, extra: dict[str, Any]) -> Settings:
        """Reads a connection.

        Raises:
            KubeflowUserError: a field is missing or cannot be read.
        """
        where = f"connection {connection.conn_id!r}"
        host = _url(connection.host or "", connection.port, f"{where}, field host")
        ca_file = str(extra.get("ca_file") or "")
        if ca_file and not pathlib.Path(ca_file).is_file():
            raise KubeflowUserError(f"{where}, field ca_file: there is no file {ca_file!r} on this machine.")
        if connection.password and not (connection.password.isascii() and connection.password.isprintable()):
            raise KubeflowUserError(f"{where}: the token holds characters that no token has. Copy it again.")
        return cls(
            host=host,
            ui=_url(str(extra["ui"]), None, f"{where}, field ui") if extra.get("ui") else host,
            namespace=str(extra.get("namespace") or ""),
            token=(connection.password or "").strip(),
            token_file=str(extra.get("credentials_file") or ""),
            cookie=str(extra.get("cookie_secret") or ""),
            ca_file=ca_file,
            verify=_flag(extra.get("verify"), f"{where}, field verify"),
            timeout=_number(extra.get("timeout"), cls.timeout, f"{where}, field timeout"),
            retries=int(_number(extra.get("retries"), cls.retries, f"{where}, field retries")),
            backoff=_number(extra.get("backoff"), cls.backoff, f"{where}, field backoff"),
        )

    def bearer(self) -> str:
        """The token to send, empty if there is none.

        Raises:
            KubeflowUserError: the token's file cannot be read.
        """
        if self.token or not self.token_file:
            return self.token
        try:
            token = pathlib.Path(self.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text"
            raise KubeflowUserError(f"{self.token_file}: the token cannot be read: {why}.") from None
        if not token:
            raise KubeflowUserError(f"{self.token_file}: the token's file is empty.")
        return token

    def link(self, run_id: str) -> str:
        """The URL of a run's page in KFP.

        Example:
            >>> Settings("http://kfp", "http://kfp").link("4f0b")
            'http://kfp/#/runs/details/4f0b'
        """
        return f"{self.ui}/#/runs/details/{run_id}"


def _url(text: str, port: int | None, where: str) -> str:
    if not text:
        raise KubeflowUserError(
            f"{where}: where is KFP? Enter the URL up to /apis, e.g. https://kubeflow.example.com/pipeline"
        )
    url = urllib.parse.urlsplit(text if "://" in text else f"https://{text}")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise KubeflowUserError(f"{where}: no URL of http or https. Received: {text!r}")
    if url.username or url.password:
        raise KubeflowUserError(f"{where}: a password has no place in the URL. Put the token into the field token.")
    netloc = f"{url.netloc}:{port}" if port and f":{port}" not in url.netloc else url.netloc
    return f"{url.scheme}://{netloc}{url.path}".rstrip("/").removesuffix("/apis")


def _flag(value: Any, where: str) -> bool:
    if value is None or value == "":
        return True
    if str(value).lower() not in (*_TRUE, *_FALSE):
        raise KubeflowUserError(f"{where}: true or false. Received: {value!r}")
    return str(value).lower() in _TRUE


def _number(value: Any, default: float, where: str) -> float:
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise KubeflowUserError(f"{where}: a number of at least 0. Received: {value!r}")
    return number
