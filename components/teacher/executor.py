from __future__ import annotations

from components.release_importer import executor
from components.served_model import ServedModel


class Executor(executor.Executor):
    """Copies the release that teaches. Whether its classes are those of the data the Trainer sees, before it fits."""

    def objection(self, model: ServedModel, task: str) -> str:
        return "" if model.task == task else f"is of task {model.task}; a teacher has its student's, {task}."
