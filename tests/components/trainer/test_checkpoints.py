from __future__ import annotations

import json
import logging
import pathlib
import shutil
import signal

import keras
import numpy as np
import pytest

from components import border
from components.tasks import find
from components.trainer import Feature, ModelSchema, TrainingConfig
from components.trainer._checkpoints import Checkpoints, at, key
from components.trainer._checks import SplitChecks
from components.trainer._fitting import build, fit
from components.trainer._input import open_split
from components.trainer._progress import Progress
from spec.errors import InputError
from tests.components.trainer.fitting import history, weights

STEPS = 17  # an epoch of the 1,030 rows in batches of 64


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_model(job, start) -> None:
    """Killed twice, each time in the middle of an epoch, with dropout, batch statistics and early stopping."""
    job.config |= {"hyperparameters": {"noise": True, "fuse": True}, "early_stopping_patience": 4, "epochs": 5}
    whole = start(job)
    job.checkpoints, job.result = f"{job.result}-checkpoints", f"{job.result}-killed"
    folder = pathlib.Path(job.checkpoints) / "key"
    assert start(job, KILL_AT_STEP=str(2 * STEPS + 8)).returncode == -signal.SIGKILL
    assert [one.name[:11] for one in folder.iterdir()] == ["epoch-00002"]
    assert start(job, KILL_AT_STEP=str(STEPS + 1)).returncode == -signal.SIGKILL
    assert [one.name[:11] for one in folder.iterdir()] == ["epoch-00003"]
    assert start(job).returncode == 0

    assert whole.returncode == 0
    plain, resumed = history(whole.args[-1]), history(job.result)
    assert resumed["history"] == plain["history"] and resumed["best_epoch"] == plain["best_epoch"]
    assert (plain["resumed_after"], resumed["resumed_after"]) == ([], [2, 3])
    assert len(resumed["epoch_seconds"]) == len(resumed["epochs"]) == 5
    for one, other in zip(weights(whole.args[-1]), weights(job.result), strict=True):
        np.testing.assert_array_equal(one, other)


class Training:
    """A small training in this process."""

    def __init__(self, uri: str, module: str, tmp_path: pathlib.Path) -> None:
        self.features = {"half": Feature("half", "float32")}
        self.schema = ModelSchema(self.features, "binary", "y", ("no", "yes"))
        self.config = TrainingConfig(task="binary", label="y", epochs=3, batch_size=512, early_stopping_patience=None)
        self.split = open_split(
            uri, "train", self.features.values(), SplitChecks("train", find("binary")(("no", "yes")), "y")
        )
        self.module, self.folder, self.logs = module, tmp_path / "checkpoints", tmp_path / "logs"

    def model(self) -> keras.Model:
        keras.utils.set_random_seed(1)
        return build(self.module, self.schema, self.config, self.split.rows)

    def fit(self, remote: str | None = None) -> tuple[keras.Model, dict]:
        model, kept = self.model(), Checkpoints(self.folder, "key", remote)
        return model, fit(model, self.split, self.split, self.config, self.logs, checkpoints=kept)

    def checkpoint(self) -> pathlib.Path:
        (folder,) = (self.folder / "key").iterdir()
        return folder


@pytest.fixture
def training(uri, module, tmp_path) -> Training:
    return Training(uri, module, tmp_path)


def test_a_training_killed_after_its_last_epoch_is_not_repeated(training) -> None:
    model, first = training.fit()
    again, second = training.fit()
    assert second["history"] == first["history"] and second["resumed_after"] == [3]
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def _flip(folder: pathlib.Path) -> None:
    path = folder / "arrays.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _edit(folder: pathlib.Path) -> None:
    path = folder / "checkpoint.json"
    path.write_text(path.read_text().replace('"best_epoch": ', '"best_epoch": 1'))


DAMAGE = {
    "bit": _flip,
    "marker edited": _edit,
    "cut": lambda folder: (folder / "arrays.npz").write_bytes((folder / "arrays.npz").read_bytes()[:500]),
    "gone": lambda folder: (folder / "arrays.npz").unlink(),
    "marker cut": lambda folder: (folder / "checkpoint.json").write_text('{"progress": {'),
    "another marker": lambda folder: (folder / "checkpoint.json").write_text("[]"),
}


def test_a_damaged_checkpoint_is_said_and_not_used(training, tmp_path, caplog) -> None:
    _, first = training.fit()
    intact = shutil.copytree(training.folder, tmp_path / "intact")
    for name, damage in DAMAGE.items():
        shutil.rmtree(training.folder)
        shutil.copytree(intact, training.folder)
        damage(training.checkpoint())
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert Checkpoints(training.folder, "key").restore(training.model()).epochs == 0, name
        assert "is damaged" in caplog.text, name
    shutil.rmtree(training.folder)
    shutil.copytree(intact, training.folder)
    _flip(training.checkpoint())
    _, second = training.fit()
    assert second["resumed_after"] == [] and second["history"] == first["history"]


