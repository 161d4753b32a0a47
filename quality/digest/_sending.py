"""Sends a digest: to a Slack-compatible webhook, or by SMTP. Addresses that are secrets come from the environment alone."""

from __future__ import annotations

import contextlib
import os
import re
import smtplib
import socket
import ssl
import urllib.parse
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, TypeVar

import httpx

import storage
from spec import environment as env
from spec.errors import InputError, TryAgainError

_TRIES = 4
_SECONDS = 10.0
_PAUSE_S = 1.0
_Answer = TypeVar("_Answer")


class NotSent(TryAgainError):
    """The message was not sent; may be tried again."""


def to_webhook(variable: str, message: dict[str, Any]) -> None:
    """Posts a Block Kit message to the URL that an environment variable holds. The URL is a secret: no error shows it.

    Raises:
        InputError: the variable holds no URL, or the other side refuses the message.
        NotSent: it did not answer, or was too busy, at every try.
    """
    url = os.environ.get(variable, "")
    if _split(url, ("http", "https")) is None:
        raise InputError(
            f"{variable}: the environment holds no http(s) URL under this name. Set it to the webhook's URL."
        )

    def post() -> None:
        try:
            answer = httpx.post(url, json=message, timeout=_SECONDS, follow_redirects=False)
        except httpx.InvalidURL:
            raise InputError(f"{variable}: not a URL that can be posted to. Set it to the webhook's URL.") from None
        except httpx.HTTPError as error:
            raise NotSent(f"the webhook in {variable} cannot be reached ({type(error).__name__})") from None
        if answer.status_code == 429 or answer.status_code >= 500:
            raise NotSent(f"the webhook in {variable} answered {answer.status_code}")
        if not answer.is_success:
            # Slack answers with a word such as `invalid_blocks`; anything longer may repeat the URL.
            said = re.match(r"[a-z_]{1,40}\b", answer.text)
            raise InputError(
                f"the webhook in {variable} refused the digest with {answer.status_code}{f' ({said[0]})' if said else ''}. "
                "Make the webhook anew."
            )

    _again(post)


def to_mailboxes(message: EmailMessage) -> None:
    """Sends an e-mail by the server that TRAINYARD_SMTP names.

    Raises:
        InputError: the variable is no SMTP URL, or the server refuses sender, recipients or credentials.
        NotSent: it did not answer at every try.
    """
    server = _split(os.environ.get(env.SMTP, ""), ("smtp", "smtps"))
    if server is None:
        raise InputError(
            f"{env.SMTP}: the environment holds no SMTP URL under this name. Set it, e.g. smtp://user:password@mail.example.com:587 "
            "or smtps://mail.example.com."
        )
    _again(lambda: _deliver(server, message))


def _split(url: str, schemes: tuple[str, ...]) -> urllib.parse.SplitResult | None:
    """A URL's parts, if it is one of these schemes with a host."""
    with contextlib.suppress(ValueError):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in schemes and parts.hostname and (parts.port is None or parts.port > 0):
            return parts
    return None


def sender() -> str:
    """TRAINYARD_MAIL_FROM, else trainyard at this machine's name."""
    return os.environ.get(env.MAIL_FROM) or f"trainyard@{socket.getfqdn()}"


def _deliver(server: urllib.parse.SplitResult, message: EmailMessage) -> None:
    where = f"{server.hostname}:{server.port or (465 if server.scheme == 'smtps' else 587)}"
    try:
        with _connect(server) as smtp:
            if server.username:
                smtp.login(urllib.parse.unquote(server.username), urllib.parse.unquote(server.password or ""))
            smtp.send_message(message)
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused) as error:
        code = getattr(error, "smtp_code", None) or "refused"
        raise InputError(
            f"{where} ({env.SMTP}) refuses the digest: {type(error).__name__} ({code}). Mend user and password in {env.SMTP}, "
            f"{env.MAIL_FROM} or --email."
        ) from None
    except smtplib.SMTPNotSupportedError:
        raise InputError(f"{where} ({env.SMTP}) offers no log-in. Leave user and password out of {env.SMTP}.") from None
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"{where} ({env.SMTP}) cannot be reached ({type(error).__name__})") from None


def _connect(server: urllib.parse.SplitResult) -> smtplib.SMTP:
    """Connects, encrypted if the server can; a password is never sent in the clear, except to this machine itself."""
    host, context = str(server.hostname), ssl.create_default_context()
    if server.scheme == "smtps":
        return smtplib.SMTP_SSL(host, server.port or 465, timeout=_SECONDS, context=context)
    smtp = smtplib.SMTP(host, server.port or 587, timeout=_SECONDS)
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=context)
        smtp.ehlo()
    elif server.username and host not in ("localhost", "127.0.0.1", "::1"):
        smtp.close()
        raise InputError(
            f"{host} ({env.SMTP}) offers no encryption, and a password would go out in clear. Use smtps://."
        )
    return smtp


def _again(send: Callable[[], _Answer]) -> _Answer:
    """Repeats `send`, with growing pauses, while the other side is away."""
    try:
        return storage.retrying(lambda error: isinstance(error, NotSent), _TRIES, _PAUSE_S)(send)
    except NotSent as error:
        raise NotSent(f"the digest was not sent: {error}, {_TRIES} times. Try again later.") from None
