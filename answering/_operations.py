"""What the graph of a SavedModel may not do. A graph is a program: it can read, write and send what its process can.

Tensors in, tensors out is what a release is for, so operations that touch a file, a process or another machine are refused, wherever
in the graph or its functions they stand, with two exceptions: the saver, which nobody calls but to load and save the model's own
variables, and tables whose words lie in the model's own assets.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from spec.errors import InputError

if TYPE_CHECKING:
    from tensorflow.core.framework import attr_value_pb2, node_def_pb2
    from tensorflow.core.protobuf import meta_graph_pb2

_FILE = "saved_model.pb"
_OF_THE_SAVER = frozenset(
    {"MergeV2Checkpoints", "Restore", "RestoreSlice", "RestoreV2", "Save", "SaveSlices", "SaveV2"}
)
_OF_ASSETS = {"InitializeTableFromTextFile": 1, "InitializeTableFromTextFileV2": 1}
"""Which input is the file's name."""

_READS = """
    CSVDataset CSVDatasetV2 DTensorRestoreV2 ExperimentalCSVDataset ExperimentalLMDBDataset
    ExperimentalMatchingFilesDataset ExperimentalSqlDataset FixedLengthRecordDataset
    FixedLengthRecordDatasetV2 FixedLengthRecordReader FixedLengthRecordReaderV2 FixedUnigramCandidateSampler
    GenerateVocabRemapping ImmutableConst LMDBDataset LMDBReader ListSnapshotChunksDataset LoadAndRemapMatrix
    LoadDataset MatchingFiles MatchingFilesDataset ReadFile RecordInput Restore RestoreSlice RestoreV2
    Skipgram SnapshotChunkDataset SnapshotDatasetReader SnapshotNestedDatasetReader SqlDataset TFRecordDataset
    TFRecordDatasetV2 TFRecordReader TFRecordReaderV2 TextLineDataset TextLineReader TextLineReaderV2
    WholeFileReader WholeFileReaderV2
"""
_WRITES = """
    CacheDataset CacheDatasetV2 CalibrationStatisticsSaver Copy CopyHost CreateSummaryDbWriter
    CreateSummaryFileWriter DatasetToTFRecord DebugIdentity DebugIdentityV2 DebugIdentityV3 DebugNanCount
    DebugNumericSummary DistributedSave DumpTensor ExperimentalDatasetToTFRecord FileSystemSetConfiguration
    MergeV2Checkpoints Save SaveDataset SaveDatasetV2 SaveSlices SaveV2 SnapshotDataset SnapshotDatasetV2
    WriteFile
"""
_RUNS = "EagerPyFunc PyFunc PyFuncStateless"
_HIDES = "DatasetFromGraph"
_TALKS = """
    DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4 RegisterDataset
    RegisterDatasetV2 RemoteCall RpcCall RpcClient RpcServer RpcServerRegister RpcServerStart
"""
FORBIDDEN: Mapping[str, str] = {
    operation: what
    for operations, what in (
        (_READS, "reads files"),
        (_WRITES, "writes files"),
        (_RUNS, "runs Python of its process"),
        (_HIDES, "runs a graph that is hidden in a text"),
        (_TALKS, "talks to other machines"),
    )
    for operation in operations.split()
}
"""Operation of TensorFlow -> what it does beyond its tensors."""


