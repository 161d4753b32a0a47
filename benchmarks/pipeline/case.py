"""A benchmark case: data, features and a model, and the same by hand. Each case is a file in cases/.

`python -m benchmarks.pipeline.case NAME ROWS FOLDER` writes a case's data.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import json
import pathlib
import pkgutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from spec.splits import EVAL, SPLITS, TEST
from spec.tasks import find

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pyarrow as pa

    from components.trainer import ModelSchema

EVAL_BATCH_SIZE = 1024


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the data, as in the schema.

    Attributes:
        name: of the column.
        type: FLOAT, INT or BYTES.
        required: whether every row has a value; if so the column is dense, else sparse.
        more: further fields of TFMD's Feature, in protobuf's text format.
    """

    name: str
    type: Literal["FLOAT", "INT", "BYTES"]
    required: bool = True
    more: str = ""

    def __str__(self) -> str:
        rule = "presence { min_fraction: 1.0 min_count: 1 } shape {}"
        if not self.required:
            rule = "presence { min_count: 1 } value_count { min: 1 max: 1 }"
        return f'feature {{ name: "{self.name}" type: {self.type} {rule} {self.more} }}\n'


@dataclasses.dataclass(frozen=True)
class Goal:
    """The goal for a line of the table.

    Attributes:
        line: a stage, or `whole process`.
        kind: `stock`: at least `bound` times as fast as stock; `floor`: at most `bound` times the script's time;
            `seconds`: at most `bound` seconds; `growth`: from this size to the next, time grows at most `bound` times as
            fast as the rows.
        bound: see `kind`.
    """

    line: str
    kind: Literal["stock", "floor", "seconds", "growth"]
    bound: float


class Case(abc.ABC):
    """One kind of data and the work on it.

    Stock TFX and Trainyard run `preprocessing_fn` and `build_model`; the script does the same with `read`, `analyse` and
    `transform`. The rest is in class attributes.

    Attributes:
        title: the data in a few words.
        columns: of the data, including the label; schema and expectations are made from them.
        label: name of the label's column.
        classes: in the order of the model's output; the second of two is the positive one.
        slice_by: every metric is also computed for each value of this column.
        epochs: passes over the training split.
        batch_size: rows per training step.
        patience: epochs without improvement before training stops; None: never.
        hyperparameters: for `build_model`; `learning_rate` is the optimizer's.
        buckets: shares of train, eval and test, as TFX's hash_buckets.
        format: csv, or tfrecord of tf.Example.
        default_rows: the number of rows by default.
        fixed_rows: the number of rows if the data cannot be made in other sizes.
    """

    title: ClassVar[str]
    columns: tuple[Column, ...] = ()
    label: ClassVar[str]
    slice_by: ClassVar[str]
    hyperparameters: ClassVar[Mapping[str, float | int]]
    classes: ClassVar[tuple[int, ...]] = (0, 1)
    epochs: ClassVar[int] = 1
    batch_size: ClassVar[int] = 512
    patience: ClassVar[int | None] = None
    buckets: ClassVar[tuple[int, int, int]] = (7, 1, 4)
    format: ClassVar[Literal["csv", "tfrecord"]] = "csv"
    default_rows: ClassVar[int] = 500_000
    fixed_rows: ClassVar[int | None] = None

    @abc.abstractmethod
    def generate(self, rows: int, folder: pathlib.Path) -> None:
        """Writes files of `rows` rows into an empty folder; always the same bytes."""

    @abc.abstractmethod
    def preprocessing_fn(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """TFT's function, from raw columns without the label to dense features."""

    @abc.abstractmethod
    def build_model(self, schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
        """The model, uncompiled."""

    def read(self, folder: pathlib.Path) -> pa.Table:
        """By hand: the files as a table."""
        import pyarrow.csv

        (file,) = folder.glob("*.csv")
        return pyarrow.csv.read_csv(file)

    def analyse(self, train: pa.Table) -> Any:
        """By hand: what the features need to know about the training split (means, vocabularies)."""
        return None

    @abc.abstractmethod
    def transform(self, table: pa.Table, analysed: Any) -> dict[str, np.ndarray]:
        """By hand: the features of `preprocessing_fn`, [N, ...] each."""

    def vocabulary_sizes(self, analysed: Any) -> dict[str, int]:
        """By hand: the number of ids of each feature that holds ids."""
        return {}

    def share(self, split: str) -> float:
        """A split's share of the rows."""
        return round(self.buckets[SPLITS.index(split)] / sum(self.buckets), 4)

    def goals(self, rows: int) -> tuple[Goal, ...]:
        """The goals for this number of rows."""
        return ()

    def schema(self) -> str:
        """schema.pbtxt."""
        return "".join(map(str, self.columns))

    def expectations(self) -> dict[str, Any]:
        """expectations.json: the columns, which of them are never missing, and the label's classes."""
        checks = [_expect("expect_table_columns_to_match_set", column_set=[c.name for c in self.columns])]
        for column in self.columns:
            if column.required:
                checks.append(_expect("expect_column_values_to_not_be_null", column=column.name))
        checks.append(_expect("expect_column_values_to_be_in_set", column=self.label, value_set=list(self.classes)))
        return {"name": "bench", "expectations": checks}

    @property
    def width(self) -> int:
        """The number of columns of the data."""
        return self.schema().count("feature {")

    @property
    def task(self) -> str:
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def metric(self) -> str:
        """By which the sides' models are compared."""
        return find(self.task).metrics[0].name


def _expect(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": "critical", "meta": {}}


def names() -> list[str]:
    """The names of all cases, which are the modules of cases/; does not import them."""
    return sorted(module.name for module in pkgutil.iter_modules([str(pathlib.Path(__file__).parent / "cases")]))


def load(name: str) -> Case:
    """A case by its name."""
    case: Case = importlib.import_module(f"benchmarks.pipeline.cases.{name}").CASE
    return case


def lay_out(name: str, root: pathlib.Path) -> None:
    """Writes workloads/bench and schemas/bench below `root`: the case as a Trainyard workload."""
    case = load(name)
    workload, schema = root / "workloads" / "bench", root / "schemas" / "bench"
    for folder in (workload, schema):
        folder.mkdir(parents=True, exist_ok=True)
    for module, function in (("features", "preprocessing_fn"), ("model", "build_model")):
        source = f"from benchmarks.pipeline import case\n\n{function} = case.load({name!r}).{function}\n"
        (workload / f"{module}.py").write_text(source)
    # JSON is YAML.
    (workload / "workload.yaml").write_text(json.dumps(_workload(case), indent=2))
    (schema / "schema.pbtxt").write_text(case.schema())
    (schema / "expectations.json").write_text(json.dumps(case.expectations(), indent=2))


def _workload(case: Case) -> dict[str, Any]:
    label: dict[str, str] = {"column": case.label}
    if len(case.classes) == 2:
        label["positive_class"] = str(case.classes[1])
    return {
        "name": "bench",
        "task": case.task,
        "description": f"A benchmark: {case.title}.",
        "data": {
            "format": case.format,
            "label": label,
            "split": {"eval_fraction": case.share(EVAL), "test_fraction": case.share(TEST)},
        },
        "training": {
            "epochs": case.epochs,
            "batch_size": case.batch_size,
            "early_stopping_patience": case.patience,
            "hyperparameters": dict(case.hyperparameters),
        },
        "evaluation": {"thresholds": [{"metric": case.metric, "min": 0.5}], "slices": [case.slice_by]},
    }


if __name__ == "__main__":
    load(sys.argv[1]).generate(int(sys.argv[2]), pathlib.Path(sys.argv[3]))
