"""The CRDs that lie here; the README says where they come from."""

from __future__ import annotations

import functools
import gzip
import json
import pathlib
from typing import Any


@functools.cache
def vendored() -> tuple[dict[str, Any], ...]:
    """Every CustomResourceDefinition of this folder."""
    paths = sorted(pathlib.Path(__file__).parent.glob("*.json.gz"))
    return tuple(json.loads(gzip.decompress(path.read_bytes())) for path in paths)
