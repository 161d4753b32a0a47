"""How large a picture is by the header of its file, and how large one may be: known before anything is decoded."""

from __future__ import annotations

import struct

MAX_PIXELS = 50_000_000
HEAD_BYTES = 32  # enough of a PNG, GIF, WebP or BMP file; a JPEG's size comes after the camera's metadata
_PNG, _JPEG, _GIF, _RIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", (b"GIF87a", b"GIF89a"), b"RIFF"


def picture_size(content: bytes) -> tuple[int, int] | None:
    """Width and height by the header of a JPEG, PNG, GIF, WebP or BMP file; None if it is none of these, or ends too soon."""
    return _size(content[:HEAD_BYTES]) or _jpeg_size(content)


def too_large(content: bytes) -> str:
    """Why a compressed picture, of which a few kilobytes may unfold to gigabytes, is not to be decoded; else empty.

    A BMP is as large as its file, and a text may begin like one.
    """
    size = None if content.startswith(b"BM") else picture_size(content)
    return "" if size is None else above_limit(size)


def may_hold_picture(content: bytes) -> bool:
    """Whether `too_large` can object to any part of these bytes: quicker than to take them apart."""
    return any(head in content for head in (_PNG, _JPEG, *_GIF, _RIFF))


def above_limit(size: tuple[int, int]) -> str:
    """Why a picture of this width and height is not to be decoded; empty if it may be."""
    width, height = size
    return f"has {width} x {height} pixels; at most {MAX_PIXELS:,} are decoded" if width * height > MAX_PIXELS else ""


def _size(head: bytes) -> tuple[int, int] | None:
    if head.startswith(_PNG) and len(head) >= 24:
        return struct.unpack(">II", head[16:24])
    if head.startswith(_GIF) and len(head) >= 10:
        return struct.unpack("<HH", head[6:10])
    if head.startswith(b"BM") and len(head) >= 26:
        width, height = struct.unpack("<ii", head[18:26])
        return abs(width), abs(height)
    return _webp_size(head) if head.startswith(_RIFF) and head[8:12] == b"WEBP" and len(head) >= 30 else None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """By its first chunk: of an animation or with metadata (VP8X), lossless (VP8L) or not (VP8), RFC 9649."""
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    if not content.startswith(_JPEG):
        return None
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], struct.unpack(">H", content[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # any kind of start-of-frame marker
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 1 if marker == 0xFF else 2 + length
    return None
