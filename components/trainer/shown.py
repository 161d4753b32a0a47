"""What Kubeflow's UI shows of the Trainer."""

from __future__ import annotations

from components.outputs import Outputs, Shown


def shown(made: Outputs) -> dict[str, Shown]:
    history = made.json("model_run", "history.json")
    best = int(history["best_epoch"])
    # The kept weights are those of the best epoch, and so are the figures.
    kept = {name: values[best - 1] for name, values in history["history"].items() if len(values) >= best}
    figures = {"epochs": len(history["epochs"]), "best_epoch": best, "parameters": history["parameters"]}
    return {
        "trained_model": made.located(
            "model", framework="keras", format="TensorFlow SavedModel", parameters=history["parameters"]
        ),
        "training_metrics": Shown({**kept, **figures, "seconds": history["seconds"]}),
    }
