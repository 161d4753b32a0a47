"""InfraValidator: an exported model must load and answer in a process of its own, within limits."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.infra_validator.component import InfraValidator

__all__ = ["InfraValidator"]


def __getattr__(name: str) -> Any:
    # The worker lives in this package and must start without TFX, as a model server does.
    if name == "InfraValidator":
        from components.infra_validator.component import InfraValidator

        return InfraValidator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
