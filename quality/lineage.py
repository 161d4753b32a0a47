"""OpenLineage events with data-quality facets, for those who collect them.

Where the environment names a collector as OpenLineage's clients expect it (OPENLINEAGE_URL, OPENLINEAGE_CONFIG or
OPENLINEAGE__TRANSPORT__...), a run's validation goes out as one RunEvent whose input data set, the span, carries
DataQualityMetricsInputDatasetFacet and DataQualityAssertionsDatasetFacet.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

from components.report.site import page_url
from landing import dataset_name
from quality.history import Check, Column, Validation
from quality.provenance import Code

_CONFIGURED = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__")
_PRODUCER = "urn:trainyard"
_SEVERITIES = {"critical": "error", "warning": "warn", "info": "info"}


def wanted() -> bool:
    """Whether the environment names a collector."""
    is_off = os.environ.get("OPENLINEAGE_DISABLED", "").lower() in ("1", "true")
    return not is_off and any(name.startswith(_CONFIGURED) and value for name, value in os.environ.items())


def emit(validation: Validation, source: str, say: Callable[[str], None], code: Code | None = None) -> None:
    """Sends a run's validation to the collector, if there is one. A failure is reported, and changes nothing about the run.

    Args:
        source: where the span lies: a path or a URL, perhaps with a pattern.
    """
    if not wanted():
        return
    try:
        from openlineage.client import OpenLineageClient

        client = OpenLineageClient()
        client.emit(event(validation, source, code))
        client.close(timeout=10.0)
    except Exception as error:  # the message may hold an address with a key in it
        say(f"OpenLineage has no event of this run: the collector did not take it ({type(error).__name__})")


def event(validation: Validation, source: str, code: Code | None = None) -> Any:
    """The RunEvent of a validation.

    The run's id is a UUID made from ours, the same every time: OpenLineage asks for one.
    """
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import tags_run

    known = {"code_revision": code.revision, "code_digest": code.digest} if code else {}
    tags = [tags_run.TagsRunFacetFields(key, value, _PRODUCER) for key, value in known.items() if value]
    run_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{_PRODUCER}:{validation.workload}:{validation.id}"))
    namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or "trainyard"
    return RunEvent(
        eventTime=validation.created_at,
        producer=_PRODUCER,
        run=Run(runId=run_id, facets={"tags": tags_run.TagsRunFacet(tags=tags)} if tags else {}),
        job=Job(namespace=namespace, name=f"{validation.workload}.data_quality"),
        eventType=RunState.FAIL if validation.outcome == "failed" else RunState.COMPLETE,
        inputs=[_dataset(validation, source)],
    )


def _dataset(validation: Validation, source: str) -> Any:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import (
        data_quality_assertions_dataset,
        data_quality_metrics_input_dataset,
        documentation_dataset,
        ownership_dataset,
        set_producer,
    )

    set_producer(_PRODUCER)
    metrics = data_quality_metrics_input_dataset
    namespace, name = dataset_name(source)
    where = page_url(validation.workload, validation.id)
    facets: dict[str, Any] = {
        "documentation": documentation_dataset.DocumentationDatasetFacet(f"{validation.headline} {where}".strip())
    }
    if validation.owner:
        owner = ownership_dataset.Owner(name=validation.owner)
        facets["ownership"] = ownership_dataset.OwnershipDatasetFacet(owners=[owner])
    return InputDataset(
        namespace=namespace,
        name=name,
        facets=facets,
        inputFacets={
            "dataQualityMetrics": metrics.DataQualityMetricsInputDatasetFacet(
                rowCount=validation.rows,
                columnMetrics={
                    column.name: metrics.ColumnMetrics(**_column_metrics(column)) for column in validation.columns
                },
            ),
            "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
                assertions=[
                    data_quality_assertions_dataset.Assertion(**_assertion(check))
                    for check in validation.checks
                    if check.judged  # nothing is asserted by the others
                ]
            ),
        },
    )


def _column_metrics(column: Column) -> dict[str, Any]:
    present = round(column.rows * (1 - column.missing))
    found = {
        "nullCount": column.rows - present,
        "distinctCount": column.distinct,
        "count": float(present),
        "sum": None if column.mean is None else column.mean * present,
        "min": column.minimum,
        "max": column.maximum,
    }
    quantiles = {f"{probability:g}": value for probability, value in column.quantiles.items()}
    return found | ({"quantiles": quantiles} if quantiles else {})


def _assertion(check: Check) -> dict[str, Any]:
    # A waiver forgives: a collector that stops on failures must not stop on this one.
    return {
        "assertion": check.expectation or f"{check.gate}: {check.name}",
        "success": check.passes or bool(check.waiver),
        "column": check.column or None,
        "severity": _SEVERITIES.get(check.severity, check.severity),
        "name": check.name,
        "description": check.message or None,
    }
