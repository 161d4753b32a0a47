"""What a node's artifacts come to in KFP's UI: read from the artifacts themselves, so that a cached node shows the same."""

from __future__ import annotations

import dataclasses
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

import storage
from components.artifacts import BASELINE_FILE, ROWS_OUT, SECONDS
from components.gates import GateResult
from pipelines.runners.kubeflow import executor_output
from pipelines.runners.kubeflow.executor_output import Shown

# KFP's UI draws every cell, and the metadata store keeps the matrix in one column.
_MOST_CLASSES = 100
_PAGES = frozenset({"data_quality_report", "run_report"})


class Outputs:
    """The artifacts that a node made or found in the cache.

    Args:
        artifacts: by the output's key in TFX; empty where a condition kept the node from running.
    """

    def __init__(self, artifacts: Mapping[str, Sequence[mlmd.Artifact]]) -> None:
        self._artifacts = artifacts

    def uri(self, key: str) -> str:
        return str(self._artifacts[key][0].uri)

    def property(self, key: str, name: str) -> Any:
        """One of an artifact's properties; None where it has none of that name."""
        artifact = self._artifacts[key][0]
        for properties in (artifact.custom_properties, artifact.properties):
            if name in properties and (kind := properties[name].WhichOneof("value")):
                return getattr(properties[name], kind)
        return None

    def text(self, key: str, name: str) -> str:
        return storage.read(f"{self.uri(key)}/{name}").decode("utf-8")

    def json(self, key: str, name: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.text(key, name))
        return read

    def gate(self, key: str) -> GateResult:
        return GateResult.from_json(self.text(key, "gate.json"))


def show(executor_input: str, node_id: str, artifacts: Mapping[str, Sequence[mlmd.Artifact]], page: str = "") -> None:
    """Tells KFP what a node made. Never fails: the node's work is done and published.

    Args:
        executor_input: JSON, what KFP puts in place of `{{$}}`; empty where the node was not started by KFP.
        node_id: in the graph.
        artifacts: the node's outputs.
        page: URL of the run's page of data quality, for the artifacts that are pages themselves.
    """
    if not executor_input:
        return
    try:
        shown = _shown(node_id, artifacts)
        if page:
            shown |= {name: _linked(shown[name], page) for name in _PAGES & shown.keys()}
        executor_output.write(executor_input, shown)
    except Exception:
        traceback.print_exc()
        print("KFP's UI will not show this node's outputs; they are made and published all the same.", flush=True)


def _shown(node_id: str, artifacts: Mapping[str, Sequence[mlmd.Artifact]]) -> dict[str, Shown]:
    if node_id not in _NODES or not artifacts:
        return {}
    try:
        return _NODES[node_id](Outputs(artifacts))
    except Exception as error:
        # The files must be there all the same: KFP's launcher fails a task that leaves out what it declares.
        traceback.print_exc()
        print(f"what KFP's UI shows of {node_id} could not be read: {type(error).__name__}: {error}", flush=True)
        return {}


def _linked(one: Shown, page: str) -> Shown:
    return dataclasses.replace(one, metadata={**one.metadata, "data_quality_page": page})


def _located(made: Outputs, key: str, **more: Any) -> Shown:
    return Shown({"location": made.uri(key), **more, "seconds": made.property(key, SECONDS)})


def _schema(made: Outputs) -> dict[str, Shown]:
    return {"schema": _located(made, "schema")}


def _examples(made: Outputs) -> dict[str, Shown]:
    key = "examples"
    noted = json.loads(made.property(key, "spans") or "[]")
    return {
        key: _located(
            made,
            key,
            rows=made.property(key, ROWS_OUT),
            quarantined=made.property(key, "rows_quarantined"),
            span=made.property(key, "span"),
            spans=", ".join(str(one["span"]) for one in noted),
            format="Parquet",
        )
    }


def _statistics(made: Outputs) -> dict[str, Shown]:
    return {"statistics": _located(made, "statistics", rows=made.property("statistics", ROWS_OUT))}


def _schema_checks(made: Outputs) -> dict[str, Shown]:
    return {"schema_checks": Shown(made.gate("anomalies").counts())}


def _drift_checks(made: Outputs) -> dict[str, Shown]:
    return {"drift_checks": Shown(made.gate("drift").counts())}


