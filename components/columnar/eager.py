"""A Beam runner for one process that passes elements from step to step without coders, protos or bundles.

Beam's own runner for one process uses the protocol of a distributed one: it serialises every DoFn, and every element between
stages, and keeps those elements in memory, encoded. For a TFT or TFDV graph that costs more than the actual work. Here a
function call passes an element on, depth first, so that a RecordBatch is freed once its last step is done.

It supports what batch pipelines of TFT and TFDV consist of: Impulse, ParDo with side inputs and several outputs, GroupByKey,
CombinePerKey, Flatten, Reshuffle, all in the global window. Any other pipeline is run by Beam's runner.
docs/decisions/0009-eager-runner.md has the figures.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import pickle
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam import pvalue
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import AppliedPTransform
from apache_beam.runners import common
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState
from apache_beam.transforms import combiners, core, sideinputs, util, window
from apache_beam.utils.windowed_value import WindowedValue

_windowed = window.GlobalWindows.windowed_value
# Keys of exactly these types are equal only if their bytes are.
_OWN_INDEX = frozenset({str, bytes, int, type(None)})
# Composites that are a single step here. TFT counts element by element, for vocabularies.
_AS_ONE = (core.CombinePerKey, combiners.Count.PerElement, util.Reshuffle, util.ReshufflePerKey)


class EagerRunner(PipelineRunner):
    """Runs a batch pipeline in this thread, or with FnApiRunner if it does not support the pipeline."""

    def run_pipeline(self, pipeline: beam.Pipeline, options: PipelineOptions) -> PipelineResult:
        applied = list(_primitives(pipeline._root_transform()))
        if not all(map(_is_known, applied)):
            return FnApiRunner().run_pipeline(pipeline, options)
        _Graph(applied).run()
        return _Done(PipelineState.DONE)


class _Done(PipelineResult):
    def wait_until_finish(self, duration: int | None = None) -> str:
        return PipelineState.DONE


def _primitives(applied: AppliedPTransform) -> Iterator[AppliedPTransform]:
    """The steps to run, in the order of the graph: leaves, and composites that are a single step here."""
    if isinstance(applied.transform, _AS_ONE):
        yield applied
    elif applied.parts:
        for part in applied.parts:
            yield from _primitives(part)
    elif any(
        output not in applied.inputs for output in applied.outputs.values()
    ):  # not a composite that returns its input
        yield applied


def _is_known(applied: AppliedPTransform) -> bool:
    transform = applied.transform
    if any(not isinstance(output.windowing.windowfn, window.GlobalWindows) for output in applied.outputs.values()):
        return False
    if isinstance(transform, core.CombinePerKey):
        return not applied.side_inputs
    if isinstance(transform, core.ParDo):
        signature = common.DoFnSignature(transform.fn)
        return not (signature.is_stateful_dofn() or signature.is_splittable_dofn())
    return isinstance(transform, (core.Impulse, core.GroupByKey, core.Flatten, *_AS_ONE))


class _Collection:
    """A PCollection while the pipeline runs: its consumers, and its elements if a step needs all of them at once."""

    def __init__(self) -> None:
        self.consumers: list[_Step] = []
        self.waiting: list[_Step] = []  # steps that have it as a side input
        self.elements: list[WindowedValue] = []

    def add(self, element: WindowedValue) -> None:
        if self.waiting:
            self.elements.append(element)
        for step in self.consumers:
            step.take(element)

    def entrance(self) -> Callable[[WindowedValue], None]:
        """The function to call with each element from now on, as direct as possible."""
        if len(self.consumers) == 1 and not self.waiting and not self.consumers[0].missing_sides:
            return self.consumers[0].process
        return self.add


class _Step:
    """One transform: processes elements, passes results on, and ends when all its inputs have ended."""

    def __init__(self, applied: AppliedPTransform, outputs: dict[Any, _Collection]) -> None:
        self.outputs = outputs
        self.open_inputs = len(applied.inputs)
        self.missing_sides = len(applied.side_inputs)
        self._kept: list[WindowedValue] = []

    def prepare(self) -> None:
        """Called before the first element of the pipeline; if it fails, `abandon` is called too."""

    def take(self, element: WindowedValue) -> None:
        if self.missing_sides:
            self._kept.append(element)
        else:
            self.process(element)

    def has_side_inputs(self) -> None:
        """Processes the elements that arrived before the side inputs were complete."""
        kept, self._kept = self._kept, []
        for element in kept:
            self.process(element)

    def process(self, element: WindowedValue) -> None:
        self.outputs[None].add(element)

    def finish(self) -> None:
        """All inputs have ended."""

    def abandon(self) -> None:
        """The pipeline failed elsewhere."""


class _Impulse(_Step):
    def finish(self) -> None:
        self.outputs[None].add(_windowed(b""))


class _GroupByKey(_Step):
    def __init__(self, applied: AppliedPTransform, outputs: dict[Any, _Collection]) -> None:
        super().__init__(applied, outputs)
        self._groups: dict[Hashable, tuple[Any, list[Any]]] = {}

    def process(self, element: WindowedValue) -> None:
        key, value = element.value
        self._groups.setdefault(_index(key), (key, []))[1].append(value)

    def finish(self) -> None:
        groups, self._groups = self._groups, {}
        for group in groups.values():
            self.outputs[None].add(_windowed(group))


class _CountPerElement(_Step):
    def __init__(self, applied: AppliedPTransform, outputs: dict[Any, _Collection]) -> None:
        super().__init__(applied, outputs)
        self._counts: dict[Hashable, list[Any]] = {}

    def process(self, element: WindowedValue) -> None:
        value = element.value
        index = value if type(value) in _OWN_INDEX else _index(value)  # saves a call for each word of a vocabulary
        try:
            self._counts[index][1] += 1
        except KeyError:
            self._counts[index] = [value, 1]

    def finish(self) -> None:
        counts, self._counts = self._counts, {}
        for value, count in counts.values():
            self.outputs[None].add(_windowed((value, count)))


class _CombinePerKey(_Step):
    """Keeps one accumulator per key, and no elements."""

    def __init__(self, applied: AppliedPTransform, outputs: dict[Any, _Collection]) -> None:
        super().__init__(applied, outputs)
        transform = applied.transform
        self._args, self._kwargs = transform.args, transform.kwargs
        self._fn: core.CombineFn = copy.copy(transform.fn)
        self._accumulators: dict[Hashable, list[Any]] = {}
        self._is_set_up = False

    def prepare(self) -> None:
        self._is_set_up = True
        self._fn.setup(*self._args, **self._kwargs)

    def process(self, element: WindowedValue) -> None:
        key, value = element.value
        index = _index(key)
        entry = self._accumulators.get(index)
        if entry is None:
            entry = self._accumulators[index] = [key, self._fn.create_accumulator(*self._args, **self._kwargs)]
        entry[1] = self._fn.add_input(entry[1], value, *self._args, **self._kwargs)

    def finish(self) -> None:
        accumulators, self._accumulators = self._accumulators, {}
        for key, accumulator in accumulators.values():
            whole = self._fn.compact(accumulator, *self._args, **self._kwargs)
            self.outputs[None].add(_windowed((key, self._fn.extract_output(whole, *self._args, **self._kwargs))))
        self.abandon()

    def abandon(self) -> None:
        if self._is_set_up:
            self._is_set_up = False
            self._fn.teardown(*self._args, **self._kwargs)


class _ParDo(_Step):
    """A DoFn; the whole input is one bundle."""

    def __init__(self, applied: AppliedPTransform, outputs: dict[Any, _Collection], sides: list[_Collection]) -> None:
        super().__init__(applied, outputs)
        transform = applied.transform
        self._started = self._ended = False
        views = [
            sideinputs.SideInputMap(type(side), side._view_options(), collection.elements)
            for side, collection in zip(applied.side_inputs, sides, strict=True)
        ]
        self._receivers = _Receivers({tag: _Receiver(collection) for tag, collection in outputs.items()})
        self._runner = common.DoFnRunner(
            copy.copy(transform.fn),  # a copy, as on a worker, so that it can keep state
            transform.args,
            transform.kwargs,
            views,
            applied.inputs[0].windowing,
            tagged_receivers=self._receivers,
            step_name=applied.full_label,
        )

    def process(self, element: WindowedValue) -> None:
        self._start()
        self._runner.process(element)

    def finish(self) -> None:
        self._start()
        self._runner.finish()
        self.abandon()

    def abandon(self) -> None:
        if self._started and not self._ended:
            self._ended = True
            self._runner.teardown()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for receiver in self._receivers.values():
                receiver.open()
            self._runner.setup()
            self._runner.start()


class _Receiver(common.Receiver):
    def __init__(self, collection: _Collection) -> None:
        self._collection = collection

    def open(self) -> None:
        self._enter = self._collection.entrance()

    def receive(self, windowed_value: WindowedValue) -> None:
        self._enter(windowed_value)


class _Receivers(dict[Any, _Receiver]):
    """Receivers by tag; elements for an undeclared output are dropped, as by Beam's runners."""

    def __missing__(self, tag: Any) -> _Receiver:
        nowhere = _Receiver(_Collection())
        nowhere.open()
        return nowhere


