"""The base of the Beam executors: quicker, and still Beam's own behaviour."""

from __future__ import annotations

import pickle

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions, SetupOptions, StandardOptions
from apache_beam.transforms import core
from tfx.dsl.components.base import base_beam_executor

from components.columnar.executor import ColumnarBeamExecutor, _Options

IN_MEMORY = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]


class Executor(ColumnarBeamExecutor):
    def Do(self, input_dict, output_dict, exec_properties) -> None: ...


@pytest.fixture
def executor(tmp_path) -> Executor:
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(IN_MEMORY), tmp_dir=str(tmp_path), unique_id="1"
    )
    return Executor(context)


def test_a_pipeline_runs_when_its_block_ends(executor: Executor, tmp_path) -> None:
    with executor._pipeline() as pipeline:
        _ = pipeline | beam.Create([1, 2, 3]) | beam.CombineGlobally(sum) | beam.io.WriteToText(str(tmp_path / "sum"))
    (written,) = tmp_path.glob("sum*")
    assert written.read_text() == "6\n"


def test_what_fails_in_a_pipeline_comes_out_and_beam_is_left_as_it_was(executor: Executor) -> None:
    before = core.get_function_args_defaults
    with pytest.raises(Exception, match="by zero"):
        with executor._pipeline() as pipeline:
            assert core.get_function_args_defaults is not before
            _ = pipeline | beam.Create([0]) | beam.Map(lambda x: 1 // x)
    assert core.get_function_args_defaults is before


def test_signatures_are_those_that_beam_finds(executor: Executor) -> None:
    class Add(beam.DoFn):
        def process(self, element, amount, moment=beam.DoFn.TimestampParam):
            yield element + amount

    expected = core.get_function_args_defaults(Add().process)
    with executor._pipeline():
        for _ in range(2):
            arguments, defaults = core.get_function_args_defaults(Add().process)
            assert (arguments, defaults) == expected
            arguments.append("a caller may change its list")


def test_options_keep_their_values_through_views_and_pickling() -> None:
    options = _Options([*IN_MEMORY, "--direct_num_workers=3"])
    assert options.view_as(DirectOptions).direct_num_workers == 3
    options.view_as(SetupOptions).save_main_session = True
    assert options.view_as(SetupOptions).save_main_session
    assert options.view_as(StandardOptions).view_as(SetupOptions).save_main_session
    again = pickle.loads(pickle.dumps(options))
    assert again.view_as(DirectOptions).direct_num_workers == 3 and again.view_as(SetupOptions).save_main_session
    assert options.get_all_options(drop_default=True)["direct_num_workers"] == 3
