"""The rows that a report shows one by one, as the task lays them out."""

from __future__ import annotations

import pathlib

from tensorflow_metadata.proto.v0 import schema_pb2

from components import columnar, pictures
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings
from components.evaluator.occlusion import with_what_counted
from components.schema import is_personal
from components.tasks import Gallery, ShownRows
from spec.splits import TEST


def galleries(
    outcome: Findings,
    examples_uri: str,
    schema: schema_pb2.Schema,
    config: EvaluationConfig,
    challenger: pathlib.Path,
) -> list[Gallery]:
    """What the challenger's task makes of the notable rows; without the label and personal columns.

    Args:
        challenger: SavedModel folder.
    """
    places, truths, answers = outcome.notable.rows()
    personal = {feature.name for feature in schema.feature if is_personal(feature)}
    columns = [name for name in columnar.split_schema(examples_uri, TEST).names if name != config.label]
    shown = [name for name in columns if name not in personal]
    if not len(places) or not shown:
        return []
    (found,) = columnar.read_rows(examples_uri, TEST, places, columns).combine_chunks().to_batches()
    rows = ShownRows(found.select(shown), pictures.pixel_columns(schema))
    rows = with_what_counted(rows, outcome.task, truths, answers, found, challenger)
    return list(outcome.task.gallery(rows, truths, answers))
