"""How good the network is that `trainyard new` drafts, compared with a linear model and gradient boosting on the same rows.

    python -m benchmarks.drafted_models --csv diamonds.csv:price --csv penguins.csv:species   # three splits each
    python -m benchmarks.drafted_models --csv diamonds.csv:price --seeds 1

The network's figures come from complete runs of `trainyard new` and `trainyard run`: it learns from train, stops early by eval,
and is measured on test. Gradient boosting is the run's own Baseline. The linear model (logistic or ridge regression on standardised
numbers and one-hot categories, with scikit-learn's defaults) learns from the same train rows. Each seed splits the rows differently.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from components.columnar import read_split
from spec import metrics
from spec.splits import TEST, TRAIN

_KEY = "row_key"
Frame: TypeAlias = pd.DataFrame


def main() -> int:
    options = _options()
    wins = 0
    print(f"{'data':<16}{'rows':>8}  {'metric':<9}{'network':>10}{'boosting':>10}{'linear':>10}  {'seconds':>7}")
    for path, label in options.csv:
        name, frame = pathlib.Path(path).name.split(".")[0], pd.read_csv(path)
        runs = [measure(name, frame, label, seed) for seed in range(options.seeds)]
        metric = runs[0]["metric"]
        mean = {key: statistics.mean(run[key] for run in runs) for key in ("network", "boosting", "linear", "seconds")}
        lower_is_better = metrics.find(metric).lower_is_better
        best = (min if lower_is_better else max)(mean["boosting"], mean["linear"])
        reached = mean["network"] <= best if lower_is_better else mean["network"] >= best
        wins += reached
        figures = "".join(f"{mean[key]:>10.4f}" for key in ("network", "boosting", "linear"))
        mark = "  reached" if reached else ""
        print(f"{name:<16}{len(frame):>8,}  {metric:<9}{figures}  {mean['seconds']:>7.0f}{mark}", flush=True)
    print(f"the network reaches the better of the two on {wins} of {len(options.csv)}")
    return 0


def measure(name: str, frame: Frame, label: str, seed: int) -> dict[str, Any]:
    """Drafts, runs and compares once, in its own home."""
    with tempfile.TemporaryDirectory(prefix="trainyard-drafted-") as folder:
        root = pathlib.Path(folder)
        keys = np.random.default_rng(seed).permutation(len(frame)) + seed * len(frame)
        frame.assign(**{_KEY: [f"k{key}" for key in keys]}).to_csv(root / "data.csv", index=False)
        names = ("HOME", "STORE", "WORKLOADS", "SCHEMAS")
        environment = {**os.environ, **{f"TRAINYARD_{one}": str(root / one.lower()) for one in names}}
        _trainyard(["new", name, "--data", str(root / "data.csv"), "--label", label, "--key", _KEY], environment)
        result = json.loads(_trainyard(["run", name, "--json"], environment))
        (examples,) = (root / "home" / "pipelines" / name / "ColumnarExampleGen" / "examples").iterdir()
        baseline = result["baseline"]
        metric = baseline["metric"]
        return {
            "metric": metric,
            "network": baseline["model_value"],
            "boosting": baseline["baseline_value"],
            "linear": _linear(str(examples), label, metric),
            "seconds": result["seconds"],
        }


def _trainyard(arguments: list[str], environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "cli.main", *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {ended.returncode}: {ended.stderr[-1000:]}")
    return ended.stdout


def _linear(examples: str, label: str, metric: str) -> float:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.metrics import accuracy_score, roc_auc_score, root_mean_squared_error
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    train, test = (read_split(examples, split).to_pandas().drop(columns=[_KEY]) for split in (TRAIN, TEST))
    features = train.drop(columns=[label])
    numbers = list(features.select_dtypes("number").columns)
    texts = [column for column in features if column not in numbers]
    for frame in (train, test):
        frame[texts] = frame[texts].astype(str)
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", min_frequency=3), texts),
    )
    model = make_pipeline(columns, RidgeCV() if metric == "rmse" else LogisticRegression(max_iter=2000))
    model.fit(train.drop(columns=[label]), train[label])
    inputs, truth = test.drop(columns=[label]), test[label]
    if metric == "auc":
        # The area is the same, whichever class is the positive one.
        return float(roc_auc_score(truth == model.classes_[1], model.predict_proba(inputs)[:, 1]))
    score = {"rmse": root_mean_squared_error, "accuracy": accuracy_score}[metric]
    return float(score(truth, model.predict(inputs)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drafted_models", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many splits (3)")
    parser.add_argument(
        "--csv",
        action="append",
        required=True,
        type=lambda text: tuple(text.rsplit(":", 1)),
        metavar="FILE:LABEL",
        help="a file and its label; may be repeated",
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
