"""The component's own executor over real files."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components import border
from components.ingestion import sources
from components.ingestion.executor import Executor
from spec.workload import Ingestion, Label

SCHEMA = """
feature { name: "id" type: INT presence { min_fraction: 1.0 } shape {} }
feature { name: "price" type: FLOAT presence { min_fraction: 1.0 } shape {} }
"""


@pytest.fixture
def ingest(tmp_path: pathlib.Path) -> Callable[..., standard_artifacts.Examples]:
    """Ingests files {name: content}; returns the Examples artifact."""
    schema = standard_artifacts.Schema()
    schema.uri = str(tmp_path / "schema")
    runs = 0

    def run(
        files: dict[str, str | bytes], contract: str = SCHEMA, beam_args: Sequence[str] = (), **options: Any
    ) -> standard_artifacts.Examples:
        nonlocal runs
        runs += 1
        pathlib.Path(schema.uri).mkdir(exist_ok=True)
        pathlib.Path(schema.uri, "schema.pbtxt").write_text(contract)
        for name, content in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        config = Ingestion(**{"uri": f"{tmp_path}/data/*", "format": "csv", "label": Label(column="price"), **options})
        spans = [
            {"span": s.number, "digest": s.digest, "files": s.files}
            for s in sources.resolve_window(config.uri, sources.newest_span(config.uri), config.window)
        ]
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / f"examples-{runs}")
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=list(beam_args), tmp_dir=str(tmp_path / "tmp"), unique_id=str(runs)
        )
        Executor(context).Do(
            {"schema": [schema]},
            {"examples": [examples]},
            {"input_config": border.dump(config), "spans": json.dumps(spans), "span": 0},
        )
        return examples

    return run
