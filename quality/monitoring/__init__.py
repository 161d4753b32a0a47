"""What a served model is asked, held against what it was trained on: skew between training and serving, prediction drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quality.monitoring._skew import SkewRequest, check_skew

__all__ = ["SkewRequest", "check_skew"]


def __getattr__(name: str) -> Any:
    # The CLI imports this package for every command.
    if name in __all__:
        from quality.monitoring import _skew

        return getattr(_skew, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
