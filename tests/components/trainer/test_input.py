from __future__ import annotations

import pathlib
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from components.tasks import find
from components.trainer import Feature
from components.trainer._checks import SplitChecks
from components.trainer._input import open_split
from spec.errors import InputError

ROWS = 1_030
FEATURES = [
    Feature("number", "int64"),
    Feature("half", "float32"),
    Feature("pair", "float32", (2,)),
    Feature("one", "float32", (1,)),
    Feature("text", "string"),
]
# One pool of everything, and about ten of one row group.
POOLS = [2**30, 12_000]


def columns(rows: int = ROWS) -> dict[str, np.ndarray]:
    number = np.arange(rows)
    half = (number / 2).astype(np.float32)
    return {
        "number": number,
        "half": half,
        "pair": np.stack([half, -half], axis=1),
        "one": half,
        "text": np.array([str(i).encode() for i in number], dtype=object),
        "unread": np.full(rows, np.nan),
        "y": number % 2,
    }


def checks(split: str = "train", task: str = "binary") -> SplitChecks:
    return SplitChecks(split, find(task)(("no", "yes") if task == "binary" else ()), "y")


@pytest.fixture
def uri(write_split) -> str:
    return write_split(columns())


def test_a_label_of_any_shape_and_none_at_all(write_split) -> None:
    rows = columns(90)
    uri = write_split({"half": rows["half"], "pair": rows["pair"]})
    task = find("tests.components.tasks.made_up.Keypoints")()
    vector = open_split(uri, "train", FEATURES[1:2], SplitChecks("train", task, "pair"), label_shape=(2,))
    for features, label in vector.dataset(40):
        assert label.shape == (*features["half"].shape, 2) and (label[:, 0].numpy() == features["half"].numpy()).all()
    task.late_target = lambda label: tf.reduce_sum(label, axis=1)  # type: ignore[method-assign]
    vector = open_split(uri, "train", FEATURES[1:2], SplitChecks("train", task, "pair"), label_shape=(2,))
    assert all((label.numpy() == 0).all() for _, label in vector.dataset(40))
    task.training_target = lambda features: -features["half"]  # type: ignore[method-assign]
    for features, target in open_split(uri, "train", FEATURES[1:2], SplitChecks("train", task, None)).dataset(
        40, seed=1
    ):
        assert (target.numpy() == -features["half"].numpy()).all()


def test_an_image_label_stays_bytes_until_it_is_learnt(write_split) -> None:
    pictures = np.arange(90 * 4, dtype=np.uint8).reshape(90, 2, 2, 1)
    stored = np.array([tf.io.encode_png(one).numpy() for one in pictures], dtype=object)
    uri = write_split({"half": columns(90)["half"], "mask": stored})
    task = find("tests.components.tasks.made_up.Keypoints")()
    assert (task.targets(tf.constant(stored)).numpy() == stored).all()
    task.late_target = lambda masks: tf.map_fn(  # type: ignore[method-assign]
        lambda one: tf.ensure_shape(tf.io.decode_png(one, 1), (2, 2, 1)), masks, fn_output_signature=tf.uint8
    )
    split = open_split(uri, "train", FEATURES[1:2], SplitChecks("train", task, "mask"))
    seen = 0
    for features, mask in split.dataset(40, seed=1):
        assert mask.shape[1:] == (2, 2, 1)
        rows = (features["half"].numpy() * 2).astype(int)
        np.testing.assert_array_equal(mask.numpy(), pictures[rows])
        seen += len(rows)
    assert seen == 90


def numbers(dataset) -> list[list[int]]:
    return [features["number"].numpy().tolist() for features, _ in dataset]


