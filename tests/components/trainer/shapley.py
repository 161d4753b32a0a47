"""Exact Shapley values of a small function by the package shap, which needs an environment of its own; see test_explain.py.

Reads `{"ordinary": [...], "rows": [[...]], "table": [[...], ...]}` and prints `{"base": [N], "values": [N, 6]}`.
"""

import json
import sys

import numpy as np
import shap

given = {name: np.array(value, float) for name, value in json.load(sys.stdin).items()}


def of_pairs(x: np.ndarray) -> np.ndarray:
    """As in test_explain.py, of a table: a, b[0], b[1], k, l, and whether w is another word."""
    a, b, k, other = x[:, 0], x[:, 1:3], x[:, 3].astype(int), x[:, 4]
    first, second = given["table"][k].T
    said = np.where(x[:, 5] == 0, 1.0, -0.5)
    return a * b[:, 0] + 3 * b[:, 1] + a * first + second * other + said * first + 0.7 * said * a + other


found = shap.explainers.Exact(of_pairs, given["ordinary"][np.newaxis])(given["rows"])
print(json.dumps({"base": found.base_values.tolist(), "values": found.values.tolist()}))
