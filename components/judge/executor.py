from __future__ import annotations

from components.release_importer import executor
from components.served_model import ServedModel
from components.tasks import find


class Executor(executor.Executor):
    """Copies the release that judges, and asks the task whether it can."""

    def objection(self, model: ServedModel, task: str) -> str:
        return find(task).objection_to_judge(model)
