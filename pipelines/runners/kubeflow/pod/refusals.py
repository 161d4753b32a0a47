"""What a pod refuses to do, and how it recognizes that a store refuses it."""

from __future__ import annotations

from pipelines.runners import _failures
from quality.provenance import code_of
from spec.errors import InputError


def check_revision(compiled: str) -> None:
    """Refuses to run code that the pipeline was not compiled from: its cache keys and its lineage would lie.

    Raises:
        InputError: the image has another revision.
    """
    here = code_of().revision
    if compiled and here != compiled:
        raise InputError(
            f"this image holds code revision {here or 'unknown'}, and the pipeline was compiled from {compiled}. Run it with an "
            "image of that revision (run parameter image), or compile it again from the image's."
        )


def as_refusal(error: BaseException) -> BaseException:
    """The error; refused access that a component's own reads met, as the InputError that it is."""
    import storage

    for one in _failures.chain(error):
        if isinstance(one, InputError):
            return one  # it says which place it was
        if refused := storage.as_refused(one):
            return refused
    return error
