"""Where a training finds what it needs; light, since whoever only hands it on needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow_transform as tft


@dataclasses.dataclass(frozen=True)
class Sources:
    """What a training reads; plain, so that it can be handed to another process.

    Attributes:
        examples: URI of transformed Examples with the splits train and eval.
        transform_graph: URI of Transform's graph.
        schema: URI of the raw data's schema.
        module_file: the workload's model.py; features.py lies beside it.
        module_digest: of that folder, in the cache's key.
        raw_examples: URI of the Examples that were transformed, where there is a teacher.
        teacher: URI of the release that teaches; empty: none does.
        origin: URI of the release that training begins with; empty: with none. It may hold none, as a champion's before the first.
    """

    examples: str
    transform_graph: str
    schema: str
    module_file: str
    module_digest: str
    origin: str = ""
    teacher: str = ""
    raw_examples: str = ""

    @classmethod
    def of(cls, inputs: Mapping[str, Sequence[Any]], properties: Mapping[str, Any]) -> Sources:
        """Of a node that trains, by its artifacts and execution properties."""
        return cls(
            inputs["transformed_examples"][0].uri,
            inputs["transform_graph"][0].uri,
            inputs["schema"][0].uri,
            properties["module_file"],
            properties["module_digest"],
            *(inputs[name][0].uri if inputs.get(name) else "" for name in ("origin", "teacher", "examples")),
        )

    def reading(self, examples: str) -> Sources:
        """The same with other Examples."""
        return dataclasses.replace(self, examples=examples)

    @functools.cached_property
    def transform(self) -> tft.TFTransformOutput:
        import tensorflow_transform as tft

        return tft.TFTransformOutput(self.transform_graph)
