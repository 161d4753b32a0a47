"""The label: whether it can be predicted, and which task its values make."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import is_list
from components.tasks import Draft, LabelColumn, Task, Unlabelled, find
from components.tasks.multilabel import separator_of
from spec.errors import InputError
from spec.tasks import TASKS, LabelKind

_MOST_TEXTS = 1000  # nobody has more combinations of a few classes


def check_values(table: pa.Table, label: str) -> None:
    """Raises InputError if a label is nothing to predict, or all rows have the same."""
    values = table.column(label)
    if is_list(values.type):
        return  # the task looks at the values in it
    if pa.types.is_nested(values.type) or pa.types.is_temporal(values.type):
        raise InputError(f"label {label!r}: must be a number, a text or a boolean. Received: {values.type}.")
    if pc.count_distinct(values).as_py() == 1:
        raise InputError(f"label {label!r}: all rows have {values[0].as_py()!r}; there is nothing to learn.")


def choose_task(label: LabelColumn, asked: str | None) -> tuple[type[Task], str]:
    """The task that was asked for, else the first that fits the label's values; and the reason, in a line for a person."""
    if asked:
        return find(asked), f"Task: {asked} (you said so)"
    for task in map(find, TASKS):
        takes_lists = task.label_kind is LabelKind.SEVERAL_CLASSES
        if takes_lists == label.is_list and (reason := task.guess(label)):
            return task, f"Task: {task.name} ({reason}; --task changes it){_of_lists(label)}"
    raise InputError(f"label {label.name!r}: no task fits its values. Name one with --task. Known: {', '.join(TASKS)}.")


def _of_lists(label: LabelColumn) -> str:
    """That texts look as if each were several classes, if they do; a comma alone is no sign of it."""
    if not pa.types.is_string(label.values.type) or label.distinct > _MOST_TEXTS:
        return ""
    texts = list(map(str, label.counts))
    mark = separator_of(texts, (";", "|"))
    example = next((text for text in texts if mark in text), "") if mark else ""
    return f"; {example!r} looks like several classes, which are for --task multilabel" if example else ""


def draft(task: type[Task], label: LabelColumn, positive: str | None) -> Draft:
    """The task's draft.

    Args:
        label: the column; as text where `is_text` said so.
        positive: the class that was asked for as the positive one.

    Raises:
        InputError: the label does not fit the task.
    """
    drafted = task.draft(label, positive)
    if positive is not None and drafted.positive is None:
        raise InputError(
            f"--positive {positive!r}: is for labels of two classes, and the task is {task.name}. Remove it."
        )
    return drafted


def draft_unlabelled(task: str | None, table: Unlabelled) -> tuple[Draft, list[str]]:
    """The draft of the task that was asked for, or that has queries and items; and why it is that one, in a line for a person.

    Raises:
        InputError: the task needs a label, or nothing says which one it is.
    """
    if task is None and (table.query or table.item):
        return find("retrieval").draft_unlabelled(table), [
            "Task: retrieval (there is a query or an item; --task changes it)"
        ]
    if task is None:
        raise InputError(
            "--label: is missing. Name the column to predict; or say what to learn without one: --task reconstruction finds unusual "
            "rows, --task retrieval what a user may want next."
        )
    return find(task).draft_unlabelled(table), [f"Task: {task} (you said so)"]


def is_text(label: LabelColumn, task: type[Task]) -> bool:
    """Whether the label is best read as text: classes are, all but integers without gaps."""
    return task.label_kind.has_classes and not (label.is_contiguous or label.is_list)
