"""A version as a URL or a message has it."""

from __future__ import annotations

import re

from serving.errors import BadRequestError

_VERSION = re.compile(r"[0-9]{1,19}")  # Python reads digits of any script, and refuses to read thousands of them


def version_number(text: str, otherwise: str) -> int:
    """The version that a text names.

    Args:
        otherwise: what to do for anything else that may have been meant.

    Raises:
        BadRequestError: it is no whole number.
    """
    if not _VERSION.fullmatch(text):
        raise BadRequestError(f"a version is a whole number. Received: {text[:60]!r}. {otherwise}")
    return int(text)
