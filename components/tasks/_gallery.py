"""What a report shows of single rows: tiles of pictures and words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from components.tasks._lazily import np, pa, pictures
from spec.words import one_line

if TYPE_CHECKING:
    from components.pictures import Picture, Pixels

_LONG_TEXT = 60  # from which a text speaks for its row, without the other columns
_WORDS = 280
_VALUE = 60
_COLUMNS = 8


@dataclasses.dataclass(frozen=True)
class Tile:
    """One row, or what is to be seen of it.

    Attributes:
        pictures: side by side (`components.pictures.thumbnail`).
        lines: below them; the first is the tile's title.
        mark: whether the model did well; empty: nobody can say.
    """

    pictures: Sequence[Picture] = ()
    lines: Sequence[str] = ()
    mark: Literal["", "good", "bad"] = ""


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Tiles beside each other.

    Attributes:
        title: a heading.
        caption: what is to be seen, and how it was chosen.
    """

    title: str
    tiles: Sequence[Tile]
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class ShownRows:
    """Rows of the test split as a reader may see them: all raw columns but the label and personal ones.

    Attributes:
        batch: N rows.
        pixels: which columns are pictures (`components.pictures.pixel_columns`); those of image files are found without.
    """

    batch: pa.RecordBatch
    pixels: Mapping[str, Pixels] = dataclasses.field(default_factory=dict)

    def picture(self, row: int, column: str = "") -> np.ndarray | None:
        """A row's picture, uint8 [H, W, 1 or 3]; None where it has none.

        Args:
            column: default: the first that is a picture.
        """
        found = (self._picture(row, name) for name in ([column] if column else self.batch.schema.names))
        return next((one for one in found if one is not None), None)

    def words(self, row: int) -> list[str]:
        """What a row says, line by line: its long texts where it has some, else `column: value` of its first columns."""
        values = {name: self._word(row, name) for name in self.batch.schema.names}
        texts = [word for word in values.values() if len(word) >= _LONG_TEXT]
        if texts:
            return [one_line(text, _WORDS) for text in texts[:2]]
        return [f"{name}: {one_line(word, _VALUE)}" for name, word in values.items() if word][:_COLUMNS]

    def tile(self, row: int, *lines: str, mark: Literal["", "good", "bad"] = "", **beside: np.ndarray) -> Tile:
        """A tile of a row: its picture, or else its words below the lines.

        Args:
            lines: the caption.
            beside: further pictures by title, uint8 [H, W, 1 or 3].
        """
        shown = {} if (own := self.picture(row)) is None else {"": own}
        thumbnails = [pictures.thumbnail(one, title.replace("_", " ")) for title, one in (shown | beside).items()]
        return Tile(thumbnails, (*lines, *([] if thumbnails else self.words(row))), mark)

    def _picture(self, row: int, name: str) -> np.ndarray | None:
        value = self.batch.column(name)[row].as_py()
        pixels = self.pixels.get(name)
        return pictures.picture_of(value, pixels) if pixels or isinstance(value, bytes) else None

    def _word(self, row: int, name: str) -> str:
        """A value as text; empty for one that is missing, a picture or bytes."""
        value: Any = self.batch.column(name)[row].as_py()
        if name in self.pixels or value is None or isinstance(value, bytes):
            return ""
        return f"{value:.6g}" if isinstance(value, float) else str(value)
