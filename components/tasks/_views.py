"""The figures that a report has a chart for."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class View:
    """A figure on the report's page.

    Attributes:
        chart: what draws it: roc, precision_recall, calibration, histogram or confusion_matrix.
        title: its heading.
        caption: how to read it.
        key: where its data lies in metrics.json; empty: under the chart's name.
    """

    chart: str
    title: str
    caption: str = ""
    key: str = ""
