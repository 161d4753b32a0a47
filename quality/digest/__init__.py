"""The digest: one message with each workload's verdict and its three worst findings, for a channel or a mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quality.digest._digest import Digest, digest

__all__ = ["Digest", "digest"]


def __getattr__(name: str) -> Any:
    # The CLI imports this package for every command.
    if name in __all__:
        from quality.digest import _digest

        return getattr(_digest, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