def test_a_checkpoint_without_its_marker_is_none(training, caplog) -> None:
    training.fit()
    (training.checkpoint() / "checkpoint.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert Checkpoints(training.folder, "key").restore(training.model()).epochs == 0
    assert "damaged" not in caplog.text


def test_the_checkpoint_of_another_model_changes_nothing(training, tmp_path, caplog) -> None:
    training.fit()
    path = tmp_path / "wider.py"
    path.write_text(
        pathlib.Path(training.module).read_text().replace("outputs(x)", "outputs(keras.layers.Dense(3)(x))")
    )
    training.module = str(path)
    model = training.model()
    before = model.get_weights()
    with caplog.at_level(logging.WARNING):
        assert Checkpoints(training.folder, "key").restore(model).epochs == 0
    assert "of another model" in caplog.text
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_machine_goes_on_from_the_url(training, tmp_path) -> None:
    remote = f"file://{tmp_path}/bucket"
    _, first = training.fit(remote)
    assert len(list((tmp_path / "bucket" / "key").iterdir())) == 1
    shutil.rmtree(training.folder)
    _, second = training.fit(remote)
    assert second["resumed_after"] == [3] and second["history"] == first["history"]
    Checkpoints(training.folder, "key", remote).clear()
    assert not (tmp_path / "bucket" / "key").exists() and not (training.folder / "key").exists()


def test_a_copy_that_was_broken_off_is_no_checkpoint(training, tmp_path) -> None:
    """The marker comes last: what lies there without one was being written, or removed."""
    remote = f"file://{tmp_path}/bucket"
    training.fit(remote)
    shutil.rmtree(training.folder)
    half = tmp_path / "bucket" / "key" / "epoch-00009-aaaaaaaa"
    half.mkdir()
    (half / "arrays.npz").write_bytes(b"half")
    assert Checkpoints(training.folder, "key", remote).restore(training.model()).epochs == 3


def test_a_store_that_cannot_be_written_costs_no_training(training, tmp_path, caplog) -> None:
    (tmp_path / "taken").write_text("")
    with caplog.at_level(logging.WARNING):
        _, found = training.fit(f"file://{tmp_path}/taken")
    assert len(found["epochs"]) == 3
    assert "could not be copied" in caplog.text


def test_a_url_that_fsspec_does_not_know_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"TRAINYARD_CHECKPOINTS: must be a URL .* Received: 'carrier-pigeon://x'"):
        Checkpoints(tmp_path, "key", "carrier-pigeon://x")


def test_whatever_decides_the_weights_decides_the_key(write_split) -> None:
    uri = write_split({"x": np.arange(8.0), "y": np.arange(8) % 2})
    write_split({"x": np.arange(8.0), "y": np.arange(8) % 2}, "eval")
    config = TrainingConfig(task="binary", label="y")
    keys = {
        key(border.dump(config), "code", "schema", uri),
        key(border.dump(config.model_copy(update={"seed": 2})), "code", "schema", uri),
        key(border.dump(config), "other", "schema", uri),
        key(border.dump(config), "code", "other", uri),
    }
    assert key(border.dump(config), "code", "schema", uri) in keys
    write_split({"x": np.arange(8.0) + 1e-9, "y": np.arange(8) % 2}, "eval")
    assert len(keys | {key(border.dump(config), "code", "schema", uri)}) == 5


def test_executions_of_a_node_share_the_folder(tmp_path) -> None:
    """TFX makes a working folder for each execution, and a retry is another execution."""
    node = tmp_path / "Trainer" / ".system"
    first, retry = (at(str(node / "stateful_working_dir" / name), "key") for name in ("one", "two"))
    assert first._folder == retry._folder == node / "checkpoints" / "key"


def test_early_stopping_counts_over_a_restart(training) -> None:
    model, progress = training.model(), Progress()
    for loss in (0.5, 0.4, 0.6, 0.4):
        progress.add({"loss": 1.0, "val_loss": loss}, 0.1, model)
    kept = json.loads(json.dumps(progress.to_plain()))
    again = Progress(**kept, best_weights=progress.best_weights)
    assert not again.is_over(10, 3) and again.is_over(10, 2) and again.is_over(4, None)
    again.add({"loss": 1.0, "val_loss": 0.4}, 0.1, model)
    assert again.is_over(10, 3) and again.best_epoch == 1
