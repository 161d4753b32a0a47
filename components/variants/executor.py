from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import border, searched
from components.artifacts import ROWS_IN, Artifacts, measured
from components.progress import tell
from components.trainer import TrainingConfig
from components.trainer.sources import Sources
from spec.errors import InputError
from spec.workload import Variant

if TYPE_CHECKING:
    from components.trainer.compressing import Trained

Make = Callable[["Trained", Variant, pathlib.Path], None]


class Executor(base_executor.BaseExecutor):
    """Makes one variant after the other, each in a folder of its name."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Reads `model` and what it was trained on; writes `variants`.

        Raises:
            InputError: the model cannot be made into one of them.
        """
        from components.trainer.compressing import Trained

        variants = border.load(list[Variant], exec_properties["made"])
        config = border.load(TrainingConfig, exec_properties["training"])
        for one in input_dict.get("hyperparameters") or []:
            config = config.with_values(searched.read(one.uri).values)
        target = pathlib.Path(artifact_utils.get_single_uri(output_dict["variants"]))
        with measured(output_dict) as rows:
            model = artifact_utils.get_single_uri(input_dict["model"])
            trained = Trained.open(Sources.of(input_dict, exec_properties), config, model)
            rows[ROWS_IN] = trained.material.train.rows
            for number, variant in enumerate(variants, 1):
                tell(f"{variant.name}, {number} of {len(variants)}")
                try:
                    _method(variant)(trained, variant, target / variant.name)
                except InputError as error:
                    raise InputError(f"export.variants: {variant.name}: {error}") from error


def _method(variant: Variant) -> Make:
    from components.variants import _keras_int8, _litert, _pruned

    return {
        "litert-int8": _litert.make_int8,
        "litert-float16": _litert.make_float16,
        "keras-int8": _keras_int8.make,
        "pruned": _pruned.make,
    }[variant.method]
