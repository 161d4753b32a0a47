from __future__ import annotations

from collections.abc import Mapping

from tfx.orchestration.portable import data_types

from components import border
from components.drivers import PropertyDriver
from components.ingestion import sources
from spec.workload import Ingestion


class Driver(PropertyDriver):
    """Finds the window's files when the node runs, and puts their digests into the cache key."""

    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        config = border.load(Ingestion, execution_info.exec_properties["input_config"])
        span = int(execution_info.exec_properties["span"])
        if span < 0:
            span = sources.newest_span(config.uri)
        window = sources.resolve_window(config.uri, span, config.window, config.format == "images")
        spans = [
            {"span": one.number, "digest": one.digest, "files": one.files, "version": one.version} for one in window
        ]
        return {
            "span": span,
            "fingerprint": ",".join(one.digest for one in window),
            "spans": border.dump(spans),
        }
