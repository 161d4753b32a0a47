from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tfx.types import artifact_utils

from components import border
from components.artifacts import ROWS_IN, ROWS_OUT, Artifacts, measured
from components.batch_inference import input as batch_input
from components.batch_inference.output import FAILED_FILE
from components.batch_inference.units import Predicted, PredictUnits
from components.columnar import commit_shards
from components.columnar.executor import ColumnarBeamExecutor
from components.ingestion import quarantine, sources
from components.ingestion.contract import Column
from components.ingestion.parts import plan
from components.ingestion.work import in_order, staging
from components.served_model import SERVING_FOLDER, ServedModel
from model_store import RELEASE_FILE
from spec.errors import InputError
from spec.workload import BatchInput, Read


class Executor(ColumnarBeamExecutor):
    """Reads the files by batches, predicts, and writes what came of each row; here, or on Beam's workers."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes `predictions`.

        Raises:
            InputError: a file cannot be read or lacks a column that the model takes, or no row at all could be predicted.
        """
        config = border.load(BatchInput, exec_properties["input_config"])
        files = border.load(list[str], exec_properties["files"])
        source = pathlib.Path(artifact_utils.get_single_uri(input_dict["model"]))
        release = json.loads((source / RELEASE_FILE).read_text(encoding="utf-8"))
        target = pathlib.Path(artifact_utils.get_single_uri(output_dict["predictions"]))
        with measured(output_dict) as rows:
            with sources.as_hashed(files, exec_properties["fingerprint"]):
                index = self.predict(source / SERVING_FOLDER, release, config, files, target)
            rows[ROWS_IN], rows[ROWS_OUT] = index["rows"], index["predicted"]

    def predict(
        self,
        saved_model: pathlib.Path,
        release: dict[str, Any],
        config: BatchInput,
        files: Sequence[str],
        target: pathlib.Path,
    ) -> dict[str, Any]:
        """Predicts for the files' rows and writes `target`; returns what `index.json` says."""
        with staging(target) as folder:
            model = ServedModel.read(saved_model)
            config = config.model_copy(update={"read": _as_trained(config.read, model)})
            types, columns = _columns(model, config, files[0], folder)
            units = plan([files], config.format, config.read)
            work = PredictUnits(saved_model, model, int(release["version"]), config, columns, folder)
            size = sum(unit.size_bytes for unit in units)
            done: list[Predicted] = in_order(self._combine(units, work, size), len(units))
            by_file = _add_up(done)
            predicted, failed = (sum(counts[i] for counts in by_file.values()) for i in (0, 1))
            if not predicted:
                first = next((one.first_failure for one in done if one.first_failure), "")
                raise InputError(f"{config.uri}: none of {failed:,} rows could be predicted; the first: {first}")
            shards = _commit(target, done, predicted, failed)
        index = {
            "model": release["model"],
            "version": release["version"],
            "digest": release["digest"],
            "task": model.task,
            "rows": predicted + failed,
            "predicted": predicted,
            "failed": failed,
            "data": config.uri,
            "format": config.format,
            "keys": list(config.keys) or ["file", "row"],
            "columns_not_used": sorted(set(types) - {c.name for c in columns}),
            "source_files": [
                {"file": file, "rows": good + bad, "predicted": good, "failed": bad}
                for file, (good, bad) in by_file.items()
            ],
            "predictions": [path.name for path in shards],
        }
        (target / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
        return index


def _columns(
    model: ServedModel, config: BatchInput, url: str, scratch: pathlib.Path
) -> tuple[dict[str, pa.DataType], list[Column]]:
    """The first file's columns and their types, and what is read of them."""
    with sources.local_copy(url, scratch) as path:
        types = batch_input.source_types(path, config.format, config.read)
        return types, batch_input.columns_for(model, config.keys, types, str(path), config.format)


def _as_trained(reading: Read, model: ServedModel) -> Read:
    """What is missing means what it meant when the model was trained; a key is carried as it stands."""
    words = {name: feature.na_values for name, feature in model.features.items()}
    return reading.model_copy(update={"na_values": (), "na_values_by_column": words})


def _add_up(done: Sequence[Predicted]) -> dict[str, tuple[int, int]]:
    """Rows predicted and failed of each file, which may have been divided among units."""
    total: dict[str, tuple[int, int]] = {}
    for one in done:
        for file, (predicted, failed) in one.by_file.items():
            before = total.get(file, (0, 0))
            total[file] = before[0] + predicted, before[1] + failed
    return total


def _commit(target: pathlib.Path, done: Sequence[Predicted], predicted: int, failed: int) -> list[pathlib.Path]:
    """Gives shards their final names, in the order of the units, and checks that no row was lost on the way."""
    sides = [pathlib.Path(one.failed_file) for one in done]
    merged = quarantine.merge(sides, target / FAILED_FILE)
    if not failed:
        sides[0].rename(target / FAILED_FILE)  # of no rows, so that readers find it
    shards = commit_shards([pathlib.Path(path) for one in done for path in one.shards], target, "predictions")
    written = sum(pq.read_metadata(path).num_rows for path in shards)
    if (written, merged) != (predicted, failed):
        raise RuntimeError(f"{predicted} rows were predicted and {failed} failed; written: {written} and {merged}")
    return shards
