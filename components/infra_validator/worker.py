"""The validating process: loads the SavedModel with plain TensorFlow, as a server would, and asks every signature.

Imports no TFX (components.prepared starts it).
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import answering
import vector_index
from components import lazy_imports
from components.served_model import ServedModel, is_missing
from components.served_model.explained import residual
from spec.signatures import EXPLAIN
from spec.words import one_line

_TOLERANCE = 1e-5
_SINGLE_ROWS = 4
_MOST_RESIDUAL = 0.1

Tensors = dict[str, np.ndarray]


class Examination:
    """Asks a loaded model and collects what holds and what does not.

    Args:
        by_index: what a server asks in place of `serving_default`; None where there is no index.
        variants: folders of compressed variants of the model, by name.

    Attributes:
        checks: `{"name", "passes", "message"}` each.
        answers: of `serving_default`, by output.
    """

    def __init__(
        self,
        loaded: answering.SavedModel,
        model: ServedModel,
        rows: pa.RecordBatch,
        stage: Callable[[str], None],
        by_index: Callable[[Tensors], Tensors] | None = None,
        variants: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.checks: list[dict[str, Any]] = []
        self.answers: Tensors = {}
        self._loaded, self._model, self._stage, self._by_index = loaded, model, stage, by_index
        self._variants = variants
        self._inputs = model.inputs(rows)
        self._further = {name: model.inputs(rows, columns) for name, columns in model.signatures.items()}
        self._count = rows.num_rows

    def run(self) -> None:
        """The checks, from the one that all others build on."""
        own = self._model.kind.tfs_signature
        wanted = ["serving_default", "serving_examples", *([own] if own else []), *self._further]
        missing = [name for name in wanted if name not in self._loaded.names]
        self._note("signatures", not missing, f"missing: {', '.join(missing)}" if missing else ", ".join(wanted))
        if "serving_default" in missing:
            return
        with self._check("serving_default answers a batch"):
            self.answers = self._ask("serving_default", self._named(slice(None)))
            self._fits_task(self.answers)
        if not self.checks[-1]["passes"]:
            return  # there is nothing sound to compare the other answers with
        with self._check("one row answers as in a batch"):
            for row in range(min(_SINGLE_ROWS, self._count)):
                one = self._ask("serving_default", self._named(slice(row, row + 1)))
                self._is_same(one, {name: value[row : row + 1] for name, value in self.answers.items()}, f"row {row}")
        examples = serialized_examples(self._model, self._inputs)
        if "serving_examples" not in missing:
            with self._check("serving_examples answers as serving_default"):
                self._is_same(
                    self._ask("serving_examples", {"examples": examples}), self.answers, "serialized tf.Examples"
                )
        if own and own not in missing:
            with self._check(f"{own} answers as serving_default"):
                found, expected = self._ask(own, {"inputs": examples}), self._model.kind.tfs_expected(self.answers)
                _same(found, expected, own, ranked=False)
        for name in self._further:
            if name not in missing:
                with self._check(f"{name} answers a batch"):
                    self._is_sound(answers := self._ask(name, self._further_named(name)))
                    if name == EXPLAIN:
                        _insist_added_up(answers)
        if self._by_index:
            self._stage("asking the index")
            with self._check("the index answers a batch"):
                self._stands_in(self._by_index(self._named(slice(None))))
        for name, folder in self._variants.items():
            self._stage(f"loading variant {name}")
            with self._check(f"variant {name} answers a batch"):
                path = pathlib.Path(folder)
                variant = answering.answerer(path, answering.SavedModel(path).entry)
                self._stage(f"asking variant {name}")
                self._stands_in(variant.call(self._named(slice(None))))

    def _stands_in(self, found: Tensors) -> None:
        """Insists that answers are such as `serving_default` gives."""
        left = self._model.kind.inexact
        names, expected = set(found) - left, set(self.answers)
        _insist(names == expected, f"outputs {_names(names)} instead of {_names(expected)}")
        self._fits_task(found)

    def _is_same(self, found: Tensors, expected: Tensors, where: str) -> None:
        _same(self._model.kind.settled(found, expected), expected, where)

    def _named(self, rows: slice) -> Tensors:
        return {self._model.input_name(name): value[rows] for name, value in self._inputs.items()}

    def _further_named(self, signature: str) -> Tensors:
        columns = self._model.signatures[signature]
        return {columns[name].input or name: value for name, value in self._further[signature].items()}

    def _ask(self, signature: str, inputs: Tensors) -> Tensors:
        self._stage(f"asking {signature} for {len(next(iter(inputs.values())))} rows")
        entry = self._loaded.entry(signature)
        expected = set(entry.inputs)
        _insist(expected == set(inputs), f"its inputs are {_names(expected)}, needed are {_names(set(inputs))}")
        return {name: value for name, value in entry.call(inputs).items() if name not in self._model.kind.inexact}

    def _fits_task(self, answers: Tensors) -> None:
        task, name = self._model.kind, self._model.output
        _insist(name in answers, f"output {name!r} is missing; there are {_names(set(answers))}")
        values, shape = answers[name], (self._count, *task.answer_shape)
        _insist(values.shape == shape, f"{name!r} has shape {list(values.shape)}, needed is {list(shape)}")
        _insist_finite(name, values)
        objection = task.objection_to_answers(answers)
        _insist(not objection, objection)

    def _is_sound(self, answers: Tensors) -> None:
        for name, values in answers.items():
            _insist(
                values.shape[:1] == (self._count,), f"{name!r} has shape {list(values.shape)}, needed is a value a row"
            )
            _insist_finite(name, values)

    @contextlib.contextmanager
    def _check(self, name: str) -> Iterator[None]:
        try:
            yield
        except _BrokenError as broken:
            self._note(name, False, f"{name}: not so: {broken}")
        except Exception as error:  # whatever a graph raises is what we are here to find
            last = one_line(error, 300)
            self._note(name, False, f"{name}: not so: {type(error).__name__}: {last}")
        else:
            self._note(name, True, f"{self._count} rows")

    def _note(self, name: str, passes: bool, message: str) -> None:
        self.checks.append({"name": name, "passes": passes, "message": message})


class _BrokenError(Exception):
    """A check that does not hold, in words."""


def _insist(holds: bool, message: str) -> None:
    if not holds:
        raise _BrokenError(message)


def _insist_finite(name: str, values: np.ndarray) -> None:
    bad = int((~np.isfinite(values)).sum()) if values.dtype.kind == "f" else 0
    _insist(not bad, f"{bad} of {values.size} values of {name!r} are not finite")


def _insist_added_up(answers: Tensors) -> None:
    left = residual(answers)
    _insist(
        left <= _MOST_RESIDUAL,
        f"the columns leave {left:.1%} of the scores unexplained, at most {_MOST_RESIDUAL:.0%} is allowed: somewhere in the model "
        "numbers are cut into steps, which have no gradient. Do that in features.py, or set export.explain: false",
    )


def _same(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], where: str, *, ranked: bool = True
) -> None:
    """Insists on the same answers, rounding aside.

    Args:
        ranked: whether texts and integers [N, k] beside scores of the same shape are ranked by these, and ties may be in any order.
    """
    _insist(set(found) == set(expected), f"{where}: outputs {_names(set(found))} instead of {_names(set(expected))}")
    for name, value in expected.items():
        other = found[name]
        _insist(
            other.shape == value.shape,
            f"{where}: {name!r} has shape {list(other.shape)} instead of {list(value.shape)}",
        )
        if value.dtype.kind != "f":
            same = np.array_equal(other, value)
            for scores in expected.values() if ranked and value.ndim == 2 else ():
                same |= scores.dtype.kind == "f" and scores.shape == value.shape and _tied(other, value, scores)
            _insist(same, f"{where}: {name!r} differs")
            continue
        apart = np.abs(other.astype(np.float64) - value) / np.maximum(1, np.abs(value))
        worst = float(apart.max()) if apart.size else 0.0
        _insist(worst <= _TOLERANCE, f"{where}: {name!r} differs by {worst:g}, at most {_TOLERANCE:g} is allowed")


def _tied(found: np.ndarray, expected: np.ndarray, scores: np.ndarray) -> bool:
    """Whether items [N, k] differ in the order of equal scores alone, rounding aside.

    Of the last ones it is not known whether what was cut off is as good.
    """
    for row in np.flatnonzero((found != expected).any(axis=1)):
        apart = np.abs(np.diff(scores[row].astype(np.float64)))
        ends = np.flatnonzero(apart > _TOLERANCE * np.maximum(1, np.abs(scores[row, 1:]))) + 1
        equals = list(zip(np.split(found[row], ends), np.split(expected[row], ends), strict=True))
        if any(set(ours.tolist()) != set(theirs.tolist()) for ours, theirs in equals[:-1]):
            return False
    return True


def serialized_examples(model: ServedModel, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The rows of raw tensors as serialized tf.Example, [N]; a missing value is a feature left out."""
    import tensorflow as tf

    rows = []
    for row in range(len(next(iter(inputs.values())))):
        example = tf.train.Example()
        for name, feature in model.features.items():
            if not feature.shape and is_missing(inputs[name][row], feature):
                continue
            one = example.features.feature[name]
            lists = {"float32": one.float_list, "int64": one.int64_list, "string": one.bytes_list}
            lists[feature.dtype].value.extend(inputs[name][row : row + 1].reshape(-1).tolist())
        rows.append(example.SerializeToString())
    return np.array(rows, dtype=object)


