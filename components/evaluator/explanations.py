"""What moved a model's answers: its own explanations of some rows of the test split, by column."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from components import columnar
from components.evaluator.bootstrap import priorities
from components.evaluator.config import EvaluationConfig
from components.served_model import ServedModel, load_explainer
from components.served_model.explained import attributions, residual
from spec.signatures import EXPLAIN
from spec.splits import TEST
from spec.words import one_line

_MOST_ROWS = 256


def explanations(examples_uri: str, model: pathlib.Path, config: EvaluationConfig) -> dict[str, Any] | None:
    """As metrics.json has it; None where the model does not explain, or takes one column, which moves all.

    Args:
        model: SavedModel folder.

    Returns:
        `columns`, what moved the answers most first: the mean `size` of what a column did to the score, and that of the `quarters`
        below and above which a quarter of the rows lies; of how many `rows`, and the `residual` that no column accounts for;
        `why_not`: empty, or why there is none of it.
    """
    spec = ServedModel.read(model)
    if EXPLAIN not in spec.signatures or len(spec.features) < 2:
        return None
    try:
        return _summary(examples_uri, model, spec, config.seed)
    except (
        Exception
    ) as error:  # whatever a graph raises: the run has its figures without it; the InfraValidator asks, too
        return {"why_not": one_line(error, 200), "rows": 0, "residual": 0.0, "columns": []}


def _summary(uri: str, model: pathlib.Path, spec: ServedModel, seed: int) -> dict[str, Any]:
    rows = np.arange(columnar.count_rows(uri, TEST))
    most = min(_MOST_ROWS, spec.rows_at_once or _MOST_ROWS)  # a row is many answers, and that of a photo a long one
    chosen = np.sort(rows[np.argsort(priorities(rows, seed), kind="stable")[:most]])
    (batch,) = columnar.read_rows(uri, TEST, chosen, list(spec.features)).combine_chunks().to_batches()
    answers = load_explainer(model, spec)(spec.inputs(batch))
    sizes = {name: np.abs(value.astype(np.float64)) for name, value in attributions(answers).items()}
    columns = [
        {
            "column": name,
            "size": float(sizes[spec.input_name(name)].mean()),
            "quarters": np.quantile(sizes[spec.input_name(name)], [0.25, 0.75]).tolist(),
        }
        for name in spec.features
    ]
    return {
        "rows": len(chosen),
        "residual": residual(answers),
        "columns": sorted(columns, key=lambda one: (-one["size"], one["column"])),
        "why_not": "",
    }
