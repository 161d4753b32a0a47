"""The IDX format: a magic number that names type and rank, the dimensions, then the values, big-endian."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from spec.errors import InputError

if TYPE_CHECKING:
    import numpy as np

_UNSIGNED_BYTE = 0x08


def parse_idx(content: bytes, name: str) -> np.ndarray:
    """Reads an IDX file of unsigned bytes.

    Returns:
        Its values, uint8, shaped as the file says, e.g. [60000, 28, 28].

    Raises:
        InputError: another format, another type of values, or more or fewer values than the header announces.
    """
    import numpy as np

    rank = content[3] if len(content) >= 4 else 0
    if content[:3] != bytes((0, 0, _UNSIGNED_BYTE)) or not 1 <= rank <= 4:
        raise InputError(
            f"{name}: not an IDX file of unsigned bytes: the first four bytes should be 00 00 08 and the rank (1 to 4). "
            f"Received: {content[:4].hex(' ') or 'an empty file'}. Replace the file."
        )
    start = 4 + 4 * rank
    if len(content) < start:
        raise InputError(f"{name}: truncated in its header: {start} bytes expected. Received: {len(content)}.")
    shape = struct.unpack(f">{rank}I", content[4:start])
    expected, received = math.prod(shape), len(content) - start
    if received != expected:
        state = "truncated" if received < expected else "too long"
        raise InputError(
            f"{name}: {state}: {' x '.join(map(str, shape))} = {expected} values expected. "
            f"Received: {received}. Replace the file."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
