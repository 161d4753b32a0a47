"""What `trainyard new` finds out about a label, and what it writes because of it."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

from components.positive import Positive, by_name, by_share
from components.tasks._lazily import pa, pc
from spec.errors import InputError
from spec.words import one_line
from spec.workload import Split

RARE_MARGIN = 0.05  # of a bar over what a model reaches that never says the rare class
_MOST_CLASSES = 1000
_MOST_EPOCHS_OF_CLASSES = 20  # after more, a network knows few rows by heart, classes sooner than amounts
_IMBALANCE = 9  # the most frequent class over the rarest
_SHOWN = 8
_BALANCED = """
  # All classes weigh the same in the loss, however few rows they have; probabilities then rank rows and are no shares.
  class_weights: balanced"""


class LabelColumn:
    """The column to predict; every row has a value, but where an empty one means none of several classes.

    Args:
        query: the column that was named as the query, if any.
    """

    def __init__(self, name: str, values: pa.ChunkedArray, query: pa.ChunkedArray | None = None) -> None:
        self.name, self.values, self.query = name, values, query

    @property
    def rows(self) -> int:
        return len(self.values)

    @property
    def is_list(self) -> bool:
        """Whether a row has any number of values."""
        from components.columnar import is_list

        return is_list(self.values.type)

    @functools.cached_property
    def distinct(self) -> int:
        return int(pc.count_distinct(self.values).as_py())

    @property
    def is_integer(self) -> bool:
        return bool(pa.types.is_integer(self.values.type))

    @property
    def is_number(self) -> bool:
        kind = self.values.type
        return self.is_integer or bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))

    @property
    def is_whole(self) -> bool:
        """Whether its numbers have no fractions, whatever their type."""
        return self.is_integer or bool(pc.all(pc.equal(self.values, pc.floor(self.values))).as_py())

    @property
    def is_contiguous(self) -> bool:
        """Whether it holds integers without gaps: as classes, they are their own indices."""
        if not self.is_integer:
            return False
        spread: dict[str, Any] = pc.min_max(self.values).as_py()
        return bool(spread["max"] - spread["min"] + 1 == self.distinct)

    @functools.cached_property
    def counts(self) -> dict[int | str, int]:
        """Rows by value, in the order in which values first appear."""
        counted = pc.value_counts(self.values.combine_chunks()).to_pylist()
        return {one["values"]: one["counts"] for one in counted}

    @property
    def majority(self) -> tuple[str, float]:
        """The most frequent value, as text of one line, and its share of the rows."""
        found = max(self.counts, key=lambda one: self.counts[one])
        return one_line(found), self.counts[found] / self.rows

    @property
    def rare(self) -> str:
        """The class with so few rows that a model which never says it looks good; empty where none is."""
        least = min(self.counts, key=lambda one: (self.counts[one], one))
        return str(least) if self.counts[least] * _IMBALANCE < max(self.counts.values()) else ""

    @property
    def test_rows(self) -> float:
        """About how many rows will judge the model."""
        return rows_of_test(self.rows)

    @property
    def chance(self) -> float:
        """About one standard error of a share on the test split: less than that is chance."""
        return chance_of(self.test_rows)


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """A table without a label.

    Attributes:
        query: the column that was named as the query, if any.
        item: the column that was named as the item, if any.
    """

    values: pa.Table
    query: str | None = None
    item: str | None = None


@dataclasses.dataclass(frozen=True)
class Draft:
    """What is written about a label, or about a table without one.

    Attributes:
        name: the label's column; None: there is none.
        dtype: the label's: INT, FLOAT or BYTES, as TFMD says it.
        story: what was found out, a line each for a person.
        trivial: what a model reaches that ignores its inputs, as a sentence.
        test_rows: about how many of the rows will judge the model.
        bars: entries of `evaluation.thresholds`, as YAML.
        max_loss: by how much the metric of the champion may fall: what chance does on the test split.
        most_epochs: after which a small network knows few rows by heart.
        training: further lines of `training:`.
        hyperparameters: that are not as other tasks have them.
        classes: in order; integers or texts; () for numbers.
        counts: rows of each class, as text; empty for numbers.
        rare: the class with so few rows that a model which never says it looks good; empty where none is.
        positive: the positive class, as text, and why; of two classes only.
        outputs: of the drafted network, a row.
        is_list: whether a row has any number of classes.
        separator: what stands between them where files have them as one text; empty: they have lists.
        purpose: what the model is for, as a sentence; empty: it predicts the label.
        templates: the folder below pipelines/scaffold/files with templates of the task's own; empty: the usual ones.
        query: the column that says who or what asks, if the task has one.
        item: the column that says what is answered, if the task has one.
        answers: how many items a query is answered.
        of_query: columns that say more of a query.
        of_item: columns that say more of an item.
        ignored: columns that the task makes nothing of, and why.
    """

    name: str | None
    task: str
    dtype: str
    story: tuple[str, ...]
    trivial: str
    test_rows: float
    bars: tuple[str, ...]
    max_loss: float
    most_epochs: int
    training: str = ""
    hyperparameters: Mapping[str, float] = dataclasses.field(default_factory=dict)
    classes: tuple[int | str, ...] = ()
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    rare: str = ""
    positive: Positive | None = None
    outputs: int = 1
    is_list: bool = False
    separator: str = ""
    purpose: str = ""
    templates: str = ""
    query: str | None = None
    item: str | None = None
    answers: int = 0
    of_query: tuple[str, ...] = ()
    of_item: tuple[str, ...] = ()
    ignored: Mapping[str, str] = dataclasses.field(default_factory=dict)


def draft_classes(task: str, label: LabelColumn, trivial: str, bars: tuple[str, ...]) -> Draft:
    """The draft for a label of classes.

    Raises:
        InputError: there are too many classes.
    """
    if label.distinct > _MOST_CLASSES or label.distinct * 2 > label.rows:
        raise InputError(
            f"label {label.name!r}: {label.distinct:,} distinct values in {label.rows:,} rows are too many classes. "
            "Group them, or use --task regression if it is a number."
        )
    classes = tuple(sorted(label.counts))
    shown = ", ".join(map(str, classes[:_SHOWN])) + (", ..." if len(classes) > _SHOWN else "")
    majority, share = label.majority
    return Draft(
        label.name,
        task,
        "INT" if label.is_integer else "BYTES",
        story=(f"Classes of {label.name!r}: {shown}; always saying {majority} is right in {share:.1%}",),
        trivial=trivial,
        test_rows=label.test_rows,
        bars=bars,
        max_loss=float(f"{min(0.1, label.chance):.2g}"),
        most_epochs=_MOST_EPOCHS_OF_CLASSES,
        training=_BALANCED if label.rare else "",
        classes=classes,
        counts={str(one): label.counts[one] for one in classes},
        rare=label.rare,
    )


def rows_of_test(rows: int) -> float:
    """About how many of a table's rows will judge the model."""
    return max(1.0, Split().test_fraction * rows)


