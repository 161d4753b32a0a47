"""The figures that a report has a chart for."""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class View:
    """A figure on the report's page.

    Attributes:
        chart: what draws it (components/report/figures.py).
        key: where its data lies in metrics.json; empty: under the chart's name.
    """

    chart: Literal["roc", "precision_recall", "calibration", "histogram", "confusion_matrix", "classes"]
    title: str
    caption: str = ""
    key: str = ""
