"""A graph that reads, writes or sends what its process can is not loaded, wherever it hides; what our own exports need is."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Callable

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session

import answering
from spec.errors import InputError

Tensor = tf.Tensor
Text = tf.TensorSpec([], tf.string)


def save(folder: pathlib.Path, answer: Callable[[Tensor], Tensor], module: tf.Module | None = None) -> pathlib.Path:
    """A SavedModel whose only signature is a function of one text."""
    module = module or tf.Module()
    module.weight = tf.Variable(2.0)
    call = tf.function(lambda text: {"answer": answer(text)}).get_concrete_function(text=Text)
    tf.saved_model.save(module, str(folder), {"serving_default": call})
    return folder


def edit(folder: pathlib.Path, change: Callable[[saved_model_pb2.SavedModel], object]) -> None:
    path = folder / "saved_model.pb"
    stored = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(stored)
    path.write_bytes(stored.SerializeToString())


def refusal(folder: pathlib.Path) -> str:
    with pytest.raises(InputError) as caught:
        answering.SavedModel(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (tf.io.read_file, r"operation ReadFile \(node 'ReadFile' of function '__inference_.*'\) reads files"),
        (lambda text: tf.io.matching_files(text)[0], "operation MatchingFiles .* reads files"),
        (lambda text: tf.numpy_function(lambda one: one, [text], tf.string), "operation PyFunc .* runs Python"),
        (lambda text: tf.py_function(lambda one: one, [text], tf.string), "operation EagerPyFunc .* runs Python"),
        (lambda text: _after(tf.io.write_file("/tmp/out", text), text), "operation WriteFile .* writes files"),
        (lambda text: _after(tf.print(text, output_stream="file:///tmp/out"), text), "PrintV2 .* writes files"),
        (lambda text: next(iter(tf.data.TextLineDataset(text))), "operation TextLineDataset .* reads files"),
        (lambda text: _restored(text), "operation RestoreV2 .* reads files"),
    ],
)
def test_an_operation_that_touches_more_than_tensors_is_refused(
    answer: Callable[[Tensor], Tensor], said: str, tmp_path: pathlib.Path
) -> None:
    folder = save(tmp_path / "model", answer)
    assert re.search(said, refusal(folder)), refusal(folder)


def _after(operation: tf.Operation | None, tensor: Tensor) -> Tensor:
    with tf.control_dependencies([operation] if operation is not None else []):
        return tf.identity(tensor)


def _restored(text: Tensor) -> Tensor:
    return tf.raw_ops.RestoreV2(prefix=text, tensor_names=["secret"], shape_and_slices=[""], dtypes=[tf.string])[0]


def test_it_is_found_however_deep_it_hides(tmp_path: pathlib.Path) -> None:
    inner = tf.function(lambda text: tf.io.read_file(text), input_signature=[Text])
    outer = tf.function(lambda text: tf.map_fn(inner, tf.stack([text, text]))[0], input_signature=[Text])
    folder = save(
        tmp_path / "nested", lambda text: tf.cond(tf.strings.length(text) > 3, lambda: outer(text), lambda: text)
    )
    assert "operation ReadFile" in refusal(folder)

    folder = save(tmp_path / "library", tf.identity)
    donor = save(tmp_path / "donor", tf.io.read_file)
    functions = (
        saved_model_pb2.SavedModel.FromString((donor / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def.library
    )
    edit(folder, lambda stored: stored.meta_graphs[0].graph_def.library.MergeFrom(functions))
    assert "operation ReadFile" in refusal(folder), "a function that nothing calls by its name"


def test_a_saver_that_a_signature_calls_is_no_saver(tmp_path: pathlib.Path) -> None:
    folder = save(tmp_path / "model", tf.identity)
    answering.insist_harmless(folder)

    def call_the_saver(stored: saved_model_pb2.SavedModel) -> None:
        graph = stored.meta_graphs[0].graph_def
        (restore,) = (one.signature.name for one in graph.library.function if "traced_restore" in one.signature.name)
        node = graph.node.add(name="call", op="StatefulPartitionedCall", input=["saver_filename"])
        node.attr["f"].func.name = restore

    edit(folder, call_the_saver)
    assert re.search("operation RestoreV2 .* of function '__inference__traced_restore", refusal(folder))


def vocabulary_of(path: str) -> tuple[tf.Module, Callable[[Tensor], Tensor]]:
    module = tf.Module()
    words = tf.lookup.TextFileInitializer(
        path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module.table = tf.lookup.StaticHashTable(words, -1)
    return module, module.table.lookup


def test_a_table_may_read_the_models_assets_and_nothing_else(tmp_path: pathlib.Path) -> None:
    (tmp_path / "words").write_text("taxi\nbus\n")
    module, look_up = vocabulary_of(str(tmp_path / "words"))
    folder = save(tmp_path / "model", look_up, module)
    entry = answering.SavedModel(folder).entry("serving_default")
    assert entry.call({"text": "bus"})["answer"] == 1
    # As TFX's Transform is part of an export: a SavedModel in a SavedModel, whose names of assets travel through variables.
    again = tf.Module()
    again.model = tf.saved_model.load(str(folder))
    nested = save(
        tmp_path / "nested", lambda text: again.model.signatures["serving_default"](text=text)["answer"], again
    )
    assert answering.SavedModel(nested).entry("serving_default").call({"text": "bus"})["answer"] == 1

    def point_elsewhere(stored: saved_model_pb2.SavedModel) -> None:
        """The initializer's name of the file becomes a constant of the graph."""
        objects = stored.meta_graphs[0].object_graph_def
        (asset,) = (index for index, one in enumerate(objects.nodes) if one.WhichOneof("kind") == "asset")
        objects.nodes[asset].constant.operation = "Const"

    edit(folder, point_elsewhere)
    assert "operation InitializeTableFromTextFileV2" in refusal(folder)
    assert "reads a file that is no asset of the model" in refusal(folder)

    edit(nested, lambda stored: setattr(stored.meta_graphs[0].asset_file_def[0], "filename", "../../words"))
    assert "asset '../../words' lies outside of the model" in refusal(nested)


