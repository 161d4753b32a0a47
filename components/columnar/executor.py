"""The base of our Beam executors: Beam as TFX starts it, less what Beam 2.77 computes again for every transform.

A graph of TFDV or TFT has hundreds of transforms, and building it takes longer than running it on a few thousand rows. Two
thirds of that were answers that do not change: parsing the options (each look at an option builds an argparse parser) and
inspecting the signatures of the same methods. Both are remembered here. docs/performance.md has the figures.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms import core
from tfx.dsl.components.base import base_beam_executor


class ColumnarBeamExecutor(base_beam_executor.BaseBeamExecutor):
    """A BaseBeamExecutor whose pipeline is built quickly; it runs wherever the pipeline's Beam arguments say."""

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
                pipeline = beam.Pipeline(FnApiRunner() if direct else None, options=options)
            with pipeline:
                yield pipeline


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
