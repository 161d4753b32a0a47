from __future__ import annotations

import json
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact, artifact_utils

from components.artifacts import ROWS_IN, ROWS_OUT, measured
from components.batch_inference import input as batch_input
from components.batch_inference._config import BatchInferenceConfig
from components.batch_inference.output import Output
from components.batch_inference.predicting import Predictor
from components.errors import InputError
from components.ingestion import sources
from components.ingestion.contract import Column
from components.ingestion.rows import BadRow, read_rows
from components.served_model import SERVING_FOLDER, ServedModel
from model_store import RELEASE_FILE


class Executor(base_executor.BaseExecutor):
    """Reads the files by batches, predicts, and writes what came of each row."""

    def Do(
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        output_dict: dict[str, list[artifact.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `predictions`.

        Raises:
            InputError: a file cannot be read or lacks a column that the model takes, or no row at all could be predicted.
        """
        config = BatchInferenceConfig.from_json(exec_properties["input_config"])
        files = json.loads(exec_properties["files"])
        source = pathlib.Path(artifact_utils.get_single_uri(input_dict["model"]))
        release = json.loads((source / RELEASE_FILE).read_text(encoding="utf-8"))
        target = pathlib.Path(artifact_utils.get_single_uri(output_dict["predictions"]))
        with measured(output_dict) as rows, tempfile.TemporaryDirectory(dir=self._get_tmp_dir()) as scratch:
            index = predict_files(source / SERVING_FOLDER, release, config, files, target, scratch)
            rows[ROWS_IN], rows[ROWS_OUT] = index["rows"], index["predicted"]


def _predict_images(
    config: BatchInferenceConfig, files: Sequence[str], columns: Sequence[Column], predictor: Predictor, output: Output
) -> None:
    from components.ingestion.images import read_images  # imports TensorFlow

    names = [url.removeprefix("file://") for url in files]

    def failed(bad: Sequence[BadRow]) -> None:
        output.failed(config.uri, bad, [names[one.row - 1] for one in bad])

    for rows in read_images(files, columns):
        failed(rows.bad)
        for part in predictor.parts(rows):
            failed(part.bad)
            output.predicted(config.uri, part.rows, part.answers, [names[number - 1] for number in part.rows.numbers])


def predict_files(
    saved_model: pathlib.Path,
    release: dict[str, Any],
    config: BatchInferenceConfig,
    files: Sequence[str],
    target: pathlib.Path,
    scratch: str,
) -> dict[str, Any]:
    """Predicts for the files' rows and writes `target`; returns what `index.json` says."""
    model = ServedModel.read(saved_model)
    first = sources.localize(files[0], scratch)
    types = batch_input.source_types(first, config.format)
    columns = batch_input.columns_for(model, config.keys, types, str(first), config.format)
    predictor = Predictor(saved_model, model)
    with Output(target, model, columns, config.keys, int(release["version"])) as output:
        if config.format == "images":
            _predict_images(config, files, columns, predictor, output)
        for url in files if config.format != "images" else ():
            name = url.removeprefix("file://")
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                for rows in read_rows(sources.localize(url, folder), config.format, columns, None):
                    output.failed(name, rows.bad)
                    for part in predictor.parts(rows):
                        output.failed(name, part.bad)
                        output.predicted(name, part.rows, part.answers)
        if not output.total_predicted:
            raise InputError(
                f"{config.uri}: none of {output.total_failed:,} rows could be predicted; the first: {output.first_failure}"
            )
    index = {
        "model": release["model"],
        "version": release["version"],
        "digest": release["digest"],
        "task": model.task,
        "rows": output.total_predicted + output.total_failed,
        "predicted": output.total_predicted,
        "failed": output.total_failed,
        "data": config.uri,
        "format": config.format,
        "keys": list(config.keys) or ["file", "row"],
        "columns_not_used": sorted(set(types) - {c.name for c in columns}),
        "source_files": output.by_file,
        "predictions": sorted(path.name for path in target.glob("predictions-*.parquet")),
    }
    (target / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    return index
