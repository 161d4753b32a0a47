"""TFDV's statistics without Beam: the same generators, fed batch by batch in this process.

TFDV has two generators of top values and unique counts: an exact one, which is a Beam graph (and most of its cost), and a
sketch, which estimates. Statistics must not depend on where they are computed, so this counts exactly in another way.
"""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterable

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.arrow import arrow_util
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators import stats_generator, top_k_uniques_stats_generator
from tensorflow_data_validation.types import FeaturePath
from tensorflow_data_validation.utils import schema_util, stats_util, top_k_uniques_stats_util
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx_bsl.arrow import array_util
from tfx_bsl.statistics import merge_util

from components.statistics._counting import ValueCounter
from components.statistics._histograms import quick_histograms

# For the counts of all columns together. 10 million different ids of 20 bytes would need 360 MiB.
_MEMORY = 256 * 2**20


def generate_statistics(
    batches: Iterable[pa.RecordBatch], options: tfdv.StatsOptions, spill: pathlib.Path, memory: int = _MEMORY
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The same as `tfdv.GenerateStatistics(options)`, computed immediately in this process.

    Args:
        batches: with list columns, as TFDV takes them.
        options: without slices, weights or a label's lift.
        spill: a folder for temporary files, used if counts do not fit into `memory`; created if it is missing.
        memory: bytes for the counts of values.
    """
    spill.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spill) as folder:
        generators = [_here(one, options, pathlib.Path(folder), memory) for one in stats_impl.get_generators(options)]
        for generator in generators:
            generator.setup()
        accumulators = [generator.create_accumulator() for generator in generators]
        # Threads do not help: the quantile sketches, two thirds of the work, hold Python's lock.
        for batch in batches:
            for index, generator in enumerate(generators):
                accumulators[index] = generator.add_input(accumulators[index], batch)
        with quick_histograms():
            outputs = [one.extract_output(mine) for one, mine in zip(generators, accumulators, strict=True)]
    return merge_util.merge_dataset_feature_statistics(outputs)


def _here(
    generator: stats_generator.StatsGenerator, options: tfdv.StatsOptions, folder: pathlib.Path, memory: int
) -> stats_generator.CombinerStatsGenerator:
    if isinstance(generator, top_k_uniques_stats_generator.TopKUniquesStatsGenerator):
        return _TopValues(options, folder, memory)
    if not isinstance(generator, stats_generator.CombinerStatsGenerator):
        raise TypeError(f"statistics generator {generator.name} needs Beam; give Beam arguments")
    return generator


_Counters = dict[FeaturePath, ValueCounter]


class _TopValues(stats_generator.CombinerStatsGenerator):
    """The most frequent values and the number of distinct ones, of texts and of integers that the schema calls categorical.

    The same values as TFDV's TopKUniquesStatsGenerator. Counters may be in local files, so accumulators cannot be merged.
    """

    def __init__(self, options: tfdv.StatsOptions, folder: pathlib.Path, memory: int) -> None:
        super().__init__("TopValues", options.schema)
        schema = options.schema or schema_pb2.Schema()
        self._options = options
        self._folder, self._memory = folder, memory
        self._bytes = frozenset(schema_util.get_bytes_features(schema))
        self._categories = schema_util.get_categorical_numeric_feature_types(schema)

    def create_accumulator(self) -> _Counters:
        return {}

    def add_input(self, accumulator: _Counters, batch: pa.RecordBatch) -> _Counters:
        leaves = arrow_util.enumerate_arrays(batch, example_weight_map=None, enumerate_leaves_only=True)
        for path, column, _ in leaves:
            if self._is_counted(path, stats_util.get_feature_type_from_arrow_type(path, column.type)):
                if path not in accumulator:
                    accumulator[path] = ValueCounter(self._folder / str(len(accumulator)))
                accumulator[path].add(array_util.flatten_nested(column)[0])
        self._make_room(accumulator)
        return accumulator

    def extract_output(self, accumulator: _Counters) -> statistics_pb2.DatasetFeatureStatistics:
        size = max(self._options.num_top_values, self._options.num_rank_histogram_buckets)
        result = statistics_pb2.DatasetFeatureStatistics()
        for path, counter in accumulator.items():
            unique, top = counter.unique_and_top(size)
            if unique:
                result.features.append(self._statistics(path, unique, top))
        return result

    def _statistics(
        self, path: FeaturePath, unique: int, top: list[tuple[bytes | int, int]]
    ) -> statistics_pb2.FeatureNameStatistics:
        return top_k_uniques_stats_util.make_feature_stats_proto_topk_uniques(
            feature_path=path,
            num_top_values=self._options.num_top_values,
            num_rank_histogram_buckets=self._options.num_rank_histogram_buckets,
            num_unique=unique,
            value_count_list=[top_k_uniques_stats_util.FeatureValueCount(*pair) for pair in top],
            frequency_threshold=self._options.frequency_threshold,
        )

    def _is_counted(self, path: FeaturePath, kind: int | None) -> bool:
        if path in self._bytes:
            return False
        if kind == statistics_pb2.FeatureNameStatistics.STRING:
            return True
        return kind == statistics_pb2.FeatureNameStatistics.INT and bool(
            top_k_uniques_stats_util.output_categorical_numeric(self._categories, path, kind)
        )

    def _make_room(self, counters: _Counters) -> None:
        if sum(counter.nbytes for counter in counters.values()) <= self._memory:
            return
        for counter in counters.values():
            counter.settle()
        # Down to half, the largest first, so that not every batch spills.
        for counter in sorted(counters.values(), key=lambda one: one.nbytes, reverse=True):
            if sum(one.nbytes for one in counters.values()) <= self._memory // 2:
                return
            counter.spill()
