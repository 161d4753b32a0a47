"""Our Transform against TFX's own, on the same Examples: the same graph, vocabularies and values."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow_transform as tft
from tfx.components.transform import executor as stock
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.columnar import read_split
from components.transform.executor import Executor

ON_BEAM = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]
LABEL = "big_tipper"

# A few of the taxi workload's features: a mean and deviation, a vocabulary, and what needs no analysis.
FEW = """
import tensorflow as tf
import tensorflow_transform as tft

def preprocessing_fn(inputs):
    payment = tft.compute_and_apply_vocabulary(inputs["payment_type"], num_oov_buckets=1, vocab_filename="payment")
    return {
        "fare": tft.scale_to_z_score(inputs["fare"]),
        "payment": payment,
        "hour": tf.cast(inputs["trip_start_hour"], tf.float32) / 24,
    }
"""

# The label is mapped by our Transform itself; to stock Transform it is part of preprocessing_fn.
STOCK = """
from components import user_code
from components.tasks import find

FEATURES = user_code.load_function({module!r}, "preprocessing_fn")

def preprocessing_fn(inputs):
    features = FEATURES({{name: tensor for name, tensor in inputs.items() if name != {label!r}}})
    return {{**features, {label!r}: find("binary")(["0", "1"]).targets(inputs[{label!r}])}}
"""


def transform(executor: type, taxi: Any, folder: pathlib.Path, **properties: Any) -> tuple[str, str]:
    """Runs a Transform; the folders of its graph and its examples."""
    outputs = {
        "transform_graph": standard_artifacts.TransformGraph,
        "transformed_examples": standard_artifacts.Examples,
    }
    if executor is stock.Executor:
        outputs["updated_analyzer_cache"] = standard_artifacts.TransformCache
    made = {}
    for name, kind in outputs.items():
        made[name] = [kind()]
        made[name][0].uri = str(folder / name)
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(ON_BEAM) if executor is stock.Executor else [],
        tmp_dir=str(folder / "tmp"),
        unique_id="1",
    )
    executor(context).Do({"examples": [taxi.examples], "schema": [taxi.schema]}, made, properties)
    return made["transform_graph"][0].uri, made["transformed_examples"][0].uri


@pytest.mark.slow
@pytest.mark.parametrize("features", ["few", "taxi"])
def test_output_equals_stock_transform(taxi: Any, tmp_path: pathlib.Path, features: str) -> None:
    """Row for row, after sorting: only the order may differ, and a float by the last bits of a sum."""
    module = taxi.features
    if features == "few":
        module = tmp_path / "few" / "features.py"
        module.parent.mkdir()
        module.write_text(FEW)
    stock_module = tmp_path / "stock_features.py"
    stock_module.write_text(STOCK.format(module=str(module), label=LABEL))
    ours, our_rows = transform(
        Executor,
        taxi,
        tmp_path / "ours",
        module_file=str(module),
        module_digest="",
        task_options="{}",
        label=LABEL,
        task="binary",
        positive_class="1",
        personal_features="[]",
    )
    theirs, their_rows = transform(
        stock.Executor, taxi, tmp_path / "theirs", module_file=str(stock_module), disable_statistics=1,
        force_tf_compat_v1=0, custom_config="null",
    )  # fmt: skip
    mine, their = tft.TFTransformOutput(ours), tft.TFTransformOutput(theirs)
    assert mine.transformed_metadata.schema == their.transformed_metadata.schema
    assert mine.raw_metadata.schema == their.raw_metadata.schema
    vocabularies = sorted(path.name for path in pathlib.Path(their.transform_savedmodel_dir, "assets").iterdir())
    assert vocabularies
    for name in vocabularies:
        assert mine.vocabulary_by_name(name) == their.vocabulary_by_name(name)
    for split in json.loads(taxi.examples.split_names):
        expected = stock_split(their_rows, split)
        assert_same_rows(read_split(our_rows, split), expected)


def stock_split(uri: str, split: str) -> pa.Table:
    """Stock Transform writes Parquet where it reads Parquet: lists of one value."""
    tables = [pq.read_table(path) for path in sorted(pathlib.Path(uri, f"Split-{split}").glob("*.parquet"))]
    table = pa.concat_tables(tables)
    return pa.table({name: table[name].combine_chunks().flatten() for name in table.column_names})


def assert_same_rows(ours: pa.Table, theirs: pa.Table) -> None:
    assert sorted(ours.column_names) == sorted(theirs.column_names)
    names = sorted(ours.column_names)
    frames = []
    for table in (ours, theirs):
        frame = table.select(names).to_pandas()
        keys = frame.round(3)  # so that a last bit does not change the order
        frames.append(frame.loc[keys.sort_values(names, kind="stable").index].reset_index(drop=True))
    assert len(frames[0]) == len(frames[1]) > 0
    for name in names:
        assert frames[0][name].to_numpy() == pytest.approx(frames[1][name].to_numpy(), rel=1e-5, abs=1e-5), name
