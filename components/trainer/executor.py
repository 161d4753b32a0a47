from __future__ import annotations

import dataclasses
import json
import pathlib
import tempfile
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import border, searched
from components.artifacts import BUILT_ON, PRIVACY, ROWS_IN, Artifacts, measured
from components.tasks.catalogue import Catalogue
from components.tasks.gallery_file import GALLERY_FILE, plain
from components.trainer._config import TrainingConfig
from components.trainer.sources import Sources
from model_store import KERAS_FILE


class Executor(base_executor.BaseExecutor):
    """Checks the transformed splits, fits, keeps the best weights, exports."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        from components.trainer import _checkpoints, _decision, _export, _fitting, _keras_file, _sketches, training
        from components.trainer._explain import ordinary
        from components.trainer._start import named_release

        config = border.load(TrainingConfig, exec_properties["training"])
        found = [searched.read(one.uri) for one in input_dict.get("hyperparameters") or []]
        for one in found:
            config = config.with_values(one.values)
        devices = training.find_devices(config)  # before anything else asks TensorFlow for one
        sources = Sources.of(input_dict, exec_properties)
        model_uri = pathlib.Path(artifact_utils.get_single_uri(output_dict["model"]))
        run_uri = pathlib.Path(artifact_utils.get_single_uri(output_dict["model_run"]))
        with measured(output_dict) as rows, tempfile.TemporaryDirectory() as scratch:
            training.seed(config)
            material = training.Material.open(sources, config, pathlib.Path(scratch))
            rows[ROWS_IN] = material.train.rows + material.evaluation.rows
            devices = devices.that_share(config.batch_size, train=material.train.rows, eval=material.evaluation.rows)
            digest, evaluation = sources.module_digest, material.evaluation
            used = {"start": named_release(sources.origin), "teacher": named_release(sources.teacher)}
            built_on = {use: release for use, release in used.items() if release}
            configured = border.dump([config, built_on])
            key = _checkpoints.key(configured, digest, repr(material.schema), sources.examples)
            checkpoints = _checkpoints.at(self._context and self._context.stateful_working_dir, key)
            sketches = _sketches.Sketches(material.task, evaluation, config.epochs, devices.strategy)
            model, history = training.train(material, config, devices, run_uri / "tensorboard", checkpoints, sketches)
            if not devices.is_chief:
                return
            names = [one.path for one in model.weights]
            if not devices.are_plain:
                model = _fitting.rebuilt(
                    model, sources.module_file, material.schema, config, material.train.rows, digest
                )
            _fitting.freeze(model, sources.module_file, digest)
            decision = _decision.on_eval(model, evaluation, config)
            items = [Catalogue.read(pathlib.Path(one.uri)) for one in input_dict.get("catalogue") or []]
            folder = model_uri / "Format-Serving"
            _export.export(
                model,
                sources.transform,
                material.schema,
                folder,
                config.missing,
                decision.threshold,
                material.late,
                items[0] if items else None,
                names,
                ordinary(material.train) if exec_properties["explain"] else None,
            )
            sample = _fitting.sample_of(material.schema)
            history["keras_file"] = _keras_file.write(model, sample, folder / KERAS_FILE)
            history |= {"positive": dataclasses.asdict(material.positive), "decision": dataclasses.asdict(decision)}
            weights = material.weights(config)
            history["class_weights"] = (
                None if weights is None else dict(zip(material.schema.classes, weights.tolist(), strict=True))
            )
            history["search"] = found[0].summary() if found else None
            model_artifact = artifact_utils.get_single_instance(output_dict["model"])
            model_artifact.set_string_custom_property(BUILT_ON, json.dumps(built_on))  # a release says it too
            if "privacy" in history:
                model_artifact.set_string_custom_property(PRIVACY, json.dumps(history["privacy"]))
            (run_uri / "history.json").write_text(json.dumps(history, indent=2))
            if sketches.drawn:
                (run_uri / GALLERY_FILE).write_text(json.dumps(plain([sketches.gallery()])))
        checkpoints.clear()
