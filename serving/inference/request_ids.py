"""Which id a request has. Labels that come later find their prediction in the record by it."""

from __future__ import annotations

import os
import re

from spec.request_ids import REQUEST_ID

HEADER = "x-request-id"
"""The HTTP header, in the request and in the answer; over gRPC, metadata and trailing metadata."""
_ID = re.compile(REQUEST_ID)


def request_id(given: str | bytes | None) -> str:
    """The caller's id, or a made one where there is none or it is not fit to be kept."""
    return given if isinstance(given, str) and _ID.fullmatch(given) else os.urandom(16).hex()
