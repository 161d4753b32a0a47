"""Files that a use case's code starts from, and that are too big or not ours to lie beside it."""

from __future__ import annotations

from pydantic import Field

from spec.section import Section


class Asset(Section):
    file: str = Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$")
    """Its folder and name in the dataset cache (TRAINYARD_DATASETS): `glove/vectors.parquet`."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the file. Another content is refused; another hash transforms and trains anew."""
    url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Where it is downloaded from once. Default: nowhere; somebody puts it into the cache."""
