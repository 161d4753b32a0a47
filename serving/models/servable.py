"""One loaded version of a model: its signatures, run by TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import logging
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

import answering
from model_store import variants_in
from serving.codec.decoding import decode_rows, hint_at_base64
from serving.codec.examples import check_pictures_of, decode_examples
from serving.codec.signature import Feature, TensorInfo, read_description
from serving.codec.tensors import Arrays, by_input, check_array, check_pictures, fill_missing, settle_missing
from serving.errors import BadRequestError, ServingError
from serving.models._refusals import complaint, first_line
from serving.models.answers import Batch, Part
from serving.models.batching import Batching
from serving.models.lane import Lane, LaneOptions
from serving.models.warm_up import RECORDS, replay
from spec.signatures import EXPLAIN

DEFAULT_SIGNATURE = answering.DEFAULT
CLASSIFY, REGRESS = "classify", "regress"
_REFUSALS = (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError)
_GOLDEN_REQUESTS = "assets.extra/golden_requests.json"
_ANSWER_OF = {CLASSIFY: "scores", REGRESS: "outputs"}

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Signature:
    """A callable entry of a SavedModel.

    Attributes:
        call: tensors by input -> the answers, by output.
        is_variant: whether a compressed variant of the model answers, in place of `serving_default`.
    """

    name: str
    call: Callable[[Mapping[str, np.ndarray]], Arrays]
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    is_variant: bool = False

    @functools.cached_property
    def takes_rows(self) -> bool:
        """Whether each of its tensors has a row for each row of a request."""
        return all(info.shape and info.shape[0] is None for info in (*self.inputs.values(), *self.outputs.values()))

    @functools.cached_property
    def takes_one_shape(self) -> bool:
        """Whether the rows of all requests have the same shapes."""
        return all(None not in (info.row_shape or ()) for info in self.inputs.values())

    @functools.cached_property
    def takes_examples(self) -> bool:
        """Whether its only input is a batch of serialized tf.Example: texts that are no column's."""
        return len(self.inputs) == 1 and all(
            info.is_string and len(info.shape or ()) == 1 and info.feature is None for info in self.inputs.values()
        )