@pytest.mark.parametrize("pool_bytes", POOLS)
@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("batch_size", [7, 64, 2000])
def test_a_pass_has_every_row_once_and_whole(uri: str, pool_bytes: int, seed: int | None, batch_size: int) -> None:
    dataset = open_split(uri, "train", FEATURES, checks(), pool_bytes).dataset(batch_size, seed)
    batches = list(dataset)
    assert len(batches) == len(dataset) == -(-ROWS // batch_size)
    assert {len(label) for _, label in batches[:-1]} <= {batch_size}
    assert "unread" not in batches[0][0]
    rows = {name: np.concatenate([x[name].numpy() for x, _ in batches]) for name in batches[0][0]}
    number, expected = rows["number"], columns()
    assert sorted(number) == list(range(ROWS))
    assert (number.tolist() == list(range(ROWS))) == (seed is None)
    for feature in FEATURES:
        whole = expected[feature.name].reshape(ROWS, *feature.shape)
        np.testing.assert_array_equal(rows[feature.name], whole[number])
    np.testing.assert_array_equal(np.concatenate([y.numpy() for _, y in batches]), expected["y"][number])


@pytest.mark.parametrize("pool_bytes", POOLS)
def test_seed_and_epoch_decide_the_batches(uri: str, pool_bytes: int) -> None:
    def batches(seed: int, epoch: int) -> list[list[int]]:
        split = open_split(uri, "train", FEATURES, checks(), pool_bytes)
        split.epoch = epoch
        return numbers(split.dataset(64, seed))

    first = batches(1, 0)
    assert first == batches(1, 0)
    assert first != batches(2, 0)
    assert first != batches(1, 1)


def test_rows_of_a_large_split_meet_rows_from_elsewhere(write_split) -> None:
    """Three row groups a pool: neighbours in a file are no neighbours in a batch, and pools differ from pass to pass."""
    split = open_split(write_split(columns()), "train", FEATURES, checks(), 40_000)
    meetings = []
    for split.epoch in (0, 1):
        batch = numbers(split.dataset(64, 1))[0]
        groups = {number // 100 for number in batch}
        assert len(groups) > 1
        assert batch != sorted(batch)
        meetings.append(groups)
    assert meetings[0] != meetings[1]


def peak(split) -> int:
    tracemalloc.start()
    try:
        for _ in split.dataset(512, 1):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_bounded_by_the_pool_not_by_the_split(write_split) -> None:
    """64 MB in 32 row groups; what Python allocates in a pass, arrays included, stays near a pool of 4 MB and its blocks."""
    rows, width = 32_000, 500
    uri = write_split({"wide": np.ones((rows, width), np.float32), "y": np.arange(rows) % 2}, group=1_000)
    total, pool, block = rows * width * 4, 4_000_000, 8 * 2**20
    features = [Feature("wide", "float32", (width,))]
    assert peak(open_split(uri, "train", features, checks(), pool)) < pool + 3 * block < total / 2
    # What the measure says when nothing bounds it:
    whole = open_split(uri, "train", features, checks(), 2 * total)
    whole._pool = None
    assert peak(whole) > total


def test_a_small_split_is_read_once(uri: str) -> None:
    split = open_split(uri, "train", FEATURES, checks())
    for path in pathlib.Path(uri).rglob("*.parquet"):
        path.unlink()
    assert sum(len(batch) for batch in numbers(split.dataset(64, 1))) == ROWS


def test_a_row_comes_with_the_weight_of_its_class(uri: str) -> None:
    weights = np.array([0.5, 4.0], np.float32)
    split = open_split(uri, "train", FEATURES, checks())
    for _, label, weight in split.dataset(64, 1, weights=weights):
        assert (weight.numpy() == weights[label.numpy()]).all()


def test_list_columns_are_read_as_plain_ones(write_split) -> None:
    """TFDV, TFT and TFX's own readers keep every value in a list."""
    uri = write_split(columns(), lists=True)
    rows, label = next(iter(open_split(uri, "train", FEATURES, checks()).dataset(ROWS)))
    for feature in FEATURES:
        np.testing.assert_array_equal(rows[feature.name], columns()[feature.name].reshape(ROWS, *feature.shape))
    np.testing.assert_array_equal(label, columns()["y"])


@pytest.mark.parametrize("pool_bytes", POOLS)
@pytest.mark.parametrize(
    ("task", "change", "part"),
    [
        ("binary", {"y": -1}, r"label 'y', row 1000 of train: is none of the classes \['no', 'yes'\]"),
        ("regression", {"y": np.inf}, "label 'y', row 1000 of train: is not a finite number"),
        ("binary", {"half": np.nan}, "feature 'half': preprocessing_fn returns NaN or infinity in 1 values"),
        ("binary", {"pair": np.inf}, "feature 'pair': preprocessing_fn returns NaN or infinity in 2 values"),
    ],
)
def test_what_cannot_be_learnt_is_named(
    write_split, pool_bytes: int, task: str, change: dict[str, float], part: str
) -> None:
    data = columns()
    if task == "regression":
        data["y"] = data["y"].astype(np.float32)
    for name, value in change.items():
        data[name][1000] = value
    with pytest.raises(InputError, match=part):
        open_split(write_split(data), "train", FEATURES, checks(task=task), pool_bytes)


def test_labels_of_one_class_teach_nothing_but_can_be_evaluated(write_split) -> None:
    data = columns()
    data["y"][:] = 1
    with pytest.raises(InputError, match="all rows of train are 'yes'; there is nothing to learn"):
        open_split(write_split(data), "train", FEATURES, checks())
    assert open_split(write_split(data, "eval"), "eval", FEATURES, checks("eval")).rows == ROWS


def test_an_empty_split_is_named(write_split) -> None:
    with pytest.raises(InputError, match="split eval has no rows"):
        open_split(write_split(columns(0), "eval"), "eval", FEATURES, checks("eval"))


@pytest.mark.parametrize("pool_bytes", POOLS)
def test_the_labels_mean_and_deviation_are_those_of_the_whole_split(write_split, pool_bytes: int) -> None:
    data = columns()
    # Far from zero, where sums of squares in single precision would leave nothing.
    data["y"] = np.random.default_rng(0).normal(1e6, 3, ROWS).astype(np.float32)
    found = checks(task="regression")
    open_split(write_split(data), "train", FEATURES, found, pool_bytes)
    assert found.label_mean == pytest.approx(data["y"].astype(np.float64).mean(), rel=1e-12)
    assert found.label_std == pytest.approx(data["y"].astype(np.float64).std(), rel=1e-9)


# In a process of its own: the number of devices cannot change once TensorFlow has started.
_TWO_DEVICES = """
import sys
import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from components.tasks import find
from components.trainer import Feature, ModelSchema, TrainingConfig, _devices, _fitting
from components.trainer._checks import SplitChecks
from components.trainer._input import open_split

uri, module, logs = sys.argv[1:]
split = open_split(uri, "train", [Feature("half", "float32")], SplitChecks("train", find("binary")(("no", "yes")), "y"), 4_000)
config = TrainingConfig(task="binary", label="y", epochs=2, batch_size=64, distribution="mirrored")
devices = _devices.find(config)
strategy = devices.strategy
rows = []
for _, label in strategy.experimental_distribute_dataset(split.dataset(64, 1)):
    rows.append([len(part) for part in strategy.experimental_local_results(label)])
assert rows[0] == [32, 32] and sum(map(sum, rows)) == split.rows, rows
schema = ModelSchema({"half": Feature("half", "float32")}, "binary", "y", ("no", "yes"))
with devices.scope():
    model = _fitting.build(module, schema, config, split.rows)
logs, weights = __import__("pathlib").Path(logs), np.array([0.5, 2.0], np.float32)
assert _fitting.fit(model, split, split, config, logs, devices, weights=weights)["epochs"] == [1, 2]
"""


@pytest.mark.slow
def test_two_devices_share_the_batches(uri: str, module: str, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", _TWO_DEVICES, uri, module, str(tmp_path / "logs")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=pathlib.Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_relevance_below_nought_is_named() -> None:
    checks = SplitChecks("train", find("ranking")(), "y")
    checks.add({"y": np.array([1.0, 0.0])})
    with pytest.raises(InputError, match=r"row 3 of train: a relevance is 0 or more\. Received: -2"):
        checks.add({"y": np.array([3.0, -2.0])})


def test_rows_drawn_by_chance_are_in_no_order_and_of_no_seed(uri: str) -> None:
    split = open_split(uri, "train", FEATURES, checks())
    split.by_chance = True
    passes = [[row for batch in numbers(split.dataset(100, seed=1)) for row in batch] for _ in range(40)]
    sizes = [len(batch) for batch in numbers(split.dataset(100, seed=1))]
    assert len(sizes) == -(-ROWS // 100) and len(set(sizes)) > 1
    assert passes[0] != passes[1]
    often = np.bincount(np.concatenate(passes), minlength=ROWS)
    steps = 40 * len(sizes)
    chance = 100 / ROWS
    assert often.mean() == pytest.approx(steps * chance, rel=0.05)
    assert often.var() == pytest.approx(steps * chance * (1 - chance), rel=0.25), "each row on its own"
    assert numbers(split.dataset(100)) == numbers(open_split(uri, "train", FEATURES, checks()).dataset(100)), (
        "no training"
    )
