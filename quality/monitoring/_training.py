"""Profiles of a release's training data, to compare later data with; made once per release, and kept."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

import storage
from components import lazy_imports
from components.columnar import ColumnReader, decode_splits, read_batches
from components.drift.profile import Profile, profile
from components.served_model import ServedModel, load_answerer
from model_store import KERAS_FILE, VARIANTS_FOLDER, ModelStore, Release
from quality.monitoring._answers import Parts, parts_of, spread
from spec import home
from spec.splits import TRAIN

_TEST_ROWS = 50_000
"""How many rows of the test split to predict for."""


@dataclasses.dataclass(frozen=True)
class Examples:
    """Where the Examples of a run lie.

    Attributes:
        uri: a folder of this machine.
    """

    uri: str
    split_names: str


# The Examples that a workload's release was trained on; those that lie elsewhere are put into the folder.
ExamplesOf = Callable[[str, Release, pathlib.Path], Examples]


@dataclasses.dataclass(frozen=True)
class Training:
    """What later data is compared with.

    Attributes:
        columns: the raw features that the model takes, over all rows that it was trained on.
        predictions: its answers to rows of the test split, by output, or by a part of one (_answers.py).
        parts: of each output that is compared.
        not_compared: output -> why nothing of it is.
    """

    columns: Profile
    predictions: Profile
    parts: Parts
    not_compared: Mapping[str, str]


def training_of(workload: str, release: Release, examples_of: ExamplesOf) -> Training:
    """The profiles of a release's training data and of its predictions on the test split.

    Made from the Examples of the run that published it, and kept in the home, so that they outlive the Examples.

    Args:
        examples_of: is asked for the Examples where no profiles are kept.

    Raises:
        InputError: `examples_of` cannot find them.
    """
    kept = home.home() / "monitoring" / workload / f"{release.version}-{release.digest[:16]}.json"
    raw = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    if "parts" in raw:  # which earlier versions did not keep
        profiles = Profile.from_json(raw["columns"]), Profile.from_json(raw["predictions"])
        return Training(*profiles, raw["parts"], raw["not_compared"])
    made = _describe(workload, release, examples_of)
    facts = {
        "columns": made.columns.to_json(),
        "predictions": made.predictions.to_json(),
        "parts": made.parts,
        "not_compared": made.not_compared,
    }
    storage.write(str(kept), json.dumps(facts).encode())
    return made


def _describe(workload: str, release: Release, examples_of: ExamplesOf) -> Training:
    lazy_imports.install()
    from components.schema import is_personal, read_schema

    name = f"release {release.version}"
    schema = read_schema(str(home.schemas_root() / workload))
    named = {feature.name for feature in schema.feature if feature.int_domain.is_categorical}
    with tempfile.TemporaryDirectory() as folder:
        examples = examples_of(workload, release, pathlib.Path(folder, "examples"))
        held_out = decode_splits(examples.split_names)[-1]  # test; or eval, for a release from the time of two splits
        saved_model = ModelStore(home.store_uri()).fetch(
            workload, release.version, folder, without=(KERAS_FILE, VARIANTS_FOLDER)
        )
        model = ServedModel.read(saved_model)
        predictions, parts, not_compared = _predictions(saved_model, model, examples.uri, held_out)
        train = ColumnReader(examples.uri, TRAIN)
        known = set(train.columns)
        columns = profile(
            f"what {name} was trained on",
            # Not dates: those in requests are always later than those in training.
            [column for column, said in model.features.items() if column in known and not said.time_format],
            train.read,
            named=named,
            personal={feature.name for feature in schema.feature if is_personal(feature)},
        )
    answered = profile(
        f"the test split of {name}", predictions.column_names, predictions.column, named=predictions.column_names
    )
    return Training(columns, answered, parts, not_compared)


def _predictions(
    saved_model: pathlib.Path, model: ServedModel, uri: str, split: str
) -> tuple[pa.Table, Parts, Mapping[str, str]]:
    """The model's answers to rows of a split in columns of one value a row; of each output its parts, or why there are none."""
    answer = load_answerer(saved_model, model)
    parts: dict[str, Sequence[str]] = {}
    not_compared: dict[str, str] = {}
    found: dict[str, list[Any]] = {}
    rows = 0
    for batch in read_batches(uri, split, list(model.features), rows=4096):
        if not batch.num_rows:
            continue
        answers = answer(model.inputs(batch))
        for output, values in answers.items() if not rows else ():
            what = parts_of(output, values, model.classes)
            if isinstance(what, str):
                not_compared[output] = what
            else:
                parts[output] = what
        for name, column in spread({output: answers[output].tolist() for output in parts}, parts).items():
            found.setdefault(name, []).extend(column)
        rows += batch.num_rows
        if rows >= _TEST_ROWS:
            break
    return pa.table(found), parts, not_compared
