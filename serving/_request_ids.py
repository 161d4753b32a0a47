"""Which id a request has. Labels that come later find their prediction in the record by it."""

from __future__ import annotations

import re
import uuid

HEADER = "x-request-id"
"""The HTTP header, in the request and in the answer; over gRPC, metadata and trailing metadata."""
_ID = re.compile(r"[A-Za-z0-9_.:/+=@-]{1,128}")


def request_id(given: str | bytes | None) -> str:
    """The caller's id, or a made one where there is none or it is not fit to be kept: 1 to 128 of A-Z a-z 0-9 _ . : / + = @ -"""
    return given if isinstance(given, str) and _ID.fullmatch(given) else uuid.uuid4().hex
