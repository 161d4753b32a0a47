"""Which tasks there are, and what is known of a task before anything is computed.

A task is a class, found by name as entry points are, so that nothing imports upward: Airflow and the CLI ask the facts, the
components the whole class (`components.tasks.Task`). To add one: its class, and a line in TASKS; or a use case's own, named by
dotted path in workload.yaml (docs/guides/add-a-task.md).
"""

from __future__ import annotations

import enum
import functools
import importlib
import importlib.util
import pathlib
import re
import sys
from types import ModuleType
from typing import ClassVar

from spec.errors import InputError
from spec.home import workloads_root
from spec.metrics import Metric
from spec.section import Section
from spec.words import one_line

TASKS = {
    "binary": "components.tasks.binary.Binary",
    "multiclass": "components.tasks.multiclass.Multiclass",
    "multilabel": "components.tasks.multilabel.Multilabel",
    "regression": "components.tasks.regression.Regression",
    "ranking": "components.tasks.ranking.Ranking",
    "segmentation": "components.tasks.segmentation.Segmentation",
    "retrieval": "components.tasks.retrieval.Retrieval",
    "reconstruction": "components.tasks.reconstruction.Reconstruction",
    "generation": "components.tasks.generation.Generation",
}


class LabelKind(enum.Enum):
    """What the label's column holds."""

    TWO_CLASSES = "two classes"
    CLASSES = "classes"
    SEVERAL_CLASSES = "several classes"
    NUMBER = "number"
    IMAGE = "image"
    NONE = "none"

    @property
    def has_classes(self) -> bool:
        return self in (LabelKind.TWO_CLASSES, LabelKind.CLASSES, LabelKind.SEVERAL_CLASSES)

    @property
    def is_one_class(self) -> bool:
        """Whether it holds one class a row."""
        return self in (LabelKind.TWO_CLASSES, LabelKind.CLASSES)


class TaskFacts:
    """What workload.yaml's checks, the CLI and Airflow ask a task.

    Attributes:
        name: as workload.yaml says it; that of a use case's own task is its dotted path, and `find` sets it.
        metrics: that a model is judged by; the first is the one that models are compared by unless the workload says otherwise.
        epoch_metrics: what training shows of eval after each epoch beside the loss, by Keras metrics of these names
            (`Task.training_metrics`); the first is the one that tells most.
        label_kind: what the label's column holds; NONE: `data.label` must be left out.
        label_optional: whether `data.label` may be left out; unless the task says otherwise, it is for judging alone.
        needs_query: whether rows are judged by groups, those of one value of `data.query`.
        answers_queries: the same where each group gets one answer, whichever of its rows asks; without `data.query` a row is a group.
        needs_judge: whether a model is judged by another one, the release of `evaluation.judge`.
        Options: what `task_options` in workload.yaml may say.
        takes_threshold: whether `training.decision_threshold` means something.
        takes_label_scale: whether `training.label_scale` does.
        calls_one_class: whether the model calls each row one of the label's classes, so that groups of rows can be compared by it.
        takes_teacher: whether `training.teacher` does.
        takes_variants: whether `export.variants` does: what is served follows from the network's output alone.
        explains: whether `export.explain` does.
    """

    name: ClassVar[str] = ""
    metrics: ClassVar[tuple[Metric, ...]]
    epoch_metrics: ClassVar[tuple[Metric, ...]] = ()
    label_kind: ClassVar[LabelKind] = LabelKind.NUMBER
    label_optional: ClassVar[bool] = False
    needs_query: ClassVar[bool] = False
    answers_queries: ClassVar[bool] = False
    needs_judge: ClassVar[bool] = False
    takes_threshold: ClassVar[bool] = False
    takes_label_scale: ClassVar[bool] = False
    calls_one_class: ClassVar[bool] = False
    takes_teacher: ClassVar[bool] = False
    takes_variants: ClassVar[bool] = False
    explains: ClassVar[bool] = False
    Options: ClassVar[type[Section]] = Section

    @classmethod
    def metric_names(cls) -> tuple[str, ...]:
        return tuple(one.name for one in cls.metrics)

    @classmethod
    def takes_feedback(cls) -> bool:
        """Whether each row's answer can be held against a label that comes later."""
        told = cls.label_kind.has_classes or cls.label_kind is LabelKind.NUMBER
        return told and not (cls.label_optional or cls.needs_query or cls.answers_queries or cls.needs_judge)

    @classmethod
    def metric(cls, name: str) -> Metric:
        """The record of one of its metrics.

        Raises:
            InputError: it has no such metric.
        """
        for one in cls.metrics:
            if one.name == name:
                return one
        known = ", ".join(cls.metric_names())
        raise InputError(f"evaluation: metric {name!r} does not exist for task {cls.name}; known: {known}")


class MissingLibraryError(InputError):
    """The module of a use case's own task needs a library that this process does not have, as Airflow's lacks TensorFlow."""


def find(name: str) -> type[TaskFacts]:
    """The class of a task.

    Args:
        name: one of TASKS, or a dotted path: `mine.task.Reconstruction` is the class in `task.py` of the workload `mine`, wherever
            the workloads' folder lies; any other module is imported by its name.

    Raises:
        InputError: there is no such task; says which there are.
        MissingLibraryError: its module cannot be imported here for want of a library.
    """
    path = TASKS.get(name, name)
    module_name, _, class_name = path.rpartition(".")
    if not re.fullmatch(r"\w+(\.\w+)+", path):
        raise InputError(
            f"there is no task {name!r}. Known: {', '.join(TASKS)}; or the dotted path of a class of your own, such as "
            "mine.task.Mine (docs/guides/add-a-task.md)",
            field="task",
        )
    found = getattr(_module(module_name, name), class_name, None)
    if not (isinstance(found, type) and issubclass(found, TaskFacts)):
        raise InputError(
            f"{name}: {module_name} has no class {class_name!r} that is a components.tasks.Task. "
            f"Received: {type(found).__name__}",
            field="task",
        )
    if name not in TASKS:
        found.name = name
    return found


def _module(module: str, task: str) -> ModuleType:
    file = workloads_root().joinpath(*module.split(".")).with_suffix(".py")
    try:
        return _of_file(file, file.stat().st_mtime_ns) if file.is_file() else importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not f"{module}.".startswith(f"{error.name}."):
            raise MissingLibraryError(
                f"{task}: needs {error.name}, which is not installed here", field="task"
            ) from None
        problem = f"{task}: there is no module {module}, and no file {file}. Mend the path"
        raise InputError(problem, field="task") from None
    except Exception as error:
        problem = f"{task}: does not import: {type(error).__name__}: {one_line(error, 300)}. Mend it"
        raise InputError(problem, field="task") from error


@functools.lru_cache(maxsize=64)
def _of_file(path: pathlib.Path, modified: int) -> ModuleType:
    """A module of a workload's folder, read again once it was edited. Two workloads may both have a task.py."""
    name = f"trainyard_workload_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
