from __future__ import annotations

import errno

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class StoreError(Exception):
    """What is wrong with a store or a release, what was received, and how to mend it, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def from_os_error(error: OSError, doing: str) -> StoreError:
    """The one line for a failed read or write, with the remedy for the usual causes."""
    if error.errno in _NO_SPACE:
        return StoreError(
            f"no space left on the device while {doing}; nothing was published and the unfinished copy is removed. "
            "Free some space, or point TRAINYARD_STORE at a larger disk."
        )
    where = f" ({error.filename})" if error.filename else ""
    reason = error.strerror or str(error) or type(error).__name__
    return StoreError(f"{reason} while {doing}{where}. Check that the store exists and that you may write to it.")
