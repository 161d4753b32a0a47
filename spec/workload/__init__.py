"""The workload model: everything that workload.yaml may say.

Airflow imports this package to build its DAGs, so it imports pydantic and yaml and nothing heavier.
`docs/reference/workload.md` is generated from the descriptions in its modules.
"""

from spec.workload._data import Data, Label, Read, Split
from spec.workload._model import (
    Champion,
    Evaluation,
    InfraValidation,
    Threshold,
    Training,
)
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
from spec.workload._quality import Drift, DriftLimits, Quality, Skew
from spec.workload._section import NamedColumn, Section, Use, named_columns
from spec.workload._workload import (
    BeamValue,
    Workload,
    WorkloadError,
    explain,
    load_workload,
    parse_yaml,
    workload_names,
)

__all__ = [
    "Alerts",
    "Batch",
    "BeamValue",
    "Canary",
    "CanaryLimits",
    "CanaryStep",
    "Champion",
    "Data",
    "Drift",
    "DriftLimits",
    "Evaluation",
    "InfraValidation",
    "KServe",
    "Label",
    "NamedColumn",
    "Quality",
    "Read",
    "Resources",
    "Schedule",
    "Section",
    "Serving",
    "Skew",
    "Split",
    "Threshold",
    "Training",
    "Use",
    "Workload",
    "WorkloadError",
    "explain",
    "load_workload",
    "named_columns",
    "parse_yaml",
    "workload_names",
]
