"""What features.py makes batch by batch: pictures decoded, lists filled, random numbers that follow the seed."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterator

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from components.columnar import split_directory
from components.tasks import Feature, ModelSchema, find
from components.trainer import TrainingConfig
from components.trainer._checks import SplitChecks
from components.trainer._fitting import build, fit
from components.trainer._input import Split, open_split
from components.trainer.late import Late, as_stored, load
from spec.errors import InputError


@pytest.fixture(autouse=True, scope="module")
def _nothing_left_behind() -> Iterator[None]:
    """A tf.map_fn whose function raises leaves its caching device in TensorFlow's scope of variables: no strategy works after it."""
    yield
    with tf.compat.v1.get_default_graph().as_default():
        tf.compat.v1.get_variable_scope().set_caching_device(None)


STORED = {
    "picture": Feature("picture", "string"),
    "words": Feature("words", "int64", (None,), 10),
    "size": Feature("size", "float32"),
}
FEATURES = """
import tensorflow as tf


def late_fn(features, training, seed):
    pictures = tf.map_fn(
        lambda one: tf.image.resize(tf.io.decode_jpeg(one, channels=3), [8, 8]) / 255, features["picture"],
        fn_output_signature=tf.TensorSpec([8, 8, 3], tf.float32),
    )
    if training:
        pictures = tf.image.stateless_random_flip_left_right(pictures, seed)
    kinds = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([1, 2], tf.int64), tf.constant([10.0, 20.0])), -1.0
    )
    words = features["words"].to_tensor(shape=[None, 5])
    return {"picture": pictures, "words": words, "first": words[:, 0], "kind": kinds.lookup(words[:, 0])}
"""
MODEL = """
import keras


def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    x = keras.layers.Flatten()(inputs["picture"])
    words = keras.layers.Flatten()(keras.layers.Embedding(schema.features["words"].vocabulary_size, 2)(inputs["words"]))
    return keras.Model(inputs, schema.outputs(keras.layers.Concatenate()([x, words])))
"""
ROWS = 90
WORDS = [[(row + place) % 9 + 1 for place in range(row % 6)] for row in range(ROWS)]


def pictures(rows: int = ROWS) -> list[bytes]:
    """JPEGs of several sizes, each with a brightness of its own, brighter to the right."""
    made = []
    for row in range(rows):
        shade = np.linspace(row, row + 100, 10 + row % 4, dtype=np.uint8)
        made.append(tf.io.encode_jpeg(np.broadcast_to(shade[None, :, None], (12, len(shade), 3))).numpy())
    return made


@pytest.fixture
def late(tmp_path: pathlib.Path) -> Callable[..., Late]:
    """The late_fn of a features.py with these changes."""

    def made(*changes: tuple[str, str], text: str = FEATURES) -> Late:
        path = tmp_path / f"workload{len(list(tmp_path.iterdir()))}" / "features.py"
        path.parent.mkdir()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        return load(str(path), STORED)

    return made


@pytest.fixture
def uri(tmp_path: pathlib.Path) -> str:
    """Stored Examples, in row groups of 20."""
    folder = split_directory(tmp_path / "examples", "train")
    folder.mkdir(parents=True)
    rows = {
        "picture": pa.array(pictures(), pa.binary()),
        "words": pa.array(WORDS, pa.large_list(pa.int64())),
        "size": pa.array(np.arange(ROWS, dtype=np.float32)),
        "y": pa.array(np.arange(ROWS) % 2),
    }
    pq.write_table(pa.table(rows), folder / "examples-00000-of-00001.parquet", row_group_size=20)
    return str(tmp_path / "examples")


def opened(uri: str, late: Late, pool_bytes: int = 2**30) -> Split:
    return open_split(uri, "train", late, SplitChecks("train", find("binary")(("no", "yes")), "y"), pool_bytes)


def test_the_models_features_are_what_late_fn_returns(late) -> None:
    assert list(late().features.values()) == [
        Feature("first", "int64", (), 10),
        Feature("kind", "float32"),
        Feature("picture", "float32", (8, 8, 3)),
        Feature("words", "int64", (5,), 10),
    ]
    shifted = late(('features["words"].to_tensor(', '(features["words"] + 2).to_tensor('))
    assert shifted.features["words"].vocabulary_size == 12
    wider = late(("shape=[None, 5])", "default_value=40, shape=[None, 5])"))
    assert wider.features["words"].vocabulary_size == 41
    assert load(str(pathlib.Path("/nowhere/features.py")), {"size": STORED["size"]}).features == {
        "size": STORED["size"]
    }


