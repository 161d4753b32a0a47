"""gallery.json: what a report shows as tiles, of rows by the Evaluator, of what was drawn after epochs by the Trainer."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from components.tasks._gallery import Gallery, Marked, Tile

GALLERY_FILE = "gallery.json"
# What a page bears that is mailed and archived. Base64 makes four characters of three bytes.
_MOST_TILES = 48
_MOST_BYTES = 300_000
_MOST_LINES = 12
_LINE = 300


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
        "lines": [_line(line) for line in tile.lines[:_MOST_LINES]],
        "mark": tile.mark,
    }


def _line(line: str | Marked) -> Any:
    if isinstance(line, str):
        return line[:_LINE]
    return [[text, round(weight, 2)] for text, weight in line.parts]
