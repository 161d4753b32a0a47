"""What each node shows in KFP's UI: its outputs by name, each of one of KFP's artifact types.

Plain data: the compiler declares these outputs, the node fills them in (shown.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from components.tasks import find

ARTIFACT = "system.Artifact"
CLASSIFICATION = "system.ClassificationMetrics"
DATASET = "system.Dataset"
HTML = "system.HTML"
MARKDOWN = "system.Markdown"
METRICS = "system.Metrics"
MODEL = "system.Model"

_OUTPUTS: Mapping[str, Mapping[str, str]] = {
    "SchemaImporter": {"schema": ARTIFACT},
    "ColumnarExampleGen": {"examples": DATASET},
    "StatisticsGen": {"statistics": ARTIFACT},
    "ExampleValidator": {"schema_checks": METRICS},
    "DriftDetector": {"drift_checks": METRICS},
    "DataQuality": {"data_quality_report": HTML, "data_quality_checks": METRICS},
    "Transform": {"transform_graph": ARTIFACT, "transformed_examples": DATASET},
    "Trainer": {"trained_model": MODEL, "training_metrics": METRICS},
    "ChampionResolver": {"champion": MODEL},
    "Baseline": {"baseline_metrics": METRICS},
    "Evaluator": {"evaluation_metrics": METRICS, "classification_metrics": CLASSIFICATION},
    "InfraValidator": {"infra_checks": METRICS},
    "Pusher": {"release": MODEL},
    "Report": {"run_report": HTML, "model_card": MARKDOWN},
}


def outputs(node_id: str, task: str) -> dict[str, str]:
    """A node's outputs: name -> KFP's schema title. Empty for a node that is not one of ours.

    Args:
        node_id: in the graph.
        task: the workload's: one whose report has no confusion matrix has no output for it either.

    Example:
        >>> outputs("Evaluator", "regression")
        {'evaluation_metrics': 'system.Metrics'}
    """
    declared = _OUTPUTS.get(node_id, {})
    charts = {view.chart for view in find(task).views}
    return {name: title for name, title in declared.items() if title != CLASSIFICATION or "confusion_matrix" in charts}


def names(*node_ids: str) -> frozenset[str]:
    """All names of outputs of some nodes: none of their parameters may be called so."""
    return frozenset(name for node_id in node_ids for name in _OUTPUTS[node_id])
