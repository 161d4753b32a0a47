"""How large pictures are, by their headers."""

from __future__ import annotations

import io
import struct

import PIL.Image
import pytest

from spec.pictures import HEAD_BYTES, picture_size, too_large

FORMATS = {
    "jpeg": {},
    "png": {},
    "gif": {},
    "bmp": {},
    "webp": {},
    "webp, lossless": {"lossless": True},
    "webp, with metadata": {"exif": b"Exif\x00\x00"},
}


def encoded(kind: str, width: int, height: int) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (200, 30, 30)).save(file, kind.partition(",")[0], **FORMATS[kind])
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (301, 17)])
def test_every_format_says_its_size_in_its_first_bytes(kind: str, size: tuple[int, int]) -> None:
    content = encoded(kind, *size)
    assert picture_size(content if kind == "jpeg" else content[:HEAD_BYTES]) == size
    assert too_large(content) == ""


@pytest.mark.parametrize(
    "content",
    [
        encoded("gif", 1, 1)[:6] + struct.pack("<HH", 8000, 7000) + encoded("gif", 1, 1)[10:],
        encoded("webp", 1, 1)[:26] + struct.pack("<HH", 8000, 7000) + encoded("webp", 1, 1)[30:],
    ],
)
def test_a_small_file_of_many_pixels_is_refused_in_every_compressed_format(content: bytes) -> None:
    assert too_large(content) == "has 8000 x 7000 pixels; at most 50,000,000 are decoded"


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF0000WEBP", b"RIFF0000WEBPVP9 " + b"\xff" * 20, b"BMW builds cars and motorcycles"]
)
def test_what_is_no_compressed_picture_has_no_size_to_refuse(content: bytes) -> None:
    assert too_large(content) == ""