class Servable:
    """A loaded model version.

    Where an index of items lies beside the SavedModel, it answers `serving_default`. Each compressed variant of the release is a
    signature of its name, which takes and answers what `serving_default` does.

    Raises InputError for an index or a variant that cannot be read: what was evaluated is what it answers, so nothing else is served
    instead.

    Args:
        batching: how requests wait and are put together; default: as LaneOptions says.

    Attributes:
        features: its raw features from trainyard.json; empty for a SavedModel that is not ours.
        classes: likewise, in the order of its probabilities; empty where it has none.
        example: a row, by input, that it was tested with before its release; empty for a SavedModel that is not ours.
        signature_defs: as stored in saved_model.pb, for metadata.
    """

    def __init__(self, model: str, version: int, folder: pathlib.Path, batching: Batching | None = None) -> None:
        self.model = model
        self.version = version
        described = read_description(folder)
        self.features, self.classes = described.features, described.classes
        options = batching.of(model, folder, described.rows_at_once) if batching else LaneOptions()
        self.lane = Lane(f"{model} version {version}", options)
        self.signature_defs = _signature_defs(folder)
        self._folder = folder
        self.example = _golden_request(folder)
        loaded = answering.SavedModel(folder)
        self.signatures = {
            name: _signature(name, loaded.entry(name).call, self.signature_defs[name], self.features)
            for name in loaded.names
        }
        if default := self.signatures.get(DEFAULT_SIGNATURE):
            default = dataclasses.replace(default, call=answering.answerer(folder, loaded.entry).call)
            self.signatures[DEFAULT_SIGNATURE] = default
            for name, variant in variants_in(folder).items():
                call = answering.answerer(variant, answering.SavedModel(variant).entry).call
                self.signatures[name] = dataclasses.replace(default, name=name, call=call, is_variant=True)
                self.signature_defs[name] = self.signature_defs[DEFAULT_SIGNATURE]
        self._in_flight = 0

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Marks a request in progress, so that the version is not unloaded before its end."""
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    @property
    def idle(self) -> bool:
        """Whether no request is in progress."""
        return self._in_flight == 0 and self.lane.idle

    def signature(self, name: str = "") -> Signature:
        """A signature by name; serving_default if the name is empty."""
        wanted = name or DEFAULT_SIGNATURE
        try:
            return self.signatures[wanted]
        except KeyError:
            known = ", ".join(sorted(self.signatures)) or "none"
            raise BadRequestError(f"{self.model} has no signature {wanted!r}. Known: {known}") from None

    def signature_for(self, method: str, name: str = "") -> Signature:
        """The signature for classify or regress: the one named, else the default if it fits, else the one named like the method.

        Raises:
            BadRequestError: it does not take tf.Example, or does not have the method's output.
        """
        output = _ANSWER_OF[method]
        if not name:
            default = self.signatures.get(DEFAULT_SIGNATURE)
            fits = default is not None and default.takes_examples and output in default.outputs
            name = DEFAULT_SIGNATURE if fits or method not in self.signatures else method
        found = self.signature(name)
        if not found.takes_examples or output not in found.outputs:
            raise BadRequestError(
                f"signature {found.name!r} of {self.model} is not for {method}: it must take serialized tf.Example "
                f"and give {output!r}. It gives: {', '.join(found.outputs)}"
            )
        return found

    def explainer_of(self, signature: Signature) -> Signature:
        """The signature that explains another's answers.

        Raises:
            BadRequestError: there is none.
        """
        found = self.signatures.get(EXPLAIN)
        if found is None:
            raise BadRequestError(
                f"?explain=true: {self.model} version {self.version} has no signature {EXPLAIN!r}; workload.yaml asks for it by "
                "export: {explain: true}."
            )
        if signature.name != DEFAULT_SIGNATURE and not signature.is_variant:
            raise BadRequestError(
                f"?explain=true: answers of the signature {signature.name!r} are not explained; leave it out."
            )
        return found

    async def answer(self, signature: Signature, arrays: Arrays, seconds: float | None = None) -> Part:
        """Runs a signature on tensors that `checked` gave, in a batch with other requests' where the model is ours.

        Args:
            seconds: how long it may wait for a thread; default: as the lane says.

        Raises:
            BadRequestError: the graph refuses the values.
            BusyError: too many requests wait, or this one waited too long.
        """
        kind, rows = None, _rows(arrays)
        if rows and self._batches(signature):
            kind = (signature.name, *[(name, one.dtype.str, one.shape[1:]) for name, one in arrays.items()])
        return await self.lane.run(functools.partial(self._answer_tensors, signature), arrays, kind, rows, seconds)

    async def answer_rows(self, signature: Signature, instances: list[Any], seconds: float | None = None) -> Part:
        """Decodes rows of JSON and runs a signature on them, as `answer` does.

        Raises:
            BadRequestError: names the row and the input that do not fit.
            BusyError: too many requests wait, or this one waited too long.
        """
        kind = (signature.name,) if self._batches(signature) and signature.takes_one_shape else None
        together = functools.partial(self._answer_rows, signature)
        return await self.lane.run(together, instances, kind, len(instances), seconds)

    def _batches(self, signature: Signature) -> bool:
        return bool(self.features or self.lane.options.batches_foreign) and signature.takes_rows

    def _answer_tensors(self, signature: Signature, asked: Sequence[Arrays]) -> Sequence[Part]:
        arrays = asked[0]
        if len(asked) > 1:
            arrays = {name: np.concatenate([one[name] for one in asked]) for name in arrays}
        return _parts(arrays, self.call(signature, arrays), list(map(_rows, asked)))

    def _answer_rows(self, signature: Signature, asked: Sequence[list[Any]]) -> Sequence[Part]:
        arrays = decode_rows([row for instances in asked for row in instances], signature.inputs)
        try:
            arrays = self.checked(signature, arrays)
            return _parts(arrays, self.call(signature, arrays), [len(instances) for instances in asked])
        except BadRequestError as error:
            raise BadRequestError(f"{error}{hint_at_base64(arrays)}") from None

    def run(self, signature: Signature, arrays: Arrays) -> Arrays:
        """Checks tensors and runs a signature on them, in this thread."""
        return self.call(signature, self.checked(signature, arrays))

    def checked(self, signature: Signature, arrays: Arrays) -> Arrays:
        """The tensors that a signature is run on.

        Raises:
            BadRequestError: an input is missing, unknown, or has the wrong type or shape.
        """
        if unknown := arrays.keys() - signature.inputs.keys():
            known = ", ".join(info.shown for info in signature.inputs.values())
            raise BadRequestError(f"there is no input {sorted(unknown)[0]!r}. Known: {known}")
        if self.features:  # before there are as many of each that is missing
            self.lane.insist_on_rows(max((len(one) for one in arrays.values() if one.ndim), default=0))
        arrays = fill_missing(arrays, signature.inputs)
        for name, array in arrays.items():
            check_array(array, signature.inputs[name])
            check_pictures(array, signature.inputs[name])
            arrays[name] = settle_missing(array, signature.inputs[name])
        if signature.takes_examples and any(feature.dtype == "string" for feature in self.features.values()):
            check_pictures_of(*arrays.values())
        if self.features and len({array.shape[:1] for array in arrays.values()}) > 1:
            sizes = ", ".join(f"{name} {array.shape[0]}" for name, array in sorted(arrays.items()))
            raise BadRequestError(f"every input must have a value for each row. Received rows: {sizes}")
        return arrays

    def call(self, signature: Signature, arrays: Arrays) -> Arrays:
        """Runs a signature on tensors that `checked` gave.

        Raises:
            BadRequestError: the graph refuses the values.
        """
        try:
            return signature.call(arrays)
        except _REFUSALS as error:
            row, problem = self._refused_row(signature, arrays) or (None, error)
            where, rows = ("the input", slice(None)) if row is None else (f"row {row}", slice(row, row + 1))
            asked = {signature.inputs[name].shown: array[rows] for name, array in arrays.items()}
            raise BadRequestError(f"{self.model} refuses {where}: {complaint(problem, asked)}") from None
        except tf.errors.OpError as error:
            _log.exception("%s version %d failed", self.model, self.version)
            raise ServingError(f"{self.model} version {self.version} failed: {first_line(error)}") from None

    def _one_row(self, signature: Signature) -> Arrays:
        """A row to try a signature with: a golden request, where it takes the model's features, or made up."""
        if self.example and signature.takes_examples:
            columns = {feature.input or name: name for name, feature in self.features.items()}
            example = {columns[name]: value for name, value in self.example.items()}
            return dict.fromkeys(signature.inputs, decode_examples({"examples": [example]}, self.features))
        if self.example and (signature.name == DEFAULT_SIGNATURE or signature.is_variant):
            return decode_rows([dict(self.example)], signature.inputs)
        return {name: _made_up(info) for name, info in signature.inputs.items()}

    def _refused_row(self, signature: Signature, arrays: Arrays) -> tuple[int, tf.errors.OpError] | None:
        """Which of several rows the graph refuses, and why; None where it is one row, or each is fine on its own."""
        first, end = 0, len(next(iter(arrays.values())))
        if not self.features or end == 1:
            return None
        while end - first > 1:
            middle = (first + end) // 2
            if _refusal(signature, arrays, slice(first, middle)):
                end = middle
            else:
                first = middle
        problem = _refusal(signature, arrays, slice(first, end))
        return (first, problem) if problem else None

    def warm_up(self) -> None:
        """Runs each signature once, and what requests lie beside the SavedModel, so that no caller waits for tracing and allocation.

        Raises:
            InputError: a request that lies there cannot be read, or fails.
        """
        for signature in self.signatures.values():
            try:
                self.run(signature, self._one_row(signature))
            except ServingError as error:
                # A made-up row need not make sense to the model.
                _log.info("%s version %d, warm-up of %s: %s", self.model, self.version, signature.name, error)
        if asked := replay(self._folder, self._ask):
            _log.info("%s version %d: answered %d requests of %s", self.model, self.version, asked, RECORDS)

    def _ask(self, method: str, name: str, inputs: Arrays | np.ndarray[Any, Any]) -> None:
        if isinstance(inputs, dict):
            signature = self.signature(name)
            self.run(signature, by_input(inputs, signature.inputs, "inputs"))
        else:
            signature = self.signature_for(method, name)
            self.run(signature, dict.fromkeys(signature.inputs, inputs))


