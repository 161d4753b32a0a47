from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from tfx.types import standard_artifacts

from components.artifacts import ModelVariants
from components.evaluator.executor import Executor
from components.gates import GateResult


@pytest.fixture
def judged(
    tmp_path: pathlib.Path,
    model_folder: Callable[..., pathlib.Path],
    model_artifact: Callable[..., Any],
    examples_artifact: Callable[..., Any],
    make_rows: Callable[..., Any],
    output: Callable[..., Any],
) -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """metrics.json, and the checks by name, of a model with one variant: a model with other options."""

    def go(limits: dict[str, Any], thresholds: tuple[Any, ...] = (), **options: Any) -> tuple[Any, dict[str, Any]]:
        variants = ModelVariants()
        variants.uri = str(tmp_path / "variants")
        shutil.copytree(model_folder("binary", **options) / "Format-Serving", pathlib.Path(variants.uri) / "small")
        made = output(evaluation=standard_artifacts.ModelEvaluation, blessing=standard_artifacts.ModelBlessing)
        config = {
            "task": "binary",
            "label": "target",
            "importance": {"rows": 0},
            "thresholds": thresholds,
            "variants": [{"name": "small", "method": "keras-int8", **limits}],
        }
        inputs = {
            "examples": [examples_artifact(make_rows(800))],
            "model": [model_artifact("binary")],
            "variants": [variants],
        }
        Executor().Do(inputs, made, {"evaluation_config": json.dumps(config)})
        folder = pathlib.Path(made["evaluation"][0].uri)
        gate = GateResult.from_json((folder / "gate.json").read_text())
        checks = {one.name.removeprefix("variant small: "): one for one in gate.checks if "variant small" in one.name}
        return json.loads((folder / "metrics.json").read_text()), checks

    return go


def test_a_variant_that_is_the_model_loses_nothing(judged) -> None:
    summary, checks = judged({"max_latency": 50}, [{"metric": "auc", "min": 0.7}])
    assert summary["blessed"] and all(one.passes for one in checks.values())
    assert set(checks) == {"predictions fit the task", "auc >= 0.7", "auc against the model", "size", "latency"}
    (found,) = summary["variants"]["variants"]
    assert found["loss"] == 0 and found["size"] == 1 and found["value"] == summary["overall"]["auc"]
    assert 0.1 < found["latency"]["64"] < 10


def test_a_loss_is_judged_in_the_metric_of_the_champion(judged) -> None:
    summary, checks = judged({"max_loss": 0.01}, [{"metric": "auc", "min": 0.7}], weight=0.0)
    check = checks["auc against the model"]
    loss = summary["overall"]["auc"] - 0.5
    assert not summary["blessed"] and not check.passes
    assert f"auc 0.5000 is {loss:.4f} worse than the model's own" in check.message
    assert check.message.endswith(
        "at most 0.01 worse is allowed. Take another method, or raise its max_loss under export.variants"
    )
    assert not checks["auc >= 0.7"].passes  # the workload's own bound holds for it, too
    (found,) = summary["variants"]["variants"]
    assert not found["passes"] and found["loss"] == pytest.approx(loss)


def test_size_and_latency_are_shares_of_the_model_s_own(judged) -> None:
    summary, checks = judged({"max_size": 0.5, "max_latency": 0.01})
    assert not summary["blessed"]
    assert "1.00 of the model's" in checks["size"].message and "raise its max_size" in checks["size"].message
    assert "at most 0.01 is allowed" in checks["latency"].message and not checks["latency"].passes


def test_a_latency_without_a_limit_is_told_and_not_judged(judged) -> None:
    summary, checks = judged({})
    (found,) = summary["variants"]["variants"]
    assert summary["blessed"] and "latency" not in checks
    assert found["max_latency"] is None and found["latency"]["64"] > 0


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("nan", "predictions are not finite and a probability"),
        ("raise", "variant small: the model fails on a batch of the test split"),
    ],
)
def test_a_variant_that_does_not_answer_withholds_the_blessing(judged, damage: str, said: str) -> None:
    summary, _ = judged({}, damage=damage)
    assert not summary["blessed"]
    assert any(said in one for one in summary["reasons"]), summary["reasons"]
