from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx.orchestration.portable import data_types

from components import border
from components.artifacts import noted_spans
from components.drift._verdicts import SpanVerdict, judged, live_profiles
from components.drivers import PropertyDriver
from components.store_errors import store_errors
from model_store import STABLE, ModelStore


class Driver(PropertyDriver):
    """Finds the profile of the last accepted span when the node runs, and puts its URI into the cache key."""

    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        (examples,) = execution_info.input_dict["examples"]
        champion_of = str(execution_info.exec_properties.get("champion_of") or "")
        baseline, name = self._of_champion(*border.load(tuple[str, str], champion_of)) if champion_of else ("", "")
        reference = self._reference(examples, execution_info.pipeline_info.id)
        if baseline:
            reference = {**reference, "baseline": baseline}
        return {**reference, "baseline_name": name}

    def _of_champion(self, store_uri: str, model: str) -> tuple[str, str]:
        """The URI of the profile from the run that published the stable release, and its name; ("", "") if there is none."""
        with store_errors():
            models = ModelStore(store_uri)
            if STABLE not in models.labels(model):
                return "", ""
            release = models.resolve(model, STABLE)
        with self._metadata as handle:
            run = handle.store.get_context_by_type_and_name("pipeline_run", release.run_id)
            found = live_profiles(handle.store, handle.store.get_artifacts_by_context(run.id) if run else ())
        return (next(iter(found.values())), f"release {release.version}") if found else ("", "")

    def _reference(self, examples: Any, pipeline: str) -> dict[str, str]:
        """`baseline`: the URI of the last accepted span's profile; `baseline_span`: its number; `baseline_verdict`: set if it is not
        known to be accepted; `refused`: spans of the window that were refused as they are."""
        with self._metadata as handle:
            found = judged(handle.store, pipeline)
        window = set(noted_spans(examples.get_string_custom_property("spans")))
        last = {(one.span, one.digest): one.verdict for one in found}
        refused = sorted(span for span, digest in window if last.get((span, digest)) is SpanVerdict.REFUSED)
        before = [one for one in found if one.span < int(examples.span) and one.profile]
        accepted = [one for one in before if one.verdict is SpanVerdict.ACCEPTED]
        unknown = [one for one in before if one.verdict is SpanVerdict.UNKNOWN]
        chosen = accepted[-1] if accepted else unknown[-1] if unknown else None
        return {
            "baseline": chosen.profile if chosen else "",
            "baseline_span": str(chosen.span) if chosen else "",
            "baseline_verdict": "" if chosen in accepted or not chosen else str(chosen.verdict),
            "refused": border.dump(refused),
        }
