"""Real SavedModels over real files: what is written, and that rows in = rows predicted + rows failed."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tfx.dsl.components.base import base_beam_executor

from components.batch_inference import executor
from components.batch_inference import predicting as predicting_module
from components.batch_inference.executor import Executor
from components.ingestion import parts, sources
from components.served_model import RawFeature, ServedModel, load_answerer
from spec.errors import InputError
from spec.workload import BatchInput, Read

RELEASE = {"model": "trips", "version": 7, "digest": "abc"}


def predict(
    model: pathlib.Path, files: list[pathlib.Path], target: pathlib.Path, format: str = "parquet", keys=(), beam_args=()
) -> tuple[dict[str, Any], pa.Table, pa.Table]:
    config = BatchInput(uri=str(files[0]), format=format, keys=tuple(keys))
    urls = [f"file://{path}" for path in files]
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam_args), tmp_dir=str(target.parent / "tmp"), unique_id="1"
    )
    index = Executor(context).predict(model / "Format-Serving", RELEASE, config, urls, target)
    assert json.loads((target / "index.json").read_text()) == index
    predicted = pa.concat_tables([pq.read_table(target / name) for name in index["predictions"]])
    failed = pq.read_table(target / "failed.parquet")
    assert (predicted.num_rows, failed.num_rows) == (index["predicted"], index["failed"])
    assert index["rows"] == index["predicted"] + index["failed"]
    return index, predicted, failed


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "ranking"])
def test_predictions_are_the_models(task: str, model_folder, make_rows, tmp_path) -> None:
    table = make_rows(500, task)
    pq.write_table(table, tmp_path / "a.parquet")
    folder = model_folder(task)
    index, predicted, _ = predict(folder, [tmp_path / "a.parquet"], tmp_path / "out")
    served = ServedModel.read(folder / "Format-Serving")
    (rows,) = table.drop_columns(["target"]).combine_chunks().to_batches()
    expected = load_answerer(folder / "Format-Serving", served)(served.inputs(rows))[served.output]
    found = np.array(predicted.column(served.output).to_pylist(), dtype=np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    columns = {
        "binary": ["probability", "label"],
        "multiclass": ["probabilities", "label"],
        "regression": ["prediction"],
        "ranking": ["prediction"],
    }[task]
    assert predicted.column_names == ["file", "row", *columns, "model_version"]
    assert predicted.column("row").to_pylist() == list(range(1, 501))
    assert set(predicted.column("model_version").to_pylist()) == {7}
    assert index["columns_not_used"] == (["search", "target"] if task == "ranking" else ["target"])
    if served.classes:
        best = [served.classes[i] for i in (found.argmax(1) if task == "multiclass" else (found > 0.5).astype(int))]
        assert predicted.column("label").to_pylist() == best


def test_rows_that_do_not_fit_are_kept_with_the_reason(model_folder, tmp_path) -> None:
    rows = [
        {"id": "007", "fare": 1.0, "hour": 3, "company": "cash", "pixels": [0.1, 0.2]},
        {"id": "008", "fare": None, "hour": 3, "company": None, "pixels": [0.1, 0.2]},  # both may be missing
        {"id": "009", "fare": 1.0, "hour": None, "company": "cash", "pixels": [0.1, 0.2]},
        {"id": "010", "fare": 1.0, "hour": 3, "company": "cash", "pixels": [0.1]},
        {"id": "011", "fare": 1.0, "hour": 3, "company": "cash", "pixels": [0.1, None]},
        {"id": "012", "fare": 1.0, "hour": 3, "company": "cash", "pixels": None},
        {"id": "013", "fare": "dear", "hour": 3, "company": "cash", "pixels": [0.1, 0.2]},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n")
    index, predicted, failed = predict(model_folder(), [path], tmp_path / "out", "jsonl", ["id"])
    assert predicted.column_names == ["id", "probability", "label", "model_version"]
    assert predicted.column("id").to_pylist() == ["007", "008"]
    assert sorted(
        zip(failed["row"].to_pylist(), failed["column"].to_pylist(), strict=True), key=lambda one: one[0]
    ) == [
        (3, "hour"),
        (4, "pixels"),
        (5, "pixels"),
        (6, "pixels"),
        (7, "fare"),
        (8, None),
    ]
    assert index["source_files"] == [{"file": str(path), "rows": 8, "predicted": 2, "failed": 6}]


def test_a_row_that_stops_the_model_is_found_and_the_others_are_answered(
    model_folder, make_rows, tmp_path, monkeypatch
) -> None:
    load = predicting_module.load_answerer

    def touchy(saved_model: pathlib.Path, model: ServedModel) -> Any:
        import tensorflow as tf

        answer = load(saved_model, model)

        def checked(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            if (inputs["hour"] == 99).any():
                raise tf.errors.InvalidArgumentError(None, None, "hour must be below 24")
            return answer(inputs)

        return checked

    monkeypatch.setattr(predicting_module, "load_answerer", touchy)
    table = make_rows(300)
    hours = np.array(table["hour"]).copy()
    hours[[17, 250]] = 99
    pq.write_table(table.set_column(1, "hour", pa.array(hours)), tmp_path / "a.parquet")
    _, predicted, failed = predict(model_folder(), [tmp_path / "a.parquet"], tmp_path / "out")
    assert failed["row"].to_pylist() == [18, 251] and "below 24" in failed["reason"][0].as_py()
    assert predicted.num_rows == 298


def test_no_row_predicted_is_refused_with_the_first_reason(model_folder, make_rows, tmp_path) -> None:
    pq.write_table(make_rows(20), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"none of 20 rows.*row 1: the model's answer is not a number"):
        predict(model_folder(damage="nan"), [tmp_path / "a.parquet"], tmp_path / "out")


def test_several_files_keep_their_names_and_keys_their_type(model_folder, make_rows, tmp_path) -> None:
    table = make_rows(40).append_column("trip", pa.array(range(40)))
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in files:
        pq.write_table(table, path)
    index, predicted, _ = predict(model_folder(), files, tmp_path / "one", keys=["trip", "hour"])
    assert predicted.schema.field("trip").type == pa.int64()
    assert predicted["hour"].to_pylist() == table["hour"].to_pylist() * 2
    assert [one["rows"] for one in index["source_files"]] == [40, 40]
    _, predicted, _ = predict(model_folder(), files, tmp_path / "two")
    assert predicted["file"].unique().to_pylist() == [str(path) for path in files]


def test_images_at_any_depth(tmp_path) -> None:
    import tensorflow as tf

    folder = tmp_path / "images"
    for number in range(6):
        path = folder / ("a" if number % 2 else "b/c") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_png(np.full((4, 4, 1), 40 * number, np.uint8)).numpy())
    (folder / "a" / "empty.png").write_bytes(b"")
    (folder / "a" / "cut.png").write_bytes((folder / "a" / "5.png").read_bytes()[:-20])

    def brightness(image):
        return tf.reduce_mean(tf.cast(tf.io.decode_png(image, channels=1), tf.float32))

    saved_model = tmp_path / "model" / "Format-Serving"
    signature = tf.function(
        lambda image: {"prediction": tf.map_fn(brightness, image, fn_output_signature=tf.float32)}
    ).get_concrete_function(image=tf.TensorSpec([None], tf.string, name="image"))
    tf.saved_model.save(tf.Module(), str(saved_model), signatures={"serving_default": signature})
    (saved_model / "assets.extra").mkdir(exist_ok=True)
    described = {
        "task": "regression",
        "label": "y",
        "classes": [],
        "features": {"image": {"dtype": "string", "shape": [], "nullable": False}},
    }
    (saved_model / "assets.extra" / "trainyard.json").write_text(json.dumps(described))
    files = [pathlib.Path(url.removeprefix("file://")) for url in sources.files_at(str(folder), images=True).files]
    assert len(files) == 8
    index, predicted, failed = predict(saved_model.parent, files, tmp_path / "out", "images")
    by_name = dict(zip(predicted["file"].to_pylist(), predicted["prediction"].to_pylist(), strict=True))
    assert {pathlib.Path(name).stem: value for name, value in by_name.items()} == {str(n): 40.0 * n for n in range(6)}
    assert sorted(pathlib.Path(name).name for name in failed["file"].to_pylist()) == ["cut.png", "empty.png"]
    assert index["source_files"][0]["rows"] == 8


@pytest.mark.parametrize(("keys", "part"), [(["nosuch"], "no column 'nosuch'"), (["label"], "output column")])
def test_keys_that_cannot_be(keys: list[str], part: str, model_folder, make_rows, tmp_path) -> None:
    pq.write_table(make_rows(5), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=part):
        predict(model_folder(), [tmp_path / "a.parquet"], tmp_path / "out", keys=keys)


def test_a_column_that_the_model_takes_is_missing(model_folder, make_rows, tmp_path) -> None:
    pq.write_table(make_rows(5).drop_columns(["company"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="'company' is missing"):
        predict(model_folder(), [tmp_path / "a.parquet"], tmp_path / "out")


IN_MEMORY = ("--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1")
MULTI_PROCESSING = ("--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.mark.parametrize("beam_args", [IN_MEMORY, pytest.param(MULTI_PROCESSING, marks=pytest.mark.slow)])
def test_the_same_predictions_on_beam(beam_args, model_folder, make_rows, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "UNIT_BYTES", 2000)
    table = make_rows(400)
    hours = pa.array([None if i in (5, 305) else int(h) for i, h in enumerate(np.array(table["hour"]))], pa.int64())
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in files:
        pq.write_table(table.set_column(1, "hour", hours), path, row_group_size=100)
    here = predict(model_folder(), files, tmp_path / "here")
    there = predict(model_folder(), files, tmp_path / "there", beam_args=beam_args)
    assert here == there and len(here[0]["predictions"]) == 8
    assert here[1]["row"].to_pylist() == [row for row in range(1, 401) if row not in (6, 306)] * 2
    assert here[2]["row"].to_pylist() == [6, 306] * 2
    assert sorted(path.name for path in (tmp_path / "there").iterdir() if path.suffix != ".parquet") == ["index.json"]
    broken = tmp_path / "c.parquet"
    pq.write_table(table.drop_columns(["company"]), broken)
    with pytest.raises(InputError, match=r"c\.parquet: column 'company' is missing"):
        predict(model_folder(), [*files, broken], tmp_path / "refused", beam_args=beam_args)
    assert not list((tmp_path / "refused").iterdir())


def test_a_word_is_missing_if_it_was_in_training_and_a_key_is_carried_as_it_stands() -> None:
    model = ServedModel("binary", "y", ("0", "1"), {"city": RawFeature("string", (), True, na_values=("?",))})
    reading = executor._as_trained(Read(separator=";", na_values=("NA",)), model)
    assert (reading.separator, reading.missing("city"), reading.missing("id")) == (";", ("?",), ())
