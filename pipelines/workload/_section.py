"""What every section of workload.yaml is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Distance = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def five_fields(cron: str | None) -> str | None:
    if cron is not None and not cron.startswith("@") and len(cron.split()) != 5:
        raise ValueError(f"cron needs five fields (minute hour day month weekday). Received: {cron!r}")
    return cron
