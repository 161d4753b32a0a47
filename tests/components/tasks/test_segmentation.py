"""A class for each pixel: figures by hand, masks as PNG, what the model answers."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from components.tasks import find
from components.tasks.segmentation import VOID
from spec.errors import InputError

OPTIONS = {"classes": ["ground", "a", "b"], "size": [4, 6]}


@pytest.fixture
def task():
    return find("segmentation")(options=OPTIONS)


def _png(mask: np.ndarray, mode: str = "L") -> bytes:
    out = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).convert(mode).save(out, "PNG")
    return out.getvalue()


def _masks(count: int = 40, seed: int = 0, wrong: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truths = random.integers(0, 3, (count, 4, 6)).astype(np.uint8)
    other = random.integers(0, 3, truths.shape)
    return truths, np.where(random.random(truths.shape) < wrong, other, truths).astype(np.uint8)


def test_figures_are_those_of_all_pixels_together(task) -> None:
    truths, found = _masks()
    overlaps = [((truths == one) & (found == one)).sum() / ((truths == one) | (found == one)).sum() for one in range(3)]
    sums = task.reduce(task.terms(truths, found))
    assert task.values(sums) == {
        "miou": pytest.approx(np.mean(overlaps)),
        "dice": pytest.approx(np.mean([2 * one / (1 + one) for one in overlaps])),
        "pixel_accuracy": pytest.approx((truths == found).mean()),
    }
    assert [one["value"] for one in task.charts(sums, (), 40)["by_class"]] == pytest.approx(overlaps)
    assert (
        task.confusion(sums).sum() == truths.size and task.confusion(sums)[1, 2] == ((truths == 1) & (found == 2)).sum()
    )


def test_sums_of_parts_and_of_slices_merge(task) -> None:
    truths, found = _masks()
    whole, slices = task.reduce(task.terms(truths, found)), np.arange(40) % 2
    parts = [task.reduce(task.terms(truths[slices == one], found[slices == one])) for one in range(2)]
    assert task.values(parts[0] + parts[1]) == pytest.approx(task.values(whole))
    sliced = task.reduce(task.terms(truths, found), slices, 2)
    assert task.values(sliced, 1) == pytest.approx(task.values(parts[1]))


def test_pixels_of_no_class_are_not_judged(task) -> None:
    truths, found = _masks()
    void = truths.copy()
    void[:, 0] = VOID
    assert task.values(task.reduce(task.terms(void, found))) == pytest.approx(
        task.values(task.reduce(task.terms(truths[:, 1:], found[:, 1:])))
    )


def test_a_class_that_does_not_occur_is_left_out(task) -> None:
    truths = np.zeros((5, 4, 6), np.uint8)
    assert task.values(task.reduce(task.terms(truths, truths)))["miou"] == 1
    assert task.values(task.reduce(task.terms(np.full_like(truths, VOID), truths)))["miou"] is None


def test_bounds_hold_the_figure_and_go_by_pictures(task) -> None:
    truths, found = _masks(400)
    few, many = (task.reduce(task.terms(truths[:count], found[:count])) for count in (20, 400))
    for metric in task.metric_names():
        wide, narrow = task.bounds(metric, few, 0.95), task.bounds(metric, many, 0.95)
        assert wide.low < task.value(metric, few) < wide.high and narrow.high - narrow.low < wide.high - wide.low
    # As many wrong pixels, but all of them in the same pictures.
    together = np.where(np.arange(400)[:, None, None] % 3 == 0, (truths + 1) % 3, truths)
    apart = np.where(np.random.default_rng(1).random(truths.shape) < 1 / 3, (truths + 1) % 3, truths)
    widths = [
        (sure := task.bounds("pixel_accuracy", task.reduce(task.terms(truths, one)), 0.95)).high - sure.low
        for one in (together, apart)
    ]
    assert widths[0] > 2 * widths[1]
    right = task.reduce(task.terms(truths[:20], truths[:20]))
    assert task.bounds("miou", right, 0.95).low < 0.9, "twenty pictures without a mistake prove little"


def test_the_best_of_one_class_for_all_pixels(task) -> None:
    truths, _ = _masks()
    truths[:, :2] = 0
    trivial = task.trivial(task.reduce(task.terms(truths, truths)), truths)
    always = [task.values(task.reduce(task.terms(truths, np.full_like(truths, one)))) for one in range(3)]
    assert trivial == pytest.approx({name: max(one[name] for one in always) for name in trivial})


def test_masks_are_brought_to_the_size_that_is_learnt(task) -> None:
    mask = np.arange(6)[np.newaxis].repeat(4, axis=0) // 2
    large = mask.repeat(3, axis=0).repeat(3, axis=1)
    column = pa.array([_png(mask), _png(large), _png(np.where(mask == 2, VOID, mask))], pa.binary())
    found = task.read_labels(column, "mask")
    assert found.dtype == np.uint8 and (found[:2] == mask).all() and (found[2][:, 4:] == VOID).all()
    np.testing.assert_array_equal(task.late_target(column.to_numpy(zero_copy_only=False)).numpy(), found)


@pytest.mark.parametrize(
    ("png", "part"),
    [
        (_png(np.full((4, 6), 3)), r"row 1 of a batch has numbers of classes, 0 to 2, or 255 for none.* Received: 3"),
        (_png(np.zeros((4, 6)), "RGB"), "one channel .* Received: mode RGB"),
        (b"no picture", "does not decode"),
        (None, "is missing"),
    ],
)
def test_a_mask_that_is_none_is_refused(task, png: bytes | None, part: str) -> None:
    with pytest.raises(InputError, match=part):
        task.read_labels(pa.array([_png(np.zeros((4, 6))), png], pa.binary()), "mask")


def test_a_mask_that_is_none_cannot_be_learnt(task) -> None:
    import tensorflow as tf

    for mask, mode, part in ((np.full((4, 6), 3), "L", "numbers of classes"), (np.zeros((4, 6)), "RGB", "one channel")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=part):
            task.late_target(tf.constant([_png(mask, mode)]))


def test_the_answer_is_a_mask_as_the_labels_are(task) -> None:
    import tensorflow as tf

    truths, _ = _masks(3)
    answers = {name: value.numpy() for name, value in task.answers(tf.one_hot(truths, 3), {}, None).items()}
    np.testing.assert_array_equal(task.judged(answers), truths)
    np.testing.assert_array_equal(task.read_labels(pa.array(answers["mask_bytes"], pa.binary()), "mask"), truths)
    assert answers["shares"].shape == (3, 3) and answers["shares"].sum(axis=1) == pytest.approx([1, 1, 1])
    assert task.objection_to_answers(answers) == ""
    assert "one is off by" in task.objection_to_answers({**answers, "shares": answers["shares"][::-1]})


@pytest.mark.parametrize(("turned", "is_borne"), [(0, True), (1, True), (9, True), (11, False)])
def test_a_borderline_pixel_may_be_of_another_class(turned: int, is_borne: bool) -> None:
    task = find("segmentation")(options={"classes": ["ground", "one", "two"], "size": [100, 100]})

    def answers(mask: np.ndarray) -> dict[str, np.ndarray]:
        shares = np.bincount(mask.ravel(), minlength=3) / mask.size
        return {"shares": shares[None].astype(np.float32), "mask_bytes": np.array([_png(mask)], object)}

    expected, other = answers(np.zeros((100, 100), np.uint8)), np.zeros((100, 100), np.uint8)
    other.flat[:turned] = 2
    found = answers(other)
    assert task.settled(found, expected) is (expected if is_borne else found)
    lost = {"shares": found["shares"]}
    assert task.settled(lost, expected) is lost
    broken = {**found, "mask_bytes": np.array([b"no picture"], object)}
    assert task.settled(broken, expected) is broken


def test_a_head_of_another_size_is_refused(task) -> None:
    import keras

    from components.tasks import ModelSchema

    schema = ModelSchema({}, "segmentation", "mask", task_options=OPTIONS)
    assert schema.outputs(keras.Input((4, 6, 8))).shape == (None, 4, 6, 3)
    with pytest.raises(InputError, match=r"\[N, 4, 6, d\], by task_options\.size\. Received: \[None, 8, 8, 2\]"):
        schema.outputs(keras.Input((8, 8, 2)))
