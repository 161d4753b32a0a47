"""What a model card says that no run can know."""

from __future__ import annotations

from spec.section import Section


class Card(Section):
    intended_use: str = ""
    """What the model is for, and what it is not for."""
    limits: tuple[str, ...] = ()
    """What a user must know that no figure says, a sentence each."""
    contact: str = ""
    """Where people outside turn with questions: an address, a page. Default: only `owner` is named."""