def test_a_file_name_that_a_caller_gives_is_no_asset(tmp_path: pathlib.Path) -> None:
    def answer(text: Tensor) -> Tensor:
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        done = tf.raw_ops.InitializeTableFromTextFileV2(
            table_handle=table, filename=text, key_index=-2, value_index=-1, vocab_size=-1
        )
        return _after(done, text)

    assert "reads a file that is no asset of the model" in refusal(save(tmp_path / "model", answer))


def test_what_is_no_saved_model_is_one_line(tmp_path: pathlib.Path) -> None:
    assert "saved_model.pb: cannot be read: No such file" in refusal(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    assert "cannot be read: it is no SavedModel" in refusal(tmp_path)


# Inputs and attributes that may name a file or a machine, and the operations whose do not.
_TELLING = re.compile(
    r"(^|_)(file|files|filename|filenames|path|dir|logdir|directory|url|urls|address|prefix|prefixes|patterns|region_name|spec"
    r"|output_stream|driver_name)(_|$)"
)
_HARMLESS = {
    "CTCBeamSearchDecoder": "paths through a lattice",
    "ExperimentalSetStatsAggregatorDataset": "prefix of a counter's name",
    "PrintV2": "judged by its output_stream",
    "SetStatsAggregatorDataset": "prefix of a counter's name",
    "ShardedFilename": "makes a text",
    "ShardedFilespec": "makes a text",
    "TensorSliceDataset": "whether its texts are files, for those that split a data set",
    "XlaCallModule": "shapes",
}


def test_every_operation_that_names_a_file_or_a_machine_is_judged() -> None:
    """A later TensorFlow may bring more of them."""
    registered = op_def_pb2.OpList.FromString(
        bytes(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    )
    found = {one.name for one in registered.op for said in (*one.input_arg, *one.attr) if _TELLING.search(said.name)}
    known = (
        answering.FORBIDDEN.keys() | _HARMLESS.keys() | {"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"}
    )
    assert found - known == set()
    assert answering.FORBIDDEN.keys() <= {one.name for one in registered.op}, "a name that no operation has"
    assert {"ReadFile", "SaveV2", "DebugIdentityV3", "DataServiceDatasetV4"} <= found
