"""What Kubeflow's UI shows of the evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.outputs import Outputs, Shown

# KFP's UI draws every cell, and the metadata store keeps the matrix in one column.
_MOST_CLASSES = 100


def shown(made: Outputs) -> dict[str, Shown]:
    metrics = made.json("evaluation", "metrics.json")
    figures = {**metrics["overall"], "rows": metrics["rows"], "blessed": metrics["blessed"]}
    for name, sure in metrics["bounds"].items():
        if sure["gated"]:
            figures |= {f"{name}_at_least": sure["low"], f"{name}_at_most": sure["high"]}
    figures |= {key: many for key, many in made.gate("evaluation").counts().items() if key != "warnings"}
    if champion := metrics.get("champion"):
        metric = champion["metric"]
        figures |= {
            "champion_version": champion["version"],
            f"champion_{metric}": champion["champion_value"],
            f"{metric}_difference": champion["difference"],
            f"{metric}_difference_low": champion["ci_low"],
            f"{metric}_difference_high": champion["ci_high"],
        }
    return {"evaluation_metrics": Shown(figures), "classification_metrics": Shown(_classification(metrics))}


def _classification(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """As kfp.dsl.ClassificationMetrics writes them: rows are what is true, columns what was predicted."""
    found: dict[str, Any] = {}
    matrix, roc = metrics.get("confusion_matrix"), metrics.get("roc")
    if matrix and len(matrix["labels"]) <= _MOST_CLASSES:
        found["confusionMatrix"] = {
            "annotationSpecs": [{"displayName": str(label)} for label in matrix["labels"]],
            "rows": [{"row": list(row)} for row in matrix["counts"]],
        }
    if roc:
        points = zip(roc["thresholds"], roc["tpr"], roc["fpr"], strict=True)
        found["confidenceMetrics"] = [
            {"confidenceThreshold": threshold, "recall": tpr, "falsePositiveRate": fpr}
            for threshold, tpr, fpr in points
        ]
    return found
