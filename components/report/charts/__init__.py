"""Charts as inline SVG: small functions from figures to markup, coloured by the page's style sheet."""

from components.report.charts._classes import class_table
from components.report.charts._columns import ColumnBar, column_chart
from components.report.charts._comparison import interval_chart
from components.report.charts._curves import calibration_chart, learning_chart, precision_recall_chart, roc_chart
from components.report.charts._histograms import histogram_chart
from components.report.charts._marks import bar, dot_plot
from components.report.charts._search import Axis, history_chart, parallel_chart, slice_chart
from components.report.charts._svg import Scale, Svg, tick_label

__all__ = [
    "Axis",
    "ColumnBar",
    "Scale",
    "Svg",
    "bar",
    "calibration_chart",
    "class_table",
    "column_chart",
    "dot_plot",
    "histogram_chart",
    "history_chart",
    "interval_chart",
    "learning_chart",
    "parallel_chart",
    "precision_recall_chart",
    "roc_chart",
    "slice_chart",
    "tick_label",
]
