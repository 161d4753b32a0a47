"""What each node shows in KFP's UI: its outputs by name, each of one of KFP's artifact types.

The records say it; the compiler declares these outputs, the node fills them in (shown.py).
"""

from __future__ import annotations

from components.tasks import find
from spec import graph
from spec.nodes import ArtifactType


def outputs(node_id: str, task: str) -> dict[str, str]:
    """A node's outputs: name -> KFP's schema title. Empty for a node that is not one of ours.

    Args:
        task: the workload's: one whose report has no confusion matrix has no output for it either.

    Example:
        >>> outputs("Evaluator", "regression")
        {'evaluation_metrics': 'system.Metrics'}
    """
    record = graph.find(node_id)
    shows = record.shows if record else {}
    has_classes = "confusion_matrix" in {view.chart for view in find(task).views}
    return {name: str(kind) for name, kind in shows.items() if has_classes or kind != ArtifactType.CLASSIFICATION}
