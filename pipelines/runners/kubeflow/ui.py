"""What each node shows in KFP's UI: its outputs by name, each of one of KFP's artifact types.

The records say it; the compiler declares these outputs, the node fills them in (shown.py).
"""

from __future__ import annotations

from spec import graph
from spec.nodes import ArtifactType

_CLASSIFICATION_TASKS = frozenset({"binary", "multiclass"})


def outputs(node_id: str, task: str) -> dict[str, str]:
    """A node's outputs: name -> KFP's schema title. Empty for a node that is not one of ours.

    Args:
        node_id: in the graph.
        task: the workload's; a regression has no confusion matrix.

    Example:
        >>> outputs("Evaluator", "regression")
        {'evaluation_metrics': 'system.Metrics'}
    """
    record = graph.find(node_id)
    has_classes = task in _CLASSIFICATION_TASKS
    shows = record.shows if record else {}
    return {name: str(kind) for name, kind in shows.items() if has_classes or kind != ArtifactType.CLASSIFICATION}
