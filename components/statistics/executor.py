from __future__ import annotations

import pathlib
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import tensorflow_data_validation as tfdv
from tfx.types import artifact_utils

from components.artifacts import ROWS_IN, ROWS_OUT, Artifacts, measured
from components.columnar import count_rows, decode_splits, encode_splits, read_list_batches, split_directory
from components.columnar.beam import ReadExamples
from components.columnar.executor import ColumnarBeamExecutor
from components.schema import is_personal, read_schema
from components.statistics import masking
from components.statistics.in_process import generate_statistics

FILE_NAME = "FeatureStats.pb"


class Executor(ColumnarBeamExecutor):
    """Generates statistics for every split and checks that no row was lost."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        schema = read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        splits = decode_splits(examples.split_names)
        options = tfdv.StatsOptions(schema=schema, infer_type_from_schema=True)
        generate = self._generate_here if self._in_process else self._generate_on_beam
        with measured(output_dict) as rows:
            targets = {split: _target(statistics.uri, split) for split in splits}
            for target in targets.values():
                target.parent.mkdir(parents=True, exist_ok=True)
            generate(examples.uri, targets, options)
            if any(is_personal(feature) for feature in schema.feature):
                _mask(targets.values(), schema)
            rows[ROWS_IN] = rows[ROWS_OUT] = _check_rows(examples.uri, statistics.uri, splits)
        statistics.split_names = encode_splits(splits)
        statistics.span = examples.span

    def _generate_here(self, uri: str, targets: dict[str, pathlib.Path], options: tfdv.StatsOptions) -> None:
        spill = pathlib.Path(self._get_tmp_dir())
        for split, target in targets.items():
            _write(generate_statistics(read_list_batches(uri, split), options, spill), str(target))

    def _generate_on_beam(self, uri: str, targets: dict[str, pathlib.Path], options: tfdv.StatsOptions) -> None:
        with self._pipeline() as pipeline:
            for split, target in targets.items():
                _ = (
                    pipeline
                    | f"Read[{split}]" >> ReadExamples(uri, split)
                    | f"Generate[{split}]" >> tfdv.GenerateStatistics(options)
                    | f"Write[{split}]" >> beam.Map(_write, str(target))
                )


def _target(uri: str, split: str) -> pathlib.Path:
    return split_directory(uri, split) / FILE_NAME


def _write(statistics: Any, path: str) -> None:
    partial = pathlib.Path(path).with_suffix(".partial")
    partial.write_bytes(statistics.SerializeToString())
    partial.rename(path)


def _mask(targets: Iterable[pathlib.Path], schema: Any) -> None:
    for target in targets:
        statistics = tfdv.load_stats_binary(str(target))
        masking.mask(statistics, schema)
        _write(statistics, str(target))


def _check_rows(examples_uri: str, statistics_uri: str, splits: list[str]) -> int:
    """Compares the rows counted with the rows read, because Beam has been seen to lose rows silently (TFDV issue 247)."""
    total = 0
    for split in splits:
        expected = count_rows(examples_uri, split)
        loaded = tfdv.load_stats_binary(str(_target(statistics_uri, split)))
        counted = loaded.datasets[0].num_examples if loaded.datasets else 0
        if counted != expected:
            raise RuntimeError(f"statistics of split {split!r} counted {counted} rows of {expected}")
        total += expected
    return total
