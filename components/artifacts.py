"""Artifact types beyond TFX's standard ones, and the properties that our components put on every output."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tfx.types import artifact

from components.sizes import content_size

Artifacts = dict[str, list[artifact.Artifact]]
"""What an executor is given and has to fill, by the names of its inputs or outputs."""

ROWS_IN = "rows_in"
ROWS_OUT = "rows_out"
SECONDS = "seconds"
CONTENT_FILES = "content_files"
CONTENT_BYTES = "content_bytes"
BASELINE_FILE = "baseline.json"
ROWS_BY_SPAN = "rows_by_span"
"""Of Examples: JSON, split -> rows of each span of the window, oldest first; a split's rows lie in this order."""
BUILT_ON = "built_on"
"""Of a model: JSON, the releases that went into it, by what they were used for; each has `model`, `version` and `digest`."""
PRIVACY = "privacy"
"""Of a model that was trained under differential privacy: JSON, what the training has spent."""


class DataQualityReport(artifact.Artifact):
    """What Great Expectations found: `gate.json`, `validation.json` (GX's own result) and `data_docs/index.html`."""

    TYPE_NAME = "DataQualityReport"


class DataDrift(artifact.Artifact):
    """How far the newest span moved: `profile.json` (its distributions), `drift.json` (the measures) and `gate.json`."""

    TYPE_NAME = "DataDrift"
    PROPERTIES = {"span": artifact.Property(type=artifact.PropertyType.INT)}


class BaselineMetrics(artifact.Artifact):
    """What a simple method reaches on the rows that the model is judged on: `baseline.json`."""

    TYPE_NAME = "BaselineMetrics"


class ItemCatalogue(artifact.Artifact):
    """What can be retrieved: items, how often each occurs, and what each query has had (components/tasks/catalogue.py)."""

    TYPE_NAME = "ItemCatalogue"


class ModelVariants(artifact.Artifact):
    """Compressed variants of a model: a folder for each, by its name, like the model's own."""

    TYPE_NAME = "ModelVariants"


class RunReport(artifact.Artifact):
    """About one run: `index.html`, a self-contained page, and `model_card.html`."""

    TYPE_NAME = "RunReport"


def noted_spans(text: str) -> list[tuple[int, str]]:
    """Number and digest of each span of a window, oldest first, from the property `spans` of Examples."""
    return [(int(one["span"]), str(one.get("digest", ""))) for one in json.loads(text or "[]")]


@contextmanager
def measured(outputs: Mapping[str, Sequence[artifact.Artifact]]) -> Iterator[dict[str, int]]:
    """Notes seconds, rows and size on every output artifact; the runner, the report and the lineage read them there.

    Example:
        with measured(output_dict) as rows:
            rows[ROWS_IN], rows[ROWS_OUT] = count, count
    """
    started = time.monotonic()
    rows: dict[str, int] = {}
    yield rows
    for artifacts in outputs.values():
        for one in artifacts:
            one.set_float_custom_property(SECONDS, round(time.monotonic() - started, 3))
            files, size = content_size(one.uri)
            for key, value in {**rows, CONTENT_FILES: files, CONTENT_BYTES: size}.items():
                one.set_int_custom_property(key, int(value))
