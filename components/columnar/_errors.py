"""Errors of the data, out of Beam's workers.

A worker's exception comes back as text, or with "[while running ...]" at its end. Of ValueErrors, which say what is wrong
with the data and which trying again does not mend, the person who mends it gets the message alone.
"""

from __future__ import annotations

import re
import sys

_OURS = ("components.", "spec.")
_WHERE = re.compile(r" \[while running .*$", re.DOTALL)


def restored(error: BaseException) -> ValueError | None:
    """The ValueError of this project's own that a pipeline failed with, as it was raised; None if it was another error."""
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
