"""What a report shows of single rows: tiles of pictures and words."""

from __future__ import annotations

import dataclasses
import re
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
# Chinese and Japanese write no spaces: there each character is a word.
_NO_SPACES = r"\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_NO_SPACES}]|[^\s{_NO_SPACES}]+")


def words_of(text: str) -> list[tuple[int, int]]:
    """Where the words that a page shows of a text begin and end.

    Example:
        >>> words_of("so good")
        [(0, 2), (3, 7)]
    """
    return [found.span() for found in _WORD.finditer(text) if found.end() <= _WORDS]


@dataclasses.dataclass(frozen=True)
class Marked:
    """A text whose words spoke for an answer or against it.

    Attributes:
        parts: the text in pieces, each with what it counted: 1 most for the answer, -1 most against it.
    """

    parts: Sequence[tuple[str, float]]


@dataclasses.dataclass(frozen=True)
class Tile:
    """One row, or what is to be seen of it.

    Attributes:
        pictures: side by side (`components.pictures.thumbnail`).
        lines: below them, the first is the tile's title; a text may be marked.
        mark: whether the model did well; empty: nobody can say.
    """

    pictures: Sequence[Picture] = ()
    lines: Sequence[str | Marked] = ()
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
        counted: by row and column, what the parts of a value counted for the answer, from -1 to 1: of the pixels of a picture,
            [H, W], or of the words of a text (`words_of`), [words].
        key: what the marks that come of it mean, or why there are none; empty: nothing was tried.
    """

    batch: pa.RecordBatch
    pixels: Mapping[str, Pixels] = dataclasses.field(default_factory=dict)
    counted: Mapping[tuple[int, str], np.ndarray] = dataclasses.field(default_factory=dict)
    key: str = ""

    def picture(self, row: int, column: str = "") -> np.ndarray | None:
        """A row's picture, uint8 [H, W, 1 or 3]; None where it has none.

        Args:
            column: default: the first that is a picture.
        """
        if column:
            return self._picture(row, column)
        found = self.pictured(row)
        return found and found[1]

    def pictured(self, row: int) -> tuple[str, np.ndarray] | None:
        """The first column that is a picture, and the picture; None where none is."""
        found = ((name, self._picture(row, name)) for name in self.batch.schema.names)
        return next(((name, picture) for name, picture in found if picture is not None), None)

    def texts(self, row: int) -> dict[str, str]:
        """The texts that speak for the row, by column; empty where all are short."""
        values = {name: self._word(row, name) for name in self.batch.schema.names}
        return dict([(name, word) for name, word in values.items() if len(word) >= _LONG_TEXT][:2])

    def words(self, row: int) -> Sequence[str | Marked]:
        """What a row says, line by line: its long texts where it has some, else `column: value` of its first columns."""
        if texts := self.texts(row):
            return [self._marked(row, name, text) for name, text in texts.items()]
        values = {name: self._word(row, name) for name in self.batch.schema.names}
        return [f"{name}: {one_line(word, _VALUE)}" for name, word in values.items() if word][:_COLUMNS]

    def tile(self, row: int, *lines: str, mark: Literal["", "good", "bad"] = "", **beside: np.ndarray) -> Tile:
        """A tile of a row: its picture, or else its words below the lines; where it is known, with what counted in them.

        Args:
            lines: the caption.
            beside: further pictures by title, uint8 [H, W, 1 or 3].
        """
        shown = {}
        if found := self.pictured(row):
            column, own = found
            shown[""] = own
            if (row, column) in self.counted:
                shown["what counted"] = pictures.heated(own, self.counted[row, column])
        thumbnails = [pictures.thumbnail(one, title.replace("_", " ")) for title, one in (shown | beside).items()]
        return Tile(thumbnails, (*lines, *([] if thumbnails else self.words(row))), mark)

    def _marked(self, row: int, name: str, text: str) -> str | Marked:
        if (row, name) not in self.counted:
            return one_line(text, _WORDS)
        spans = words_of(text)
        nexts = [*(start for start, _ in spans[1:]), None]
        parts = [
            part
            for (start, end), after, weight in zip(spans, nexts, self.counted[row, name], strict=True)
            for part in ((text[start:end], float(weight)), (text[end:after] if after else "", 0.0))
        ]
        return Marked([*parts[:-1], ("…", 0.0)] if text[spans[-1][1] :].strip() else parts[:-1])

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
