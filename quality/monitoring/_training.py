"""What a release was trained on, as profiles that later data is compared with; made once a release, and kept."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from components import lazy_imports
from components.columnar import ColumnReader, decode_splits, read_batches
from components.drift.profile import Profile, profile
from components.served_model import ServedModel, load_answerer
from model_store import ModelStore, Release
from pipelines.runners.kubeflow import transfer
from spec import home
from spec.errors import InputError
from spec.splits import TRAIN

_TEST_ROWS = 50_000
"""Rows of the test split that are predicted for at most."""


@dataclasses.dataclass(frozen=True)
class Training:
    """What later data is held against.

    Attributes:
        columns: of the raw features that the model takes, over all rows that it was trained on.
        predictions: of the answers to rows of the test split, by output.
    """

    columns: Profile
    predictions: Profile


def training_of(workload: str, release: Release) -> Training:
    """The profiles of a release's training data and of its predictions on the test split.

    Made from the Examples of the run that published it, and kept in the home, so that they outlive the Examples.

    Raises:
        InputError: the run, or its Examples, are gone or out of reach.
    """
    kept = home.home() / "monitoring" / workload / f"{release.version}-{release.digest[:16]}.json"
    if kept.is_file():
        raw = json.loads(kept.read_text(encoding="utf-8"))
        return Training(Profile.from_json(raw["columns"]), Profile.from_json(raw["predictions"]))
    made = _describe(workload, release)
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps({"columns": made.columns.to_json(), "predictions": made.predictions.to_json()}))
    partial.replace(kept)
    return made


def _describe(workload: str, release: Release) -> Training:
    lazy_imports.install()
    from components.schema import is_personal, read_schema

    name = f"release {release.version}"
    examples = _examples_of(workload, release)
    held_out = decode_splits(examples.split_names)[-1]  # test; of a release from when there were two splits, eval
    schema = read_schema(str(home.schemas_root() / workload))
    named = {feature.name for feature in schema.feature if feature.int_domain.is_categorical}
    with tempfile.TemporaryDirectory() as folder:
        uri = _local(str(examples.uri), pathlib.Path(folder, "examples"))
        saved_model = ModelStore(home.store_uri()).fetch(workload, release.version, folder)
        model = ServedModel.read(saved_model)
        predictions = _predictions(saved_model, model, uri, held_out)
        train = ColumnReader(uri, TRAIN)
        known = set(train.columns)
        columns = profile(
            f"what {name} was trained on",
            # Dates go on: those asked about lie behind those trained on.
            [column for column, said in model.features.items() if column in known and not said.time_format],
            train.read,
            named=named,
            personal={feature.name for feature in schema.feature if is_personal(feature)},
        )
    answered = profile(
        f"the test split of {name}", predictions.column_names, predictions.column, named=predictions.column_names
    )
    return Training(columns, answered)


def _local(uri: str, folder: pathlib.Path) -> str:
    """Examples that a run on Kubeflow left in an object store, as files of this machine."""
    if not transfer.is_remote(uri):
        return uri
    transfer.download(uri, folder)
    return str(folder)


def _is_there(uri: str) -> bool:
    return transfer.is_whole(uri) if transfer.is_remote(uri) else pathlib.Path(uri).is_dir()


def _predictions(saved_model: pathlib.Path, model: ServedModel, uri: str, split: str) -> pa.Table:
    """What the model answers to rows of a split, one column an output that has one value a row."""
    lazy_imports.install()
    answer = load_answerer(saved_model, model)
    parts: dict[str, list[np.ndarray]] = {}
    rows = 0
    for batch in _batches(uri, split, list(model.features)):
        for output, values in answer(model.inputs(batch)).items():
            flat = values.reshape(len(values), -1)
            if flat.shape[1] == 1:
                parts.setdefault(output, []).append(flat[:, 0])
        rows += batch.num_rows
        if rows >= _TEST_ROWS:
            break
    return pa.table({output: pa.array(np.concatenate(values)) for output, values in parts.items()})


def _batches(uri: str, split: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    yield from (batch for batch in read_batches(uri, split, columns, rows=4096) if batch.num_rows)


def _examples_of(workload: str, release: Release) -> Any:
    """The Examples artifact of the run that published a release."""
    lazy_imports.install()
    from pipelines.metadata import runs as _metadata

    with _metadata.connection(_metadata.open_store(home.pipeline_root(workload))) as handle:
        store = handle.store
        run = store.get_context_by_type_and_name("pipeline_run", release.run_id)
        for execution in store.get_executions_by_context(run.id) if run else ():
            found = _metadata.outputs_of(store, execution.id).get("examples")
            if found and _is_there(str(found[0].uri)):
                return found[0]
    raise InputError(
        f"what release {release.version} of {workload} was trained on is out of reach: the Examples of run {release.run_id} "
        "are not where this machine's metadata looks for them, or were swept. Check with the run's TRAINYARD_HOME (on Kubeflow: its "
        "TRAINYARD_METADATA), or once a newer release serves."
    )
