"""W3C's `traceparent`."""

from __future__ import annotations

import re

HEADER = "traceparent"
VARIABLE = "TRACEPARENT"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def trace_id(traceparent: str) -> str:
    """The trace's id, 32 hexadecimal digits; empty where it is no traceparent.

    Example:
        >>> trace_id("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        '0af7651916cd43dd8448eb211c80319c'
    """
    found = _FORM.fullmatch(traceparent)
    return found[1] if found else ""
