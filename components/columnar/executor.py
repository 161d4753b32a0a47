"""The base of our Beam executors: work runs where the Beam arguments say, or in this process if there are none.

A TFDV or TFT graph has hundreds of transforms, and building it takes longer than running it on a few thousand rows. Beam 2.77
spends two thirds of that on parsing the options again (every access builds an argparse parser) and on inspecting the signatures
of the same methods again. Both are cached here. docs/performance.md has the figures.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms import core
from tfx.dsl.components.base import base_beam_executor

from components.columnar._combining import collect, combine_here, combine_on, new_target
from components.columnar._defaults import choose
from components.columnar._errors import restored
from components.columnar._workers import Crew
from components.columnar.eager import EagerRunner
from spec.machine import usable_machine

_DIRECT = (None, "DirectRunner", "SwitchingDirectRunner", "FnApiRunner")


class ColumnarBeamExecutor(base_beam_executor.BaseBeamExecutor):
    """A BaseBeamExecutor that builds its pipeline quickly and runs it where the Beam arguments say.

    Without Beam arguments everything stays in this process, with Beam only where a pipeline is needed.
    """

    def __init__(self, context: base_beam_executor.BaseBeamExecutor.Context | None = None) -> None:
        arguments = list(context.beam_pipeline_args or []) if context else []
        local = bool(arguments) and PipelineOptions(arguments).view_as(StandardOptions).runner in _DIRECT
        if context and local:
            context.beam_pipeline_args = []  # or TFX packages its own code for remote workers, which takes a second each time
        super().__init__(context)
        if context and local:
            context.beam_pipeline_args = self._beam_pipeline_args = arguments

    @property
    def _in_process(self) -> bool:
        """Whether the work stays in this process: no Beam arguments were given."""
        return not self._beam_pipeline_args and self._make_beam_pipeline_fn is None

    def _combine(self, elements: Sequence[Any], combine: beam.CombineFn, size_bytes: int = 0) -> Any:
        """Adds every element to accumulators and returns what `combine` extracts from them all together.

        The elements are shards of work (a row group, a file), named, not loaded: `add_input` does the work, on any worker and
        maybe again after a worker died. On Beam they come in no order. The result is written below `--temp_location` where
        that is given, else into the run's own folder, which workers on other machines have to see.

        Args:
            combine: its state has to fit a pickle.
            size_bytes: of the data that the elements name, uncompressed as far as that is known. Without Beam arguments it
                decides, with the machine's cores and memory, whether the work stays in this process (then the elements come
                in their order) or goes to worker processes.

        Raises:
            ValueError: as `combine` raised it, InputError too; of several elements that it refuses, for the first. Any other
                error may come back as Beam's.
        """
        arguments = self._beam_pipeline_args
        if self._in_process:
            arguments = choose(size_bytes, *usable_machine())
            if not arguments:
                return combine_here(elements, combine)
        place = PipelineOptions(arguments).view_as(GoogleCloudOptions).temp_location
        target = new_target(place or self._get_tmp_dir())
        with self._pipeline(arguments) as pipeline:
            combine_on(pipeline, elements, combine, target)
        return collect(target)

    @contextlib.contextmanager
    def _pipeline(self, arguments: Sequence[str] | None = None) -> Iterator[beam.Pipeline]:
        """A pipeline that runs when the block ends, with these Beam arguments instead of the executor's own if there are any.

        Raises:
            ValueError: one of this project's own (InputError), as it was raised in a worker.
            WorkerLost: a worker process of this machine ended before its work did.
        """
        crew = Crew()
        with _remembered_signatures():
            try:
                with self._new_pipeline(crew, arguments or self._beam_pipeline_args) as pipeline:
                    yield pipeline
            except Exception as error:
                if crew.lost is not None:
                    raise crew.lost.with_traceback(None) from error
                mendable = restored(error)
                if mendable is None or mendable is error:
                    raise
                raise mendable from error

    def _new_pipeline(self, crew: Crew, arguments: Sequence[str]) -> beam.Pipeline:
        if self._make_beam_pipeline_fn is not None:
            return self._make_beam_pipeline()
        options = _Options(list(arguments))
        if not arguments:
            return beam.Pipeline(EagerRunner(), options=options)
        # DirectRunner inspects the whole graph to choose a runner; for batch pipelines it chooses this one.
        if options.view_as(StandardOptions).runner not in _DIRECT:
            return beam.Pipeline(options=options)
        direct = options.view_as(DirectOptions)
        if direct.direct_running_mode != "multi_processing":
            return beam.Pipeline(FnApiRunner(), options=options)
        direct.direct_running_mode = None  # or the runner would use Beam's own processes, which are not watched
        return beam.Pipeline(FnApiRunner(crew.environment()), options=options)


class _Options(PipelineOptions):
    """Options that cache their views, which all share the same values."""

    def view_as(self, cls: type[Any]) -> Any:
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_views"}


@contextlib.contextmanager
def _remembered_signatures() -> Iterator[None]:
    """Caches signatures while a pipeline is built: Beam inspects each method of a DoFn up to six times."""
    inspect: Callable[[Any], tuple[list[str], list[Any]]] | None = getattr(core, "get_function_args_defaults", None)
    if inspect is None:  # another version of Beam
        yield
        return
    known: weakref.WeakKeyDictionary[Any, tuple[list[str], list[Any]]] = weakref.WeakKeyDictionary()

    def remembered(function: Any) -> tuple[list[str], list[Any]]:
        method = getattr(function, "__func__", None)  # only methods, whose signature does not depend on the instance
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
