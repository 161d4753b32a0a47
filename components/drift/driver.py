from __future__ import annotations

import json

from tfx.dsl.components.base import base_driver as component_base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2

from components.artifacts import DataDrift
from components.store_errors import store_errors
from model_store import STABLE, ModelStore


class Driver(component_base_driver.BaseDriver, base_driver.BaseDriver):
    """Finds the profile of the span before, when the node runs, and puts its place into the cache key."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        component_base_driver.BaseDriver.__init__(self, metadata_handle)
        base_driver.BaseDriver.__init__(self, metadata_handle)
        self._metadata = metadata_handle

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        (examples,) = execution_info.input_dict["examples"]
        output = driver_output_pb2.DriverOutput()
        champion_of = str(execution_info.exec_properties.get("champion_of") or "")
        baseline, name = self._of_champion(*json.loads(champion_of)) if champion_of else ("", "")
        output.exec_properties["baseline"].string_value = baseline or self._before(
            int(examples.span), execution_info.pipeline_info.id
        )
        output.exec_properties["baseline_name"].string_value = name
        return output

    def _of_champion(self, store_uri: str, model: str) -> tuple[str, str]:
        """Where the profile lies that the run left which published the stable release, and what to call it; ("", "") if nowhere."""
        with store_errors():
            models = ModelStore(store_uri)
            if STABLE not in models.labels(model):
                return "", ""
            release = models.resolve(model, STABLE)
        with self._metadata as handle:
            run = handle.store.get_context_by_type_and_name("pipeline_run", release.run_id)
            kinds = {kind.id for kind in handle.store.get_artifact_types() if kind.name == DataDrift.TYPE_NAME}
            found = [
                one
                for one in (handle.store.get_artifacts_by_context(run.id) if run else ())
                if one.type_id in kinds and one.state == one.LIVE
            ]
        return (str(found[0].uri), f"release {release.version}") if found else ("", "")

    def _before(self, span: int, pipeline: str) -> str:
        """Where the newest profile of the nearest span before lies; empty if there is none."""
        with self._metadata as handle:
            store = handle.store
            context = store.get_context_by_type_and_name("pipeline", pipeline)
            if context is None:
                return ""
            kinds = {kind.id for kind in store.get_artifact_types() if kind.name == DataDrift.TYPE_NAME}
            found = [
                (one.properties["span"].int_value, one.id, one.uri)
                for one in store.get_artifacts_by_context(context.id)
                if one.type_id in kinds and one.state == one.LIVE and one.properties["span"].int_value < span
            ]
        return str(max(found)[2]) if found else ""