@pytest.mark.parametrize("pool_bytes", [2**30, 2_000])
def test_every_row_is_made_whole(uri: str, late, pool_bytes: int) -> None:
    split = opened(uri, late(), pool_bytes)
    seen = 0
    for seed in (None, 1):
        for features, label in split.dataset(16, seed):
            words = features["words"].numpy()
            assert features["picture"].shape[1:] == (8, 8, 3) and features["picture"].dtype == tf.float32
            rows = np.rint(255 * features["picture"].numpy().min((1, 2, 3))).astype(int)  # its darkest edge
            for row, found, first, kind in zip(
                rows, words, features["first"].numpy(), features["kind"].numpy(), strict=True
            ):
                near = [
                    one
                    for one in range(max(0, row - 3), min(ROWS, row + 4))
                    if (WORDS[one] + [0] * 5)[:5] == found.tolist()
                ]
                assert near, f"no row near {row} has the words {found}"
                assert first == found[0] and kind == {1: 10, 2: 20}.get(first, -1)
            seen += len(label)
    assert seen == 2 * ROWS


def test_what_is_drawn_follows_the_seed_and_differs_from_epoch_to_epoch(uri: str, late) -> None:
    split = opened(uri, late())

    def flipped(seed: int | None, epoch: int) -> list[bool]:
        split.epoch = epoch
        return [
            bool(one[0, 0, 0] > one[0, -1, 0])
            for batch, _ in split.dataset(16, seed)
            for one in batch["picture"].numpy()
        ]

    first = flipped(1, 0)
    assert 20 < sum(first) < 70
    assert first == flipped(1, 0) and first != flipped(1, 1) and first != flipped(2, 0)
    assert not any(flipped(None, 0)), "what is not trained on is not augmented"


def test_two_trainings_give_the_same_model(uri: str, late, tmp_path: pathlib.Path) -> None:
    module = tmp_path / "model.py"
    module.write_text(MODEL)
    config = TrainingConfig(task="binary", label="y", epochs=2, batch_size=16)
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(config.seed)
        split = opened(uri, made := late())
        schema = ModelSchema(made.features, "binary", "y", ("no", "yes"))
        model = build(str(module), schema, config, ROWS)
        fit(model, split, split, config, tmp_path / "logs")
        weights.append(np.concatenate([one.ravel() for one in model.get_weights()]).tolist())
    assert weights[0] == weights[1]


def test_what_is_served_is_what_was_trained_on(uri: str, late) -> None:
    made = late()
    batch, _ = next(iter(opened(uri, made).dataset(ROWS)))
    transformed = {
        "picture": tf.constant(pictures()),
        "words": tf.ragged.constant(WORDS, tf.int64).to_sparse(),
        "size": tf.range(ROWS, dtype=tf.float32),
    }
    served = made.served(as_stored(transformed, STORED.values()))
    assert set(served) == set(batch)
    for name, tensor in served.items():
        np.testing.assert_allclose(tensor.numpy(), batch[name].numpy(), rtol=1e-6)
    del transformed["picture"]
    some = made.served(as_stored(transformed, STORED.values()))
    assert set(some) == {"words", "first", "kind"}
    np.testing.assert_array_equal(some["kind"], served["kind"])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (('return {"picture"', 'return [{"picture"'), None),
        (
            ("def late_fn(features, training, seed):", "def late_fn(features, training, seed):\n    return 3"),
            "must return a dictionary",
        ),
        (('"words": words,', '"words": features["words"],'), "'words' is RaggedTensor; a model takes dense"),
        (("shape=[None, 5]", ""), r"'words' has shape \(None, None\); all but the first number must be known"),
        (("/ 255", "/ 255 + features"), r"features.py, line 7, in"),
        (
            ('"words": words,', '"words": tf.cast(words, tf.int32),'),
            "'words' must be float32, int64, string. Received: int32",
        ),
        (("[None, 5])", "[None, 5], default_value=-1)"), "'words' holds ids, and is filled with -1, which is none"),
        (
            ("stateless_random_flip_left_right(pictures, seed)", "random_brightness(pictures, 0.1)"),
            "draws by RandomUniform, which",
        ),
        (
            ('"kind": kinds.lookup(words[:, 0])', '"kind": tf.py_function(len, [words], tf.int64)'),
            "Python|must be known",
        ),
    ],
)
def test_mistakes_are_said_in_a_line(late, change: tuple[str, str], line: str | None) -> None:
    if line is None:
        change, line = (
            (FEATURES[FEATURES.index("    return {") :], "    return [features]\n"),
            "must return a dictionary",
        )
    with pytest.raises(InputError, match=line) as caught:
        late(change)
    assert "\n" not in str(caught.value)