def insist_harmless(saved_model: pathlib.Path) -> None:
    """Insists that the graph of a SavedModel touches nothing but its tensors and its own files.

    Raises:
        InputError: it does, or saved_model.pb cannot be read; one line names the operation, and the node that it is.
    """
    from google.protobuf import message
    from tensorflow.core.protobuf import saved_model_pb2

    path = saved_model / _FILE
    try:
        stored = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except (OSError, message.DecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no SavedModel"
        raise InputError(f"cannot be read: {why}. Export the model again.", file=path) from None
    for meta_graph in stored.meta_graphs:
        if found := next(_Graph(meta_graph).objections(), None):
            raise InputError(f"{found}. A release may use its own files alone: export the model without it.", file=path)


class _Graph:
    """A graph and its functions.

    Attributes:
        nodes: by the function that they stand in; "" is the graph itself.
    """

    def __init__(self, meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
        self._meta = meta_graph
        functions = meta_graph.graph_def.library.function
        self._arguments = {one.signature.name: [arg.name for arg in one.signature.input_arg] for one in functions}
        self.nodes: dict[str, Iterable[node_def_pb2.NodeDef]] = {one.signature.name: one.node_def for one in functions}
        self.nodes[""] = meta_graph.graph_def.node
        self._saver = {
            meta_graph.saver_def.save_tensor_name.partition(":")[0],
            meta_graph.saver_def.restore_op_name,
        } - {""}

    def objections(self) -> Iterator[str]:
        """What is not allowed, in words."""
        for asset in self._meta.asset_file_def:
            path = pathlib.PurePosixPath(asset.filename)
            if path.is_absolute() or ".." in path.parts:
                yield f"asset {asset.filename!r} lies outside of the model"
        for function, nodes in self.nodes.items():
            for node in nodes:
                if what := self._objection(function, node):
                    place = f"node {node.name!r}" + (f" of function {function!r}" if function else "")
                    yield f"operation {node.op} ({place}) {what}"

    def _objection(self, function: str, node: node_def_pb2.NodeDef) -> str | None:
        if node.op in _OF_THE_SAVER and function in self._savers_own:
            return None
        if node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file://"):
            return "writes files"
        if node.op in _OF_ASSETS and not self._is_asset(function, _argument(node, _OF_ASSETS[node.op]), frozenset()):
            return "reads a file that is no asset of the model"
        return FORBIDDEN.get(node.op)

    @functools.cached_property
    def _calls(self) -> dict[str, list[tuple[node_def_pb2.NodeDef, Collection[str]]]]:
        """The nodes of a function that call others, and whom."""
        found: dict[str, list[tuple[node_def_pb2.NodeDef, Collection[str]]]] = {}
        for function, nodes in self.nodes.items():
            calls = ((node, {node.op, *_functions(node.attr.values())} & self._arguments.keys()) for node in nodes)
            found[function] = [(node, called) for node, called in calls if called]
        return found

    @functools.cached_property
    def _savers_own(self) -> frozenset[str]:
        """The functions that nothing but the saver calls."""
        others = [called for node, called in self._calls[""] if node.name not in self._saver]
        savers = [called for node, called in self._calls[""] if node.name in self._saver]
        anybodys = self._reached(
            [*self._meta.object_graph_def.concrete_functions, *(one for them in others for one in them)]
        )
        return self._reached(one for them in savers for one in them) - anybodys

    def _reached(self, functions: Iterable[str]) -> frozenset[str]:
        found: set[str] = set()
        waiting = list(functions)
        while waiting:
            if (function := waiting.pop()) not in found:
                found.add(function)
                waiting += (one for _, called in self._calls.get(function, ()) for one in called)
        return frozenset(found)

    def _is_asset(self, function: str, tensor: str, asked: frozenset[tuple[str, str]]) -> bool:
        """Whether a tensor is the name of an asset, whoever calls the function that it is in."""
        if (function, tensor) in asked:
            return True  # of a function that calls itself: the other callers decide
        asked |= {(function, tensor)}
        name = tensor.partition(":")[0]
        if not function and f"{name}:0" in {one.tensor_info.name for one in self._meta.asset_file_def}:
            return True
        if function and name in self._arguments[function]:
            return self._is_given_assets(function, self._arguments[function].index(name), asked)
        source = next((node for node in self.nodes[function] if node.name == name), None)
        if source is not None and source.op == "Identity":
            return self._is_asset(function, source.input[0], asked)
        if source is not None and source.op == "ReadVariableOp" and not function:
            return self._holds_asset(source.input[0].partition(":")[0], asked)
        return False

    def _holds_asset(self, variable: str, asked: frozenset[tuple[str, str]]) -> bool:
        """Whether a variable of the graph itself is assigned an asset's name, and nothing else by anybody.

        `tf.saved_model.save` puts the names of assets that come from another SavedModel into such variables.
        """
        nodes = self.nodes[""]
        uses = [node for node in nodes if variable in (one.partition(":")[0] for one in node.input)]
        known = all(node.op in ("AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp") for node in uses)
        assigned = [_argument(node, 1) for node in uses if node.op == "AssignVariableOp"]
        handles = [_shared_name(node) for them in self.nodes.values() for node in them if node.op == "VarHandleOp"]
        named = [_shared_name(node) for node in nodes if node.op == "VarHandleOp" and node.name == variable]
        alone = len(named) == 1 and handles.count(named[0]) == 1
        return known and alone and bool(assigned) and all(self._is_asset("", one, asked) for one in assigned)

    def _is_given_assets(self, function: str, position: int, asked: frozenset[tuple[str, str]]) -> bool:
        """Whether an argument of a function is an asset's name in each of its calls, of which there is one."""
        objects = self._meta.object_graph_def
        given = [
            self._is_asset(caller, _argument(node, position), asked)
            for caller, calls in self._calls.items()
            for node, called in calls
            if function in called
        ]
        if function in objects.concrete_functions:
            bound = objects.concrete_functions[function].bound_inputs
            captured = position - (len(self._arguments[function]) - len(bound))
            given.append(captured >= 0 and objects.nodes[bound[captured]].WhichOneof("kind") == "asset")
        return all(given)


def _argument(node: node_def_pb2.NodeDef, position: int) -> str:
    data = [one for one in node.input if not one.startswith("^")]
    return str(data[position]) if position < len(data) else ""


def _shared_name(node: node_def_pb2.NodeDef) -> str:
    """By which a variable is found, wherever it is named."""
    return node.attr["shared_name"].s.decode() or str(node.name)


def _functions(values: Iterable[attr_value_pb2.AttrValue]) -> Iterator[str]:
    """The functions that a node names in its attributes."""
    for value in values:
        kind: Any = value.WhichOneof("value")
        named = [value.func] if kind == "func" else value.list.func if kind == "list" else ()
        for one in named:
            yield one.name
            yield from _functions(one.attr.values())
