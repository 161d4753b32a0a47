"""The runner for one process against Beam's own: the same results, or Beam's runner itself."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from components.columnar import eager
from components.columnar.eager import EagerRunner

Build = Callable[[beam.Pipeline], beam.PCollection]


def results(build: Build, runner: Any) -> list[Any]:
    found: list[Any] = []
    _Keep.sinks["found"] = found
    with beam.Pipeline(runner) as pipeline:
        _ = build(pipeline) | "Keep" >> beam.ParDo(_Keep("found"))
    return sorted(found, key=repr)


class _Keep(beam.DoFn):
    """Both runners work in this process, so what they meet can be kept here."""

    sinks: dict[str, list[Any]] = {}

    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, element: Any) -> None:
        self.sinks[self._name].append(element)


@pytest.fixture
def never_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline handed to Beam's runner would compare Beam's runner with itself."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("was handed to Beam's runner")

    monkeypatch.setattr(eager, "FnApiRunner", refuse)


def words(pipeline: beam.Pipeline) -> beam.PCollection:
    return pipeline | beam.Create(["a", "bb", "a", "ccc", "bb", "a"])


class _Tagged(beam.DoFn):
    def process(self, word: str) -> Iterator[Any]:
        yield word.upper()
        yield beam.pvalue.TaggedOutput("length", len(word))
        yield beam.pvalue.TaggedOutput("nobody asked for", word)


class _Bundle(beam.DoFn):
    """Emits only when its bundle ends."""

    def start_bundle(self) -> None:
        self._seen: list[str] = []

    def process(self, word: str) -> None:
        self._seen.append(word)

    def finish_bundle(self) -> Iterator[Any]:
        for word in self._seen:
            yield beam.transforms.window.GlobalWindows.windowed_value(word)


def two_outputs(p: beam.Pipeline) -> beam.PCollection:
    outputs = words(p) | beam.ParDo(_Tagged()).with_outputs("length", main="word")
    lengths = outputs.length | beam.Map(lambda n: -n)
    return (outputs.word, lengths, lengths) | beam.Flatten()


def sides(p: beam.Pipeline) -> beam.PCollection:
    all_words = words(p)
    counts = all_words | beam.combiners.Count.PerElement()
    most = counts | beam.combiners.Top.Of(1, key=lambda pair: pair[1]) | "First" >> beam.Map(lambda top: top[0][0])
    nothing = all_words | "Nothing" >> beam.Filter(lambda word: False)
    return (
        p
        | "Others" >> beam.Create(["x", "y"])
        | beam.Map(
            lambda word, counts, most, all_words, default: (
                word,
                sorted(counts.items()),
                most,
                sorted(all_words),
                default,
            ),
            beam.pvalue.AsDict(counts),
            beam.pvalue.AsSingleton(most),
            all_words=beam.pvalue.AsList(all_words | "Upper" >> beam.Map(str.upper)),
            default=beam.pvalue.AsSingleton(nothing, "none"),
        )
    )


PIPELINES: dict[str, Build] = {
    "map and filter": lambda p: words(p) | beam.Filter(lambda w: w != "a") | beam.FlatMap(list),
    "group": lambda p: (
        words(p) | beam.Map(lambda w: (len(w), w)) | beam.GroupByKey() | beam.MapTuple(lambda k, vs: (k, sorted(vs)))
    ),
    "group by arrays": lambda p: (
        words(p)
        | beam.Map(lambda w: ([len(w)], w)).with_output_types(tuple[beam.typehints.Any, str])
        | beam.GroupByKey()
        | beam.MapTuple(lambda k, vs: (k, sorted(vs)))
    ),
    "keys that Python takes for equal": lambda p: (
        p
        | beam.Create([1, 1.0, True, float("nan"), float("nan"), (1, "a"), (1.0, "a"), None])
        | beam.Map(lambda key: (key, 1)).with_output_types(tuple[beam.typehints.Any, int])
        | beam.GroupByKey()
        | beam.MapTuple(lambda key, ones: (key, len(list(ones))))
        | beam.Map(repr)
    ),
    "combine per key": lambda p: words(p) | beam.Map(lambda w: (w, 1)) | beam.CombinePerKey(sum),
    "combine with arguments": lambda p: (
        words(p) | beam.Map(lambda w: (len(w), w)) | beam.combiners.Top.LargestPerKey(2)
    ),
    "combine nothing": lambda p: words(p) | beam.Filter(lambda w: False) | beam.Map(len) | beam.CombineGlobally(sum),
    "combine no collections": lambda p: () | beam.Flatten(pipeline=p) | beam.CombineGlobally(sum),
    "no collections as a side input": lambda p: (
        words(p) | beam.Map(lambda w, more: w + str(list(more)), beam.pvalue.AsIter(() | beam.Flatten(pipeline=p)))
    ),
    "combine with fanout": lambda p: words(p) | beam.Map(len) | beam.CombineGlobally(sum).with_fanout(2),
    "count": lambda p: words(p) | beam.combiners.Count.PerElement(),
    "mean": lambda p: words(p) | beam.Map(len) | beam.combiners.Mean.Globally(),
    "distinct": lambda p: words(p) | beam.Distinct(),
    "join": lambda p: (
        {"l": words(p) | beam.Map(lambda w: (w, 1)), "r": p | "R" >> beam.Create([("a", 2), ("z", 3)])}
        | beam.CoGroupByKey()
        | beam.MapTuple(lambda k, found: (k, sorted(found["l"]), sorted(found["r"])))
    ),
    "outputs": two_outputs,
    "side inputs": sides,
    "a bundle": lambda p: words(p) | beam.ParDo(_Bundle()),
    "partition": lambda p: (words(p) | beam.Partition(lambda w, n: len(w) % n, 2))[1],
    "reshuffle": lambda p: words(p) | beam.Reshuffle(),
    "itself": lambda p: (lambda found: (found, found) | beam.Flatten())(words(p)),
}


@pytest.mark.usefixtures("never_beam")
@pytest.mark.parametrize("build", PIPELINES.values(), ids=PIPELINES)
def test_results_are_those_of_beams_runner(build: Build) -> None:
    assert results(build, EagerRunner()) == results(build, FnApiRunner())


class _Counter(beam.DoFn):
    SEEN = ReadModifyWriteStateSpec("seen", beam.coders.VarIntCoder())

    def process(self, pair: tuple[str, int], seen: Any = beam.DoFn.StateParam(SEEN)) -> Iterator[tuple[str, int]]:  # noqa: B008
        count = (seen.read() or 0) + pair[1]
        seen.write(count)
        yield pair[0], count


BEYOND: dict[str, Build] = {
    "state": lambda p: words(p) | beam.Map(lambda w: (w, 1)) | beam.ParDo(_Counter()),
    "windows": lambda p: (
        words(p)
        | beam.Map(lambda w: beam.window.TimestampedValue(w, 10 * len(w)))
        | beam.WindowInto(beam.window.FixedWindows(10))
        | beam.combiners.Count.PerElement()
    ),
    "a splittable source": lambda p: p | beam.io.ReadFromText(__file__) | beam.combiners.Count.Globally(),
}


@pytest.mark.parametrize("build", BEYOND.values(), ids=BEYOND)
def test_what_it_does_not_know_runs_on_beams_runner(build: Build) -> None:
    found = results(build, EagerRunner())
    assert found and found == results(build, FnApiRunner())


class _Lifecycle(beam.DoFn):
    calls: list[str] = []

    def setup(self) -> None:
        self.calls.append("setup")

    def teardown(self) -> None:
        self.calls.append("teardown")

    def process(self, word: str) -> Iterator[str]:
        self.calls.append(word)
        yield word


def test_a_failure_ends_the_pipeline_and_lets_go_of_what_was_set_up() -> None:
    _Lifecycle.calls.clear()
    with pytest.raises(ZeroDivisionError), beam.Pipeline(EagerRunner()) as pipeline:
        _ = words(pipeline) | beam.ParDo(_Lifecycle()) | beam.Map(lambda word: 1 / (len(word) - 2))
    assert _Lifecycle.calls == ["setup", "a", "bb", "teardown"]


class _Prepared(beam.CombineFn):
    calls: list[str] = []

    def __init__(self, fails: bool) -> None:
        self._fails = fails

    def setup(self) -> None:
        self.calls.append("setup")
        if self._fails:
            raise OSError("no model here")

    def teardown(self) -> None:
        self.calls.append("teardown")

    def create_accumulator(self) -> int:
        return 0


def test_a_setup_that_fails_lets_go_of_the_others() -> None:
    _Prepared.calls.clear()
    with pytest.raises(OSError, match="no model here"), beam.Pipeline(EagerRunner()) as pipeline:
        some = words(pipeline)
        for fails in (False, True):
            _ = some | str(fails) >> beam.CombineGlobally(_Prepared(fails)).without_defaults()
    assert sorted(_Prepared.calls) == ["setup", "setup", "teardown", "teardown"]


SCHEMA = """
feature { name: "x" type: FLOAT shape {} presence { min_fraction: 1 } }
feature { name: "y" type: FLOAT value_count { min: 1 max: 1 } }
feature { name: "words" type: BYTES shape {} presence { min_fraction: 1 } }
feature { name: "place" type: INT value_count { min: 1 max: 1 } }
"""


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """An analyzer of each kind, and one upon another: what is found in the first pass scales the second."""
    z = tft.scale_to_z_score(inputs["x"])
    y, place = (tf.ensure_shape(tf.sparse.to_dense(inputs[name])[:, 0], [None]) for name in ("y", "place"))
    tokens = tf.strings.split(inputs["words"]).to_sparse()
    ids = tft.compute_and_apply_vocabulary(tokens, top_k=20, vocab_filename="words")
    _, weights = tft.tfidf(ids, 21)
    return {
        "z": z,
        "bucket": tft.bucketize(z, 5),
        "scaled": tft.scale_by_min_max(y),
        "total": z * 0 + tft.sum(inputs["x"]) + tft.max(z),
        "pca": tf.matmul(tf.stack([z, y], 1), tft.pca(tf.stack([z, y], 1), 1, tf.float32)),
        "tfidf": tf.ensure_shape(tf.sparse.reduce_sum(weights, 1), [None]),
        "place": tft.bucketize(place, 4),
        "hash": tft.hash_strings(inputs["words"], 50),
    }


def batches(rows: int, count: int) -> list[pa.RecordBatch]:
    random = np.random.default_rng(3)
    vocabulary = np.array([f"word{n}" for n in range(40)])

    def one() -> pa.RecordBatch:
        def column(values: Any, kind: pa.DataType) -> pa.Array:
            return pa.array([[v] for v in values], pa.large_list(kind))

        text = [" ".join(vocabulary[random.zipf(1.7, 6) % 40]).encode() for _ in range(rows)]
        return pa.RecordBatch.from_arrays(
            [
                column(random.normal(3, 2, rows), pa.float32()),
                column(random.uniform(0, 9, rows), pa.float32()),
                column(text, pa.large_binary()),
                column(random.integers(0, 99, rows), pa.int64()),
            ],
            names=["x", "y", "words", "place"],
        )

    return [one() for _ in range(count)]


def transformed(runner: Any, folder: pathlib.Path, data: list[pa.RecordBatch]) -> tuple[list[Any], list[str]]:
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    representations = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema)
    config = tensor_adapter.TensorAdapterConfig(data[0].schema, representations)
    found: list[Any] = []
    _Keep.sinks["transformed"] = found
    with beam.Pipeline(runner) as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
        rows = pipeline | beam.Create(data)
        transform_fn = (rows, config) | tft_beam.AnalyzeDataset(preprocessing_fn)
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
        output, _ = ((rows, config), transform_fn) | tft_beam.TransformDataset(output_record_batches=True)
        _ = output | beam.MapTuple(lambda batch, rest: batch.to_pydict()) | beam.ParDo(_Keep("transformed"))
    return sorted(found, key=repr), tft.TFTransformOutput(str(folder / "graph")).vocabulary_by_name("words")


@pytest.mark.slow
@pytest.mark.usefixtures("never_beam")
def test_transform_gives_the_same_graph_and_the_same_rows(tmp_path: pathlib.Path) -> None:
    data = batches(rows=50, count=4)
    ours, vocabulary = transformed(EagerRunner(), tmp_path / "ours", data)
    theirs, expected_vocabulary = transformed(FnApiRunner(), tmp_path / "theirs", data)
    assert vocabulary == expected_vocabulary and len(vocabulary) == 20
    assert len(ours) == len(theirs) == 4
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        for name, values in mine.items():
            # Means are merged in another order: a float32 may differ in its last digit.
            np.testing.assert_allclose(np.array(values), np.array(other[name]), rtol=2e-6, atol=2e-6, err_msg=name)


@pytest.mark.usefixtures("never_beam")
def test_statistics_are_the_same() -> None:
    data = batches(rows=200, count=3)
    build: Build = lambda p: p | beam.Create(data) | tfdv.GenerateStatistics() | beam.Map(_without_histograms)  # noqa: E731
    assert results(build, EagerRunner()) == results(build, FnApiRunner())


def _without_histograms(statistics: Any) -> str:
    """Quantile sketches depend on the order in which they are merged; TFDV promises them within a tolerance only."""
    for feature in statistics.datasets[0].features:
        feature.num_stats.ClearField("histograms")
        feature.num_stats.ClearField("median")
        for field in ("mean", "std_dev"):
            setattr(feature.num_stats, field, round(getattr(feature.num_stats, field), 9))
    return "\n".join(sorted(text_format.MessageToString(f) for f in statistics.datasets[0].features))