def _rows(arrays: Arrays) -> int:
    """How many rows tensors have; 0 where it is not the same number for all."""
    sizes = {one.shape[0] if one.ndim else 0 for one in arrays.values()}
    return sizes.pop() if len(sizes) == 1 else 0


def _parts(inputs: Arrays, outputs: Arrays, sizes: Sequence[int]) -> list[Part]:
    """What each request is answered, by its number of rows."""
    ends = list(itertools.accumulate(sizes))
    batch = Batch(inputs, outputs, ends[-1])
    if len(sizes) > 1 and any(not one.ndim or len(one) != batch.rows for one in outputs.values()):
        raise ServingError("the model does not answer by row")  # each request is then answered alone
    return [Part(batch, end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _golden_request(folder: pathlib.Path) -> dict[str, Any]:
    """The first of the requests that the model was tested with before its release; empty for a model that is not ours."""
    try:
        return json.loads((folder / _GOLDEN_REQUESTS).read_text(encoding="utf-8"))["instances"][0]
    except FileNotFoundError:
        return {}


def _made_up(info: TensorInfo) -> np.ndarray[Any, Any]:
    shape = tuple(1 if n is None else n for n in info.shape or ())
    return np.full(shape, b"?" if info.is_string else 0, dtype=info.dtype)


def _refusal(signature: Signature, arrays: Arrays, rows: slice) -> tf.errors.OpError | None:
    try:
        signature.call({name: array[rows] for name, array in arrays.items()})
    except _REFUSALS as error:
        return error
    return None


def _signature_defs(folder: pathlib.Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    stored = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return dict(stored.meta_graphs[0].signature_def)


def _signature(
    name: str,
    call: Callable[[Mapping[str, np.ndarray]], Arrays],
    stored: meta_graph_pb2.SignatureDef,
    features: Mapping[str, Feature],
) -> Signature:
    described = {said.input or column: said for column, said in features.items()}
    columns = {said.input: column for column, said in features.items() if said.input not in ("", column)}
    inputs = {
        key: dataclasses.replace(_tensor_info(key, info, described.get(key)), column=columns.get(key, ""))
        for key, info in sorted(stored.inputs.items())
    }
    outputs = {key: _tensor_info(key, info) for key, info in sorted(stored.outputs.items())}
    return Signature(name, call, inputs, outputs)


def _tensor_info(name: str, stored: meta_graph_pb2.TensorInfo, feature: Feature | None = None) -> TensorInfo:
    shape = None
    if not stored.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else int(dim.size) for dim in stored.tensor_shape.dim)
    return TensorInfo(
        name,
        np.dtype(tf.as_dtype(stored.dtype).as_numpy_dtype),
        shape,
        feature is not None and feature.nullable,
        feature,
    )
