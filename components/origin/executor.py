from __future__ import annotations

from components.release_importer import executor
from components.served_model import ServedModel


class Executor(executor.Executor):
    """Copies the release that a training begins with, and looks whether it says which layers its weights are of."""

    def objection(self, model: ServedModel, task: str) -> str:
        return "" if model.weights else "was made by an earlier Trainyard, which did not note the names of its weights."