def chance_of(test_rows: float) -> float:
    """About one standard error of a share on so many rows."""
    return 0.5 / math.sqrt(test_rows)


def at_least(metric: str, least: float) -> str:
    """An entry of `evaluation.thresholds`, as YAML; rounded up to three digits."""
    return f"{{metric: {metric}, min: {math.ceil(round(least * 1000, 6)) / 1000:g}}}"


def area_bar(label: LabelColumn) -> str:
    """An entry of `evaluation.thresholds` for the area under the ROC curve of two classes, above what chance reaches."""
    share = label.majority[1]
    # The standard error of the area of a model that knows nothing (Mann and Whitney, 1947).
    chance = math.sqrt((label.test_rows + 1) / (12 * label.test_rows**2 * share * (1 - share)))
    return at_least("auc", max(0.6, 0.5 + min(0.4, chance)))


def choose_positive(label: LabelColumn, asked: str | None) -> Positive:
    """The class that was asked for; else a rare one, whatever its name; else the one that is by name; else the rarer one.

    A run that has to decide without a draft takes the name first (components/positive.py): what it decides must not turn around
    from one span to the next. The draft writes it down for good.
    """
    counts = {str(one): label.counts[one] for one in sorted(label.counts)}
    classes = list(counts)
    if asked is not None:
        if asked not in classes:
            raise InputError(
                f"--positive {asked!r}: the label {label.name!r} has the classes {classes[0]!r} and {classes[1]!r}."
            )
        return Positive(asked, "you said so")
    named, rarer = by_name(classes), by_share(classes, list(counts.values()), most=0.5)
    if named is None or named.name == rarer.name:
        return named or rarer
    if label.rare:
        return dataclasses.replace(rarer, reason=f"{rarer.reason}; by name it would be {named.name}")
    return named
