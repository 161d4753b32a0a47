"""What a release has besides the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator, model_validator

from spec.section import Name, Section
from spec.signatures import EXPLAIN

Method = Literal["litert-int8", "litert-float16", "keras-int8", "pruned"]
_OF_PRUNING = ("sparsity", "epochs")
_BOUNDS = ("max_loss", "max_size", "max_latency")
# Signatures that an exported model has anyway.
_TAKEN = ("serving_default", "serving_examples", "classify", "regress", EXPLAIN)


class Variant(Section):
    name: Name
    """What requests call it: the model server answers by it where a request's signature has this name."""
    method: Method
    """litert-int8: LiteRT computes in whole numbers of 8 bits, for speed and size; litert-float16: LiteRT, with weights in half
    precision, for size; keras-int8: weights of Keras's dense and embedding layers in 8 bits, for size; pruned: the smallest weights
    are set to zero while training goes on, for size once compressed (docs/guides/compression.md)."""
    max_loss: float = Field(default=0.0, ge=0)
    """How much worse than the model itself it may be, in the unit of the metric that `evaluation.champion` compares by. Where it is
    worse, nothing is released."""
    max_size: float = Field(default=1.0, gt=0, le=100)
    """Its size when compressed (zlib), at most, as a share of the model's own."""
    max_latency: float | None = Field(default=None, gt=0, le=100)
    """How long a request of 64 rows may take, at most, as a share of what the model itself takes. Default: it is measured, and not
    judged."""
    sparsity: float = Field(default=0.75, gt=0, lt=1)
    """pruned: the share of each layer's weights that is set to zero."""
    epochs: int = Field(default=4, ge=1, le=10_000)
    """pruned: passes over train, in the first half of which weights are set to zero; the others learn to do without."""

    @field_validator("name")
    @classmethod
    def _not_taken(cls, name: str) -> str:
        if name in _TAKEN:
            raise ValueError(f"a model has a signature {name} anyway; call the variant otherwise")
        return name

    @model_validator(mode="after")
    def _fits_method(self) -> Variant:
        odd = [name for name in _OF_PRUNING if getattr(self, name) != type(self).model_fields[name].default]
        if odd and self.method != "pruned":
            raise ValueError(f"{odd[0]} is for method pruned. Received: method {self.method}. Remove it")
        return self

    @property
    def made(self) -> Variant:
        """As far as what is made depends on it: another bound makes nothing anew."""
        fields = {name: type(self).model_fields[name].default for name in _BOUNDS}
        return self.model_copy(update=fields)

    @property
    def looks_at_train(self) -> bool:
        """Whether rows of train decide what becomes of the weights."""
        return self.method in ("litert-int8", "pruned")


class Export(Section):
    explain: bool = False
    """Whether the model explains its answers, by a signature `explain` that takes what `serving_default` takes: how far each raw
    column moved an answer, and of a picture which pixels did. For tasks binary, multiclass, regression and ranking
    (docs/guides/responsible.md)."""
    variants: tuple[Variant, ...] = ()
    """Compressed variants of the model, which pass the same gates and are served beside it, by name."""

    @field_validator("variants")
    @classmethod
    def _different_names(cls, variants: Sequence[Variant]) -> Sequence[Variant]:
        names = [one.name for one in variants]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(
                f"two variants are called {twice[0]!r}; each needs a name of its own. Received: {', '.join(names)}"
            )
        return variants
