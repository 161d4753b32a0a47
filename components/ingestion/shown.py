"""What Kubeflow's UI shows of the Examples."""

from __future__ import annotations

import json

from components.artifacts import ROWS_OUT
from components.outputs import Outputs, Shown


def shown(made: Outputs) -> dict[str, Shown]:
    key = "examples"
    noted = json.loads(made.property(key, "spans") or "[]")
    return {
        key: made.located(
            key,
            rows=made.property(key, ROWS_OUT),
            quarantined=made.property(key, "rows_quarantined"),
            span=made.property(key, "span"),
            spans=", ".join(str(one["span"]) for one in noted),
            format="Parquet",
        )
    }
