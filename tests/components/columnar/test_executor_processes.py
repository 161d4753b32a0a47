"""StatisticsGen, Transform and the sink over worker processes: no row is lost, and a killed worker leaves nothing behind."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import signal
import time

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.columnar import SplitWriter, count_rows, encode_splits, read_split
from components.columnar._workers import WorkerLost
from components.columnar.beam import ReadExamples
from components.columnar.executor import ColumnarBeamExecutor
from components.columnar.sink import WriteExamples
from components.statistics.executor import Executor as Statistics
from components.transform.executor import Executor as Transform

pytestmark = pytest.mark.slow

TWO_PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
ROWS = {"train": 300_000, "eval": 100_000}
SCHEMA = """
feature { name: "fare" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { } }
feature { name: "company" type: BYTES presence { min_fraction: 1 min_count: 1 } shape { } }
feature { name: "tipped" type: INT presence { min_fraction: 1 min_count: 1 } shape { } int_domain { min: 0 max: 1 } }
"""
HELPER = "import tensorflow_transform as tft\n\ndef scaled(x):\n    return tft.scale_to_0_1(x)\n"
FEATURES = """
import tensorflow_transform as tft
from fare_helpers import scaled

def preprocessing_fn(inputs):
    return {"fare": scaled(inputs["fare"]), "company": tft.compute_and_apply_vocabulary(inputs["company"])}
"""


class Copy(ColumnarBeamExecutor):
    def Do(self, input_dict, output_dict, exec_properties) -> None: ...


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Examples, a schema and a workload's code; a helper module lies beside it."""
    folder = tmp_path_factory.mktemp("source")
    random = np.random.default_rng(1)
    for split, rows in ROWS.items():
        table = pa.table(
            {
                "fare": pa.array(random.permutation(rows).astype(np.float32)),
                "company": pa.array([f"company {number}" for number in random.integers(0, 50, rows)]),
                "tipped": pa.array(random.integers(0, 2, rows)),
            }
        )
        with SplitWriter(folder / "examples", split, table.schema) as writer:
            for batch in table.to_batches(max_chunksize=20_000):
                writer.write(batch)
    (folder / "schema.pbtxt").write_text(SCHEMA)
    (folder / "fare_helpers.py").write_text(HELPER)
    (folder / "features.py").write_text(FEATURES)
    return folder


def context(tmp_path: pathlib.Path) -> base_beam_executor.BaseBeamExecutor.Context:
    return base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(TWO_PROCESSES), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )


def artifact(kind: type, uri: pathlib.Path):
    made = kind()
    made.uri = str(uri)
    if kind is standard_artifacts.Examples:
        made.split_names = encode_splits(list(ROWS))
    return made


def run_statistics(source: pathlib.Path, tmp_path: pathlib.Path, out: pathlib.Path) -> None:
    inputs = {
        "examples": [artifact(standard_artifacts.Examples, source / "examples")],
        "schema": [artifact(standard_artifacts.Schema, source)],
    }
    outputs = {"statistics": [artifact(standard_artifacts.ExampleStatistics, out)]}
    Statistics(context(tmp_path)).Do(inputs, outputs, {})


def run_transform(source: pathlib.Path, tmp_path: pathlib.Path, out: pathlib.Path) -> None:
    inputs = {
        "examples": [artifact(standard_artifacts.Examples, source / "examples")],
        "schema": [artifact(standard_artifacts.Schema, source)],
    }
    outputs = {
        "transform_graph": [artifact(standard_artifacts.TransformGraph, tmp_path / f"graph-{out.name}")],
        "transformed_examples": [artifact(standard_artifacts.Examples, out)],
    }
    properties = {"module_file": str(source / "features.py"), "label": "tipped", "task": "binary", "positive_class": ""}
    Transform(context(tmp_path)).Do(inputs, outputs, properties)


def workers() -> list[int]:
    """The worker processes that this process has now."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"_worker_main" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return sorted(found)


def kill_one(cpu_seconds: float) -> int:
    """Kills a worker process once it has worked so long."""
    ticks = os.sysconf("SC_CLK_TCK")
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for worker in workers():
            fields = pathlib.Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
            if (int(fields[11]) + int(fields[12])) / ticks >= cpu_seconds:
                os.kill(worker, signal.SIGKILL)
                return worker
        time.sleep(0.05)
    raise AssertionError("no worker worked so long")


def killing_one(cpu_seconds: float, work, *arguments) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_one, cpu_seconds)
        with pytest.raises(WorkerLost, match="SIGKILL"):
            work(*arguments)
        killed.result()
    assert not workers()


def test_statistics_after_a_killed_worker_count_every_row(source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    killing_one(2.0, run_statistics, source, tmp_path, tmp_path / "first")
    assert not list((tmp_path / "first").rglob("*.pb"))
    run_statistics(source, tmp_path, tmp_path / "second")
    for split, rows in ROWS.items():
        (data,) = tfdv.load_stats_binary(str(tmp_path / "second" / f"Split-{split}" / "FeatureStats.pb")).datasets
        assert data.num_examples == rows
        fare = next(feature for feature in data.features if list(feature.path.step) == ["fare"])
        assert (fare.num_stats.min, fare.num_stats.max) == (0, rows - 1)
        assert fare.num_stats.mean == pytest.approx((rows - 1) / 2)


def test_transform_after_a_killed_worker_writes_every_row(source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    killing_one(5.0, run_transform, source, tmp_path, tmp_path / "first")
    assert not list((tmp_path / "first").rglob("*.parquet"))
    run_transform(source, tmp_path, tmp_path / "second")
    for split, rows in ROWS.items():
        fares = read_split(tmp_path / "second", split, ["fare"])["fare"].to_numpy().astype(np.float64)
        # Each fare is there once: the train split's lie evenly between 0 and 1.
        assert np.allclose(np.sort(fares) * (ROWS["train"] - 1), np.arange(rows), atol=0.1)


def test_a_split_that_two_processes_write_is_whole_and_in_the_same_order_again(
    source: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    orders = []
    for name in ("first", "second"):
        with Copy(context(tmp_path))._pipeline() as pipeline:
            _ = (
                pipeline
                | ReadExamples(str(source / "examples"), "train")
                | WriteExamples(str(tmp_path / name), "train")
            )
        assert count_rows(tmp_path / name, "train") == ROWS["train"]
        assert len(list((tmp_path / name).rglob("*.parquet"))) == 2 and not list((tmp_path / name).rglob(".*"))
        orders.append(read_split(tmp_path / name, "train", ["fare"]))
    assert orders[0].equals(orders[1])
