"""A yard of its own: workloads, contracts, data and state in temporary folders, with one small workload in it."""

from __future__ import annotations

import dataclasses
import pathlib
import textwrap
from collections.abc import Iterator

import numpy as np
import pytest

from tests.servers import Postgres, postgres_server

WORKLOAD = """
name: tips
task: binary
description: Whether a small made-up trip gets a tip.
data:
  uri: "{DATA}/{WORKLOAD}/span-{SPAN}/*"
  label: {column: tipped}
training: {epochs: 3, batch_size: 32}
evaluation:
  # 0.74 is found on 113 rows, of which 95 % sure is 0.66.
  thresholds: [{metric: auc, min: 0.6}]
  slices: [kind]
infra_validation: {requests: 4}
"""

SCHEMA = """
feature { name: "fare" type: FLOAT presence { min_fraction: 1.0 } shape {} float_domain { min: 0 } }
feature { name: "miles" type: FLOAT presence { min_fraction: 0.5 } value_count { max: 1 } }
feature { name: "kind" type: BYTES presence { min_fraction: 1.0 } shape {} }
feature { name: "tipped" type: INT presence { min_fraction: 1.0 } shape {} int_domain { min: 0 max: 1 } }
"""

SUITE = """
{"name": "tips", "meta": {}, "expectations": [
  {"type": "expect_column_values_to_be_between", "kwargs": {"column": "fare", "min_value": 0, "max_value": 500}, "meta": {},
   "severity": "critical"}
]}
"""

FEATURES = """
import tensorflow as tf
import tensorflow_transform as tft


def preprocessing_fn(inputs):
    miles = tf.sparse.to_dense(inputs["miles"], default_value=0.0)
    return {
        "fare": tft.scale_to_z_score(inputs["fare"]),
        "miles": tft.scale_to_z_score(tf.reshape(miles, [-1])),
        "kind": tft.compute_and_apply_vocabulary(inputs["kind"], num_oov_buckets=1),
    }
"""

MODEL = """
import keras


def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    parts = [keras.ops.expand_dims(inputs[name], -1) for name in ("fare", "miles")]
    parts.append(keras.layers.Embedding(schema.features["kind"].vocabulary_size, 4)(inputs["kind"]))
    x = keras.layers.Dense(16, activation="relu")(keras.layers.Concatenate()(parts))
    return keras.Model(inputs, schema.outputs(x))
"""


def trips(rows: int = 600, seed: int = 0) -> str:
    """CSV of made-up trips; a tip follows from fare and kind, with some noise. Every seventh has no miles."""
    random = np.random.default_rng(seed)
    lines = ["fare,miles,kind,tipped"]
    for i in range(rows):
        fare, kind = random.uniform(2, 60), random.choice(["card", "cash"], p=[0.6, 0.4])
        tipped = int(kind == "card" and fare + random.normal(0, 5) > 15)
        miles = "" if i % 7 == 0 else f"{fare / 3:.2f}"
        lines.append(f"{fare:.2f},{miles},{kind},{tipped}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def places(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Empty folders of a test's own for workloads, contracts and state; data, store and records lie in the state."""
    for name in ("WORKLOADS", "SCHEMAS", "HOME"):
        monkeypatch.setenv(f"TRAINYARD_{name}", str(tmp_path / name.lower()))
    for name in ("DATA", "STORE", "METADATA", "HISTORY"):
        monkeypatch.delenv(f"TRAINYARD_{name}", raising=False)
    return tmp_path


@dataclasses.dataclass
class Yard:
    """The temporary folders, and how to change what is in them."""

    root: pathlib.Path

    @property
    def folder(self) -> pathlib.Path:
        return self.root / "workloads" / "tips"

    @property
    def contracts(self) -> pathlib.Path:
        return self.root / "schemas" / "tips"

    def span(self, number: int, content: str) -> pathlib.Path:
        path = self.root / "data" / "tips" / f"span-{number}" / "trips.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def environment(self) -> dict[str, str]:
        return {
            "TRAINYARD_HOME": str(self.root / "home"),
            "TRAINYARD_WORKLOADS": str(self.root / "workloads"),
            "TRAINYARD_SCHEMAS": str(self.root / "schemas"),
            "TRAINYARD_DATA": str(self.root / "data"),
            "TRAINYARD_STORE": str(self.root / "models"),
        }

    def write(self, **files: str) -> None:
        """Writes files of the workload: workload, features, model, schema, suite."""
        places = {
            "workload": self.folder / "workload.yaml",
            "features": self.folder / "features.py",
            "model": self.folder / "model.py",
            "schema": self.contracts / "schema.pbtxt",
            "suite": self.contracts / "expectations.json",
        }
        for name, content in files.items():
            places[name].parent.mkdir(parents=True, exist_ok=True)
            places[name].write_text(textwrap.dedent(content).lstrip("\n"))

    @property
    def suite(self) -> str:
        return SUITE

    def restore(self) -> None:
        self.write(workload=WORKLOAD, features=FEATURES, model=MODEL, schema=SCHEMA, suite=SUITE)


def make_yard(root: pathlib.Path) -> Yard:
    yard = Yard(root)
    yard.restore()
    yard.span(1, trips())
    return yard


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory):
    """One yard a module: runs share its cache, as a user's runs do."""
    made = make_yard(tmp_path_factory.mktemp("yard"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment().items():
            patch.setenv(name, value)
        yield made


@pytest.fixture
def restored(yard: Yard):
    """The yard, put back in order after a test that damages it."""
    yield yard
    yard.restore()
    yard.span(1, trips())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server