class _Graph:
    def __init__(self, applied: list[AppliedPTransform]) -> None:
        collections_by_value: dict[pvalue.PValue, _Collection] = collections.defaultdict(_Collection)
        self._steps = []
        for one in applied:
            outputs = {tag: collections_by_value[value] for tag, value in one.outputs.items()}
            if len(outputs) == 1:  # untagged elements go to the only output, whatever its tag
                outputs.setdefault(None, next(iter(outputs.values())))
            sides = [collections_by_value[side.pvalue] for side in one.side_inputs]
            step = _step(one, outputs, sides)
            for value in one.inputs:
                if isinstance(value, pvalue.PCollection):
                    collections_by_value[value].consumers.append(step)
            for side in sides:
                side.waiting.append(step)
            self._steps.append(step)
        # Impulse, and a Flatten of nothing, whose consumers have to end too.
        self._roots = [
            step
            for one, step in zip(applied, self._steps, strict=True)
            if not any(isinstance(value, pvalue.PCollection) for value in one.inputs)
        ]

    def run(self) -> None:
        try:
            for step in self._steps:
                step.prepare()
            ended = sum(self._end(root) for root in self._roots)
            if ended != len(self._steps):  # must not be mistaken for a result
                raise RuntimeError(
                    f"{len(self._steps) - ended} of {len(self._steps)} steps of the pipeline did not run"
                )
        except BaseException:
            for step in self._steps:
                with contextlib.suppress(Exception):  # the first error is the one to report
                    step.abandon()
            raise

    def _end(self, first: _Step) -> int:
        """Ends a step whose inputs have ended, and all steps that end as a consequence; returns how many.

        It uses a queue, because graphs are deeper than Python's stack.
        """
        ending = collections.deque([first])
        ended = 0
        while ending:
            step = ending.popleft()
            step.finish()
            ended += 1
            for output in dict.fromkeys(step.outputs.values()):
                for consumer in output.consumers:
                    consumer.open_inputs -= 1
                    if not consumer.open_inputs and not consumer.missing_sides:
                        ending.append(consumer)
                for waiting in output.waiting:
                    waiting.missing_sides -= 1
                    if not waiting.missing_sides:
                        waiting.has_side_inputs()
                        if not waiting.open_inputs:
                            ending.append(waiting)
        return ended


def _step(applied: AppliedPTransform, outputs: dict[Any, _Collection], sides: list[_Collection]) -> _Step:
    if isinstance(applied.transform, core.ParDo):
        return _ParDo(applied, outputs, sides)
    kinds: dict[type, type[_Step]] = {
        core.Impulse: _Impulse,
        core.GroupByKey: _GroupByKey,
        core.CombinePerKey: _CombinePerKey,
        combiners.Count.PerElement: _CountPerElement,
    }
    for kind, step in kinds.items():
        if isinstance(applied.transform, kind):
            return step(applied, outputs)
    return _Step(applied, outputs)  # Flatten and Reshuffle pass elements on


def _index(key: Any) -> Hashable:
    """A dictionary key for a Beam key. Beam compares keys by their bytes: 1, 1.0 and True differ, and all NaN are equal."""
    if type(key) in _OWN_INDEX:
        return key  # type: ignore[no-any-return]
    if isinstance(key, (float, np.floating)):
        return float, repr(float(key))
    if isinstance(key, bool):
        return bool, key
    if type(key) is tuple:
        return tuple(map(_index, key))
    try:
        hash(key)
    except TypeError:  # e.g. an array
        return pickle.dumps(key)
    return key  # type: ignore[no-any-return]
