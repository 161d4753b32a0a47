from __future__ import annotations

import dataclasses
import json
import logging
import types

import keras
import numpy as np
import pytest

from components.trainer import TrainingConfig
from components.trainer._devices import Devices, find, least_batch
from components.trainer._input import last_batches
from spec.errors import InputError
from tests.components.trainer.fitting import history, main, weights


@pytest.mark.parametrize("batch_size", [147, pytest.param(64, marks=pytest.mark.slow)])
def test_two_devices_learn_what_one_learns(job, start, batch_size: int) -> None:
    """Embeddings and texts are among the features.

    64 rows and the 6 of the last batch are even halves. 147 are not, so that rows weigh a little differently; and of the last
    batch, which has one row, a replica would get nothing: it takes one of the batch before, and Adam's step is another.
    """
    job.config |= {"batch_size": batch_size}
    main(job)
    alone, job.result = job.result, f"{job.result}-2"
    job.config |= {"distribution": "mirrored"}
    job.cpus = 2
    mirrored = start(job)
    assert mirrored.returncode == 0, mirrored.stderr[-2000:]
    one, two = history(alone), history(job.result)
    assert two["distribution"] == "mirrored" and two["devices"] == ["CPU:0", "CPU:1"] and two["replicas"] == 2
    assert one["distribution"] == "none" and one["devices"] == ["CPU:0"]
    if batch_size == 147:
        np.testing.assert_allclose(two["history"]["val_loss"], one["history"]["val_loss"], rtol=2e-2)
        return
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=1e-4, err_msg=name)
    for a, b in zip(weights(alone), weights(job.result), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("rows", range(1, 400))
def test_every_replica_gets_rows_of_every_batch(rows: int) -> None:
    for replicas in (2, 3, 4, 8):
        for batch_size in {least_batch(replicas), least_batch(replicas) + 3, 100}:
            if rows < least_batch(replicas) or batch_size < least_batch(replicas):
                continue  # refused
            last = last_batches(rows, batch_size, replicas)
            assert (rows - sum(last)) % batch_size == 0
            assert -(-rows // batch_size) == (rows - sum(last)) // batch_size + len(last)
            for batch in [*last, batch_size]:
                share = -(-batch // replicas)  # TensorFlow's way to split
                assert share * (replicas - 1) < batch, (rows, batch_size, replicas, last)


@pytest.mark.parametrize(
    ("batch_size", "rows", "part"),
    [(63, 1000, "training.batch_size: 8 devices share .* Received: 63"), (256, 50, "split train: .* Received: 50")],
)
def test_devices_that_cannot_share_a_batch(batch_size: int, rows: int, part: str, caplog) -> None:
    eight = Devices(
        "mirrored",
        tuple(f"GPU:{i}" for i in range(8)),
        strategy=types.SimpleNamespace(num_replicas_in_sync=8),
        chosen=True,
    )
    with pytest.raises(InputError, match=part):
        eight.that_share(batch_size, train=rows)
    assert eight.that_share(64, train=1000) is eight
    with caplog.at_level(logging.WARNING):
        alone = dataclasses.replace(eight, chosen=False).that_share(batch_size, train=rows)
    assert (alone.distribution, alone.names, alone.replicas) == ("none", ("GPU:0",), 1)
    assert "Training on GPU:0 alone" in caplog.text


@pytest.mark.parametrize(
    "given",
    [
        "",
        "no json",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
    ],
)
def test_several_workers_need_a_cluster(given: str, monkeypatch) -> None:
    monkeypatch.setenv("TF_CONFIG", given)
    with pytest.raises(InputError, match=r"multi_worker needs TF_CONFIG.*Received: "):
        find(TrainingConfig(task="binary", label="y", distribution="multi_worker"))


def test_one_worker_is_not_several(monkeypatch) -> None:
    alone = {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(alone))
    with pytest.raises(InputError, match=r"needs two workers\. Received: 1"):
        find(TrainingConfig(task="binary", label="y", distribution="multi_worker"))


def test_half_precision_is_for_the_layers_and_for_training_only(job) -> None:
    job.config |= {"mixed_precision": True, "jit_compile": False}
    main(job)
    found = history(job.result)
    assert found["precision"] == "mixed_bfloat16" and found["jit_compile"] is False
    assert {one.dtype for one in weights(job.result)} == {np.dtype(np.float32)}
    assert len(found["rows_per_second"]) == len(found["epoch_seconds"]) == len(found["epochs"])


def test_the_policy_is_given_back() -> None:
    before = keras.config.dtype_policy().name
    with Devices("none", ("CPU:0",), "mixed_bfloat16").scope():
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize(
    ("layers", "said"),
    [({"text": True}, "feature 'text' is text"), ({"text": False, "fuse": True}, "No registered")],
    ids=str,
)
def test_what_xla_cannot_compile_is_one_line(job, layers, said: str) -> None:
    """Text, and a layer that calls Python."""
    job.config |= {"jit_compile": True, "hyperparameters": layers}
    with pytest.raises(
        InputError, match=rf"^training\.jit_compile: XLA cannot compile this model.*{said}.*$"
    ) as caught:
        main(job)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_xla_compiles_what_it_can(job) -> None:
    job.config |= {"jit_compile": True, "hyperparameters": {"text": False}}
    main(job)
    assert history(job.result)["jit_compile"] is True
