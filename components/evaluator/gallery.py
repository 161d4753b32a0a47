"""gallery.json: the rows that a report shows one by one, as the task lays them out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

from components import columnar, pictures
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings
from components.schema import is_personal
from components.tasks import Gallery, ShownRows, Tile
from spec.splits import TEST

GALLERY_FILE = "gallery.json"
# What a page bears that is mailed and archived. Base64 makes four characters of three bytes.
_MOST_TILES = 48
_MOST_BYTES = 300_000
_MOST_LINES = 12
_LINE = 300


def galleries(
    outcome: Findings, examples_uri: str, schema: schema_pb2.Schema, config: EvaluationConfig
) -> list[Gallery]:
    """What the challenger's task makes of the notable rows; without the label and personal columns."""
    places, truths, answers = outcome.notable.rows()
    personal = {feature.name for feature in schema.feature if is_personal(feature)}
    columns = [
        name for name in columnar.split_schema(examples_uri, TEST).names if name not in {config.label, *personal}
    ]
    if not len(places) or not columns:
        return []
    found = columnar.read_rows(examples_uri, TEST, places, columns).combine_chunks()
    rows = ShownRows(found.to_batches()[0], pictures.pixel_columns(schema))
    return list(outcome.task.gallery(rows, truths, answers))


def plain(found: Sequence[Gallery]) -> dict[str, Any]:
    """The content of gallery.json: as many tiles as a page bears, and of each gallery how many were left out."""
    tiles, size, made = 0, 0, []
    for gallery in found:
        shown: list[Tile] = []
        for tile in gallery.tiles:
            tiles, size = tiles + 1, size + sum(len(one.content) for one in tile.pictures)
            if tiles > _MOST_TILES or size > _MOST_BYTES:
                break
            shown.append(tile)
        made.append(
            {
                "title": gallery.title,
                "caption": gallery.caption,
                "tiles": [_tile(tile) for tile in shown],
                "left_out": len(gallery.tiles) - len(shown),
            }
        )
    return {"galleries": made}


def _tile(tile: Tile) -> dict[str, Any]:
    return {
        "pictures": [
            {
                "media_type": one.media_type,
                "base64": base64.b64encode(one.content).decode("ascii"),
                "width": one.width,
                "height": one.height,
                "title": one.title,
            }
            for one in tile.pictures
        ],
        "lines": [line[:_LINE] for line in tile.lines[:_MOST_LINES]],
        "mark": tile.mark,
    }
