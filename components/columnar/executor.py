"""The base of our Beam executors: work goes where the Beam arguments say, and stays in this process where none are given.

Beam as TFX starts it, less what Beam 2.77 computes again for every transform.

A graph of TFDV or TFT has hundreds of transforms, and building it takes longer than running it on a few thousand rows. Two
thirds of that were answers that do not change: parsing the options (each look at an option builds an argparse parser) and
inspecting the signatures of the same methods. Both are remembered here. docs/performance.md has the figures.
"""

from __future__ import annotations

import contextlib
import pathlib
import pickle
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.transforms import core
from tfx.dsl.components.base import base_beam_executor

from components.columnar.eager import EagerRunner


class ColumnarBeamExecutor(base_beam_executor.BaseBeamExecutor):
    """A BaseBeamExecutor whose pipeline is built quickly; it runs wherever the pipeline's Beam arguments say."""

    @property
    def _in_process(self) -> bool:
        """Whether the work stays in this process: no Beam arguments were given."""
        return not self._beam_pipeline_args and self._make_beam_pipeline_fn is None

    def _combine(self, elements: Sequence[Any], combine: beam.CombineFn) -> Any:
        """Adds every element to accumulators and returns what `combine` extracts from them all together.

        The elements are shards of work (a row group, a file), named, not loaded: `add_input` does the work, on any worker and
        maybe again after a worker died. Without Beam arguments it is called here, in the order of the elements.
        """
        if self._in_process:
            combine.setup()
            try:
                accumulator = combine.create_accumulator()
                for element in elements:
                    accumulator = combine.add_input(accumulator, element)
                return combine.extract_output(accumulator)
            finally:
                combine.teardown()
        result = pathlib.Path(self._get_tmp_dir()) / "combined.pickle"  # our own file, below the run's folder
        result.parent.mkdir(parents=True, exist_ok=True)
        with self._pipeline() as pipeline:
            _ = (
                pipeline
                | "Shards" >> beam.Create(elements, reshuffle=True)
                | "Combine" >> beam.CombineGlobally(combine)
                | "Keep" >> beam.Map(_keep, str(result))
            )
        return pickle.loads(result.read_bytes())

    @contextlib.contextmanager
    def _pipeline(self) -> Iterator[beam.Pipeline]:
        """A pipeline that runs when the block ends."""
        with _remembered_signatures():
            if self._make_beam_pipeline_fn is not None:
                pipeline = self._make_beam_pipeline()
            else:
                options = _Options(self._beam_pipeline_args)
                # DirectRunner looks through the whole graph to see which runner can take it; batch pipelines end at this one.
                direct = options.view_as(StandardOptions).runner in (None, "DirectRunner", "SwitchingDirectRunner")
                pipeline = beam.Pipeline(EagerRunner() if direct else None, options=options)
            with pipeline:
                yield pipeline


def _keep(value: Any, path: str) -> None:
    partial = pathlib.Path(path).with_suffix(".partial")
    partial.write_bytes(pickle.dumps(value))
    partial.rename(path)


class _Options(PipelineOptions):
    """Options that keep their views: all views of one object share its values anyway."""

    def view_as(self, cls: type[Any]) -> Any:
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_views"}


@contextlib.contextmanager
def _remembered_signatures() -> Iterator[None]:
    """Beam inspects each method of a DoFn up to six times; meanwhile each function is inspected once."""
    inspect: Callable[[Any], tuple[list[str], list[Any]]] | None = getattr(core, "get_function_args_defaults", None)
    if inspect is None:  # another Beam: it does without
        yield
        return
    known: weakref.WeakKeyDictionary[Any, tuple[list[str], list[Any]]] = weakref.WeakKeyDictionary()

    def remembered(function: Any) -> tuple[list[str], list[Any]]:
        method = getattr(function, "__func__", None)  # only methods: what they are bound to does not show in the answer
        if method is None:
            return inspect(function)
        if method not in known:
            known[method] = inspect(function)
        arguments, defaults = known[method]
        return list(arguments), list(defaults)

    core.get_function_args_defaults = remembered
    try:
        yield
    finally:
        core.get_function_args_defaults = inspect
