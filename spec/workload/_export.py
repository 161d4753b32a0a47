"""What a release has besides the model."""

from __future__ import annotations

from spec.section import Section


class Export(Section):
    explain: bool = False
    """Whether the model explains its answers, by a signature `explain` that takes what `serving_default` takes: how far each raw
    column moved an answer, and of a picture which pixels did. For tasks binary, multiclass, regression and ranking
    (docs/guides/responsible.md)."""
