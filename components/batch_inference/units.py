"""What batch inference does with a unit of work: reads its rows, predicts, writes shards of its own."""

from __future__ import annotations

import dataclasses
import pathlib
import uuid
from collections.abc import Sequence
from typing import Any

from components.batch_inference.output import FAILED_FILE, Output
from components.batch_inference.predicting import Predictor
from components.ingestion import sources
from components.ingestion.bad_rows import BadRow
from components.ingestion.contract import Column
from components.ingestion.parts import Unit
from components.ingestion.rows import read_rows
from components.ingestion.work import Work
from components.served_model import ServedModel
from spec.workload import BatchInput


@dataclasses.dataclass(frozen=True)
class Predicted:
    """What one unit left in its folder.

    Attributes:
        by_file: rows predicted and failed of each source file.
        shards: the files of predictions, in the order of their rows; empty where there is none.
        failed_file: the rows that failed; it may hold none.
    """

    by_file: dict[str, tuple[int, int]]
    shards: list[str]
    failed_file: str
    first_failure: str


class PredictUnits(Work):
    """Predicts units into a folder each below `staging`. A worker loads the model once, when its first unit comes."""

    def __init__(
        self,
        saved_model: pathlib.Path,
        model: ServedModel,
        version: int,
        config: BatchInput,
        columns: Sequence[Column],
        staging: pathlib.Path,
    ) -> None:
        self._saved_model, self._model, self._version = saved_model, model, version
        self._config, self._columns, self._staging = config, tuple(columns), staging
        self._predictor: Predictor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_predictor": None}  # each process loads its own

    def do(self, unit: Unit) -> Predicted:
        if self._predictor is None:
            self._predictor = Predictor(self._saved_model, self._model)
        folder = self._staging / f"{unit.number:06d}-{uuid.uuid4().hex}"
        with Output(folder, self._model, self._columns, self._config.keys, self._version) as output:
            if self._config.format == "images":
                self._images(unit, self._predictor, output)
            else:
                self._rows(unit, self._predictor, output, folder)
        shards = [str(path) for path in output.shards] if output.total_predicted else []
        return Predicted(output.by_file, shards, str(folder / FAILED_FILE), output.first_failure)

    def _rows(self, unit: Unit, predictor: Predictor, output: Output, scratch: pathlib.Path) -> None:
        for piece in unit.pieces:
            name = piece.url.removeprefix("file://")
            with sources.local_copy(piece.url, scratch) as path:
                for rows in read_rows(path, self._config.format, self._columns, None, piece.part, self._config.read):
                    output.failed(name, rows.bad)
                    for part in predictor.parts(rows):
                        output.failed(name, part.bad)
                        output.predicted(name, part.rows, part.answers)

    def _images(self, unit: Unit, predictor: Predictor, output: Output) -> None:
        from components.ingestion.images import read_images  # imports TensorFlow

        urls = [piece.url for piece in unit.pieces]
        names = [url.removeprefix("file://") for url in urls]
        uri = self._config.uri

        def failed(bad: Sequence[BadRow]) -> None:
            output.failed(uri, bad, [names[one.row - 1] for one in bad])

        for rows in read_images(urls, self._columns):
            failed(rows.bad)
            for part in predictor.parts(rows):
                failed(part.bad)
                output.predicted(uri, part.rows, part.answers, [names[number - 1] for number in part.rows.numbers])
