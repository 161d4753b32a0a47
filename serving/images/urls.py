"""Which URLs of images may be fetched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from serving.errors import BadRequestError

_PREFIX = re.compile(r"(https|s3)://[A-Za-z0-9.-]+(:\d+)?/([^\s?#%\\]*/)?")
_REST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]+")
_MOST_CHARACTERS = 2048


def is_prefix(text: str) -> bool:
    """Whether URLs may be allowed by this: whole host or bucket, and whole folders, so that no other begins so."""
    return _PREFIX.fullmatch(text) is not None


def insist_on_allowed(url: str, prefixes: Sequence[str], where: str) -> None:
    """Raises BadRequestError unless a URL lies below one of the prefixes, however it is read."""
    prefix = next((one for one in prefixes if url.startswith(one)), None)
    if prefix is None:
        raise BadRequestError(
            f"{where}: the server fetches images below {', '.join(prefixes) or 'no URL (--image-urls)'}. Received: {url[:200]!r}. "
            'Send {"b64": "..."} otherwise.'
        )
    rest = url.removeprefix(prefix)
    steps = re.split(r"[/\\]", unquote(unquote(rest)))
    if len(url) > _MOST_CHARACTERS or not _REST.fullmatch(rest) or {"", ".", ".."} & set(steps):
        raise BadRequestError(
            f"{where}: expected a URL of at most {_MOST_CHARACTERS} characters, without query, fragment, empty or dotted steps. "
            f"Received: {url[:200]!r}"
        )