def test_a_list_needs_a_late_fn() -> None:
    with pytest.raises(InputError, match="feature 'words' is not dense"):
        Late(STORED)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("/ 255", "/ 255 * 0 / 0"), "late_fn: feature 'picture' : Tensor had NaN values. Mend the row"),
        (
            ("decode_jpeg(one", "decode_jpeg(one + 'x' if False else tf.strings.substr(one, 0, 50)"),
            "late_fn: .*JPEG.*Mend the row",
        ),
    ],
)
def test_a_row_that_cannot_be_made_is_an_error_in_a_line(uri: str, late, tmp_path, change, line: str) -> None:
    module = tmp_path / "model.py"
    module.write_text(MODEL)
    config = TrainingConfig(task="binary", label="y", epochs=1, batch_size=16)
    split = opened(uri, made := late(change))
    model = build(str(module), ModelSchema(made.features, "binary", "y", ("no", "yes")), config, ROWS)
    with pytest.raises(InputError, match=line) as caught:
        fit(model, split, split, config, tmp_path / "logs")
    assert "\n" not in str(caught.value)


def _guide() -> str:
    """The guide's example, on pictures of 4 x 4 pixels."""
    guide = (pathlib.Path(__file__).parents[3] / "docs" / "guides" / "features.md").read_text()
    (text,) = [block for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "late_label_fn" in block]
    smaller = {
        "128)": "4)",
        "[8, 8]": "[1, 1]",
        "0, 17,": "0, 3,",
        '_decoded(features["image"])': 'features["picture"]',
    }
    for large, small in smaller.items():
        assert large in text
        text = text.replace(large, small)
    return f"import tensorflow as tf\n\n\n{text}"


@pytest.fixture
def scenes(tmp_path: pathlib.Path) -> Callable[..., Split]:
    """Pictures of 4 x 4 pixels, whose mask shows where they are not 0, read by a features.py with these changes."""
    folder = split_directory(tmp_path / "scenes", "train")
    folder.mkdir(parents=True)
    masks = np.random.default_rng(0).integers(0, 2, (ROWS, 4, 4, 1)).astype(np.uint8)
    floats = pa.array(masks.reshape(ROWS, 16).astype(np.float32).tolist(), pa.large_list(pa.float32()))
    pngs = pa.array([tf.io.encode_png(one).numpy() for one in masks], pa.binary())
    pq.write_table(pa.table({"picture": floats, "mask": pngs}), folder / "examples-00000-of-00001.parquet")

    def made(*changes: tuple[str, str], label: str | None = "mask") -> Split:
        path = tmp_path / f"scenes{len(list(tmp_path.iterdir()))}" / "features.py"
        path.parent.mkdir()
        text = _guide()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        late = load(str(path), {"picture": Feature("picture", "float32", (4, 4, 1))})
        return Split(str(tmp_path / "scenes"), "train", late, label, find("segmentation")((), options={"size": [4, 4]}))

    return made


def test_a_mask_moves_as_its_picture_does_and_only_in_training(scenes) -> None:
    split = scenes()
    (stored,) = [columns["picture"][..., 0] for columns in split.pools()]
    learnt = [(features["picture"].numpy()[..., 0], masks.numpy()) for features, masks in split.dataset(16, seed=1)]
    for pictures, masks in learnt:
        np.testing.assert_array_equal(pictures, masks)
    moved = np.concatenate([pictures for pictures, _ in learnt])
    assert {one.tobytes() for one in moved} - {one.tobytes() for one in stored}, "something has moved"
    judged = [(features["picture"].numpy()[..., 0], masks.numpy()) for features, masks in split.dataset(16)]
    np.testing.assert_array_equal(np.concatenate([pictures for pictures, _ in judged]), stored)
    np.testing.assert_array_equal(np.concatenate([masks for _, masks in judged]), stored)
    served = split.late.served({"picture": tf.constant(stored[:3, ..., None])})["picture"]
    np.testing.assert_array_equal(served[..., 0], stored[:3])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            ("(features, training, seed)", "(features, training, seed, label)"),
            "Received: .*, label. A label is never given to it",
        ),
        (('features["picture"]', 'features["mask"]'), "KeyError: 'mask'"),
        (
            ("(features, training, seed):", "(features, training):\n    seed = [1, 2]"),
            "late_label_fn does .* Define `def late_fn",
        ),
        (
            ("return _cropped(label[..., tf.newaxis], seed)[..., 0]", "return tf.cast(label, tf.float32)"),
            "as int32, .* Received: float32",
        ),
        (
            ("return _cropped(label[..., tf.newaxis], seed)[..., 0]", "return label[:, 1:]"),
            r"of shape \(None, 4, 4\), .* Received: \(None, 3, 4\)",
        ),
        (
            (
                "return _cropped(label[..., tf.newaxis], seed)[..., 0]",
                "return label + tf.random.uniform([], 0, 2, tf.int32)",
            ),
            "late_label_fn draws by Random",
        ),
    ],
)
def test_what_a_mask_may_not_do_is_said_in_a_line(scenes, change: tuple[str, str], line: str) -> None:
    with pytest.raises(InputError, match=rf"features\.py.*{line}") as caught:
        scenes(change)
    assert "\n" not in str(caught.value)


def test_without_a_label_there_is_none_to_move(scenes) -> None:
    with pytest.raises(InputError, match=r"late_label_fn: task segmentation learns no label\. Leave"):
        scenes(label=None)
