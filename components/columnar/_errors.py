"""Recovers errors in the data from what Beam reports.

A worker's exception comes back as text, or with "[while running ...]" appended. A ValueError means that the data is wrong and
that retrying is no use; the user gets to see only its message.
"""

from __future__ import annotations

import re
import sys

_OURS = ("components.", "spec.")
_WHERE = re.compile(r" \[while running .*$", re.DOTALL)


def restored(error: BaseException) -> ValueError | None:
    """Our own ValueError that made a pipeline fail, as it was raised; None for any other error."""
    if isinstance(error, ValueError) and type(error).__module__.startswith(_OURS):
        message = str(error)
        return type(error)(_WHERE.sub("", message)) if _WHERE.search(message) else error
    for line in reversed(str(error).splitlines()):
        named = re.match(r"([\w.]+)\.(\w+): (.*)", line)
        if named is not None and named[1].startswith(_OURS):
            kind = getattr(sys.modules.get(named[1]), named[2], None)
            if isinstance(kind, type) and issubclass(kind, ValueError):
                return kind(_WHERE.sub("", named[3]))
    return None
