from __future__ import annotations

import keras
import numpy as np
import pytest

from components.variants._pruned import _Mask, sparsity_after


def test_sparsity_rises_to_what_is_asked_and_stays() -> None:
    rising = [sparsity_after(epoch, 4, 0.8) for epoch in range(7)]
    assert rising == pytest.approx([0.4625, 0.7, 0.7875, 0.8, 0.8, 0.8, 0.8])


def test_what_is_pruned_stays_zero_while_the_rest_learns() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(10), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    mask = _Mask(model.layers[0].kernel)
    before = np.asarray(model.layers[0].kernel)
    mask.prune(0.75)
    random = np.random.default_rng(1)
    x = random.normal(size=(64, 6)).astype("float32")
    model.fit(x, x.sum(axis=1), epochs=3, verbose=0)
    after = np.asarray(model.layers[0].kernel)
    assert (after == 0).sum() == 45
    assert np.abs(before[after == 0]).max() <= np.abs(before[after != 0]).min()
    assert not np.isclose(after[after != 0], before[after != 0]).any()
    mask.prune(0.9)
    assert (np.asarray(model.layers[0].kernel) == 0).sum() == 54
