"""What OpenLineage's provider, if installed, is told about a task: the data it read, the gates' verdicts, the release.

Airflow's own inlets and outlets do not say that: their URIs name a workload's data or model as a whole (`trainyard://`), and only
URIs of known storage are translated. Names follow OpenLineage's rules (https://openlineage.io/docs/spec/naming).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dags.assets import span_pattern
from landing import dataset_name, has_spans, locations
from spec import home
from spec.workload import load_workload


def lineage_of(workload: str, outcome: Mapping[str, Any], gates: Any = ()) -> Any:
    """An `OperatorLineage`. The provider asks for it, so its libraries are installed."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset  # type: ignore
    from openlineage.client.facet_v2 import data_quality_assertions_dataset, dataset_version_dataset  # type: ignore

    assertions = [
        data_quality_assertions_dataset.Assertion(assertion=text, success=success)
        for gate in gates
        for text, success in _assertions(gate)
    ]
    checked: dict[str, Any] = {}
    if assertions:
        facet = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions)
        checked = {"dataQualityAssertions": facet}
    inputs = [InputDataset(*dataset_name(uri), inputFacets=checked) for uri in data_of(workload, outcome.get("span"))]
    outputs = []
    if release := outcome.get("release"):
        version: Any = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=str(release["version"]))
        namespace, store = dataset_name(home.store_uri())
        outputs = [OutputDataset(namespace, f"{store}/{workload}", facets={"version": version})]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def data_of(workload: str, span: int | None) -> list[str]:
    """The URI of a span of a workload's data; of all data if it has no spans; none if the span is gone."""
    uri = span_pattern(load_workload(home.workloads_root() / workload))
    if not has_spans(uri):
        return [uri]
    known = locations(uri)
    return [known[span].uri] if span in known else []


def _assertions(gate: Mapping[str, Any]) -> list[tuple[str, bool]]:
    # Nothing is asserted about what was not judged.
    failed = [one for one in gate.get("findings") or [] if one.get("verdict") != "not judged"]
    findings = [(f"{gate['gate']}: {one['message']}", False) for one in failed]
    return [(str(gate["gate"]), bool(gate["passes"])), *findings]
