"""The workload model: everything that workload.yaml may say.

Airflow imports this package to build its DAGs, so it imports pydantic and yaml and nothing heavier.
`docs/reference/workload.md` is generated from the descriptions in its modules.
"""

from spec.section import NamedColumn, Section, Use, named_columns
from spec.workload._assets import Asset
from spec.workload._card import Card
from spec.workload._data import PLAIN, BatchInput, Data, Format, Ingestion, Label, Read, Split
from spec.workload._export import Export, Method, Variant
from spec.workload._finding import find_workload
from spec.workload._model import (
    CHAMPION,
    DEFAULT_LEARNING_RATE,
    GRADIENT_BOOSTING,
    LEARNING_RATE,
    Bound,
    Champion,
    Evaluation,
    Fairness,
    FairnessThreshold,
    InfraValidation,
    Teacher,
    Threshold,
    Training,
)
from spec.workload._monitoring import Live, Monitoring
from spec.workload._operation import (
    Alerts,
    Batch,
    Canary,
    CanaryLimits,
    CanaryStep,
    KServe,
    Resources,
    Schedule,
    Serving,
)
from spec.workload._privacy import Privacy
from spec.workload._quality import ColumnLimits, Drift, DriftLimits, Quality, Skew
from spec.workload._search import Dimension, Search, Value
from spec.workload._workload import (
    BeamValue,
    Workload,
    WorkloadError,
    explained,
    load_workload,
    parse_yaml,
    workload_names,
)

__all__ = [
    "CHAMPION",
    "DEFAULT_LEARNING_RATE",
    "GRADIENT_BOOSTING",
    "LEARNING_RATE",
    "PLAIN",
    "Alerts",
    "Asset",
    "Batch",
    "BatchInput",
    "BeamValue",
    "Bound",
    "Canary",
    "CanaryLimits",
    "CanaryStep",
    "Card",
    "Champion",
    "ColumnLimits",
    "Data",
    "Dimension",
    "Drift",
    "DriftLimits",
    "Evaluation",
    "Export",
    "Fairness",
    "FairnessThreshold",
    "Format",
    "InfraValidation",
    "Ingestion",
    "KServe",
    "Label",
    "Live",
    "Method",
    "Monitoring",
    "NamedColumn",
    "Privacy",
    "Quality",
    "Read",
    "Resources",
    "Schedule",
    "Search",
    "Section",
    "Serving",
    "Skew",
    "Split",
    "Teacher",
    "Threshold",
    "Training",
    "Use",
    "Value",
    "Variant",
    "Workload",
    "WorkloadError",
    "explained",
    "find_workload",
    "load_workload",
    "named_columns",
    "parse_yaml",
    "workload_names",
]