def _data_quality(made: Outputs) -> dict[str, Shown]:
    key = "data_quality"
    gate = made.gate(key)
    about = {"location": made.uri(key), "verdict": gate.summary()}
    return {
        "data_quality_report": Shown(about, made.text(key, "data_docs/index.html")),
        "data_quality_checks": Shown(gate.counts()),
    }


def _transform(made: Outputs) -> dict[str, Shown]:
    key = "transformed_examples"
    return {
        "transform_graph": _located(made, "transform_graph"),
        key: _located(made, key, rows=made.property(key, ROWS_OUT)),
    }


def _trainer(made: Outputs) -> dict[str, Shown]:
    history = made.json("model_run", "history.json")
    best = int(history["best_epoch"])
    # The kept weights are those of the best epoch, and so are the figures.
    kept = {name: values[best - 1] for name, values in history["history"].items() if len(values) >= best}
    figures = {"epochs": len(history["epochs"]), "best_epoch": best, "parameters": history["parameters"]}
    return {
        "trained_model": _located(
            made, "model", framework="keras", format="TensorFlow SavedModel", parameters=history["parameters"]
        ),
        "training_metrics": Shown({**kept, **figures, "seconds": history["seconds"]}),
    }


def _champion(made: Outputs) -> dict[str, Shown]:
    version = made.property("champion", "champion_version")
    known = {"location": made.uri("champion"), "version": version} if version else {"note": "no stable release yet"}
    return {"champion": Shown(known)}


def _baseline(made: Outputs) -> dict[str, Shown]:
    found = made.json("baseline", BASELINE_FILE)
    return {"baseline_metrics": Shown({**found["overall"], "rows": found["rows"], "train_rows": found["train_rows"]})}


def _evaluator(made: Outputs) -> dict[str, Shown]:
    metrics = made.json("evaluation", "metrics.json")
    shown = {**metrics["overall"], "rows": metrics["rows"], "blessed": metrics["blessed"]}
    for name, sure in metrics["bounds"].items():
        if sure["gated"]:
            shown |= {f"{name}_at_least": sure["low"], f"{name}_at_most": sure["high"]}
    shown |= {key: many for key, many in made.gate("evaluation").counts().items() if key != "warnings"}
    if champion := metrics.get("champion"):
        metric = champion["metric"]
        shown |= {
            "champion_version": champion["version"],
            f"champion_{metric}": champion["champion_value"],
            f"{metric}_difference": champion["difference"],
            f"{metric}_difference_low": champion["ci_low"],
            f"{metric}_difference_high": champion["ci_high"],
        }
    return {"evaluation_metrics": Shown(shown), "classification_metrics": Shown(_classification(metrics))}


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


def _infra_validator(made: Outputs) -> dict[str, Shown]:
    gate = made.gate("blessing")
    measured = {
        name: check.diagnostics.get(name)
        for check in gate.checks
        for name in ("load_seconds", "peak_memory_mb")
        if check.diagnostics.get(name) is not None
    }
    return {"infra_checks": Shown({**gate.counts(), "blessed": gate.passes, **measured})}


def _pusher(made: Outputs) -> dict[str, Shown]:
    key = "pushed_model"
    if not made.property(key, "pushed"):
        return {"release": Shown({"pushed": 0, "reason": made.property(key, "reason")})}
    version = str(made.property(key, "pushed_version"))
    return {
        "release": Shown(
            {
                "pushed": 1,
                "version": int(version) if version.isdigit() else version,
                "location": made.property(key, "pushed_destination"),
                "store": made.property(key, "store_uri"),
                "model": made.property(key, "model_name"),
                "framework": "keras",
            }
        )
    }


def _report(made: Outputs) -> dict[str, Shown]:
    where = {"location": made.uri("report")}
    return {
        "run_report": Shown(where, made.text("report", "index.html")),
        "model_card": Shown(where, made.text("report", "model_card.md")),
    }


_NODES: Mapping[str, Callable[[Outputs], dict[str, Shown]]] = {
    "SchemaImporter": _schema,
    "ColumnarExampleGen": _examples,
    "StatisticsGen": _statistics,
    "ExampleValidator": _schema_checks,
    "DataQuality": _data_quality,
    "DriftDetector": _drift_checks,
    "Transform": _transform,
    "Trainer": _trainer,
    "ChampionResolver": _champion,
    "Baseline": _baseline,
    "Evaluator": _evaluator,
    "InfraValidator": _infra_validator,
    "Pusher": _pusher,
    "Report": _report,
}