def _names(values: set[str]) -> str:
    return ", ".join(repr(value) for value in sorted(values)) or "none"


def warm() -> None:
    """Imports TensorFlow, for the CPU: the training process may still hold the accelerator's memory."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    with contextlib.suppress(OSError):  # the first to go when memory is short
        pathlib.Path("/proc/self/oom_score_adj").write_text("1000")
    lazy_imports.install()
    import tensorflow  # noqa: F401


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Loads the model and asks it.

    Args:
        request: `saved_model`, `golden` (Parquet), `variants` (folders by name) and `stage`, a file that always says what is being
            done.
    """
    saved_model = pathlib.Path(request["saved_model"])

    def stage(text: str) -> None:
        pathlib.Path(request["stage"]).write_text(text, encoding="utf-8")

    stage("loading the SavedModel")
    started = time.monotonic()
    model = ServedModel.read(saved_model)
    loaded = answering.SavedModel(saved_model)
    load_seconds = time.monotonic() - started
    (rows,) = pq.read_table(request["golden"]).combine_chunks().to_batches(max_chunksize=1_000_000)
    stage("loading the index")
    by_index = vector_index.answering(saved_model, loaded.entry)
    examination = Examination(loaded, model, rows, stage, by_index, request.get("variants", {}))
    examination.run()
    return {
        "checks": examination.checks,
        "answers": {name: _plain(value) for name, value in examination.answers.items()},
        "load_seconds": round(load_seconds, 3),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | list):
        return [_plain(one) for one in (value.tolist() if isinstance(value, np.ndarray) else value)]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
