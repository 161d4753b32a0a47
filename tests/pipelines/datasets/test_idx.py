"""IDX files, whole and damaged."""

from __future__ import annotations

import struct

import pytest

from pipelines.datasets._idx import parse_idx
from spec.errors import InputError

_WHOLE = bytes((0, 0, 8, 2)) + struct.pack(">2I", 2, 3) + bytes(range(6))


def test_values_and_shape() -> None:
    assert parse_idx(_WHOLE, "six").tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "six: not an IDX file.*an empty file"),
        (b"\x1f\x8b\x08\x00" + _WHOLE, "six: not an IDX file.*Received: 1f 8b 08 00"),
        (bytes((0, 0, 13, 2)) + _WHOLE[4:], "six: not an IDX file.*Received: 00 00 0d 02"),
        (bytes((0, 0, 8, 0)) + _WHOLE[4:], "six: not an IDX file.*00 00 08 00"),
        (_WHOLE[:7], "six: truncated in its header: 12 bytes expected. Received: 7"),
        (_WHOLE[:-1], "six: truncated: 2 x 3 = 6 values expected. Received: 5"),
        (_WHOLE + b"\0", "six: too long: 2 x 3 = 6 values expected. Received: 7"),
    ],
)
def test_damage_is_named(content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_idx(content, "six")
