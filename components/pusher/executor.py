from __future__ import annotations

import hashlib
import json
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact, artifact_utils

import answering
from components import border, code_files, searched
from components.artifacts import BUILT_ON, PRIVACY, Artifacts, measured
from components.champion.artifact import champion_version
from components.gates import GateResult
from components.pusher.driver import MODEL_ID, MODEL_NAME, STORE_URI
from components.report import card
from components.report.collect import artifact_facts, collect
from components.served_model import SERVING_FOLDER
from components.store_errors import store_errors
from model_store import CARD_FILE, RELEASE_FILE, VARIANTS_FOLDER, ModelStore, Release, ReleaseDraft, files_in
from spec import graph

GOLDEN_REQUESTS = "golden_requests.json"
_KEPT = ("task", "label", "classes", "rows", "span", "overall", "confidence", "bounds", "trivial", "slices", "variants")


class Executor(base_executor.BaseExecutor):
    """Publishes what every gate on models blessed."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes `pushed_model`.

        Raises:
            InputError: the model would touch more than its tensors and its own files, or the store cannot be written, and a retry
                would not change that.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        with measured(output_dict):
            refusals = self.refusals(input_dict)
            if refusals:
                pushed.set_int_custom_property("pushed", 0)
                pushed.set_string_custom_property("reason", "; ".join(refusals))
                return
            with store_errors():
                release = self.publish(input_dict, exec_properties)
            _record(pushed, release, exec_properties, input_dict["model"][0].id)

    def refusals(self, input_dict: Artifacts) -> list[str]:
        """Why the model may not be pushed; empty if it may. For subclasses that know more gates."""
        found = []
        for record in graph.model_gates():
            blessing = artifact_utils.get_single_instance(input_dict[record.name_of(record.blessing)])
            if blessing.get_int_custom_property("blessed") != 1:
                reason = blessing.get_string_custom_property("reason")
                found.append(f"not blessed by {record.id}" + (f" ({reason})" if reason else ""))
        return found

    def publish(self, input_dict: Artifacts, exec_properties: Mapping[str, Any]) -> Release:
        """Publishes the model and its variants with golden requests and a card, or finds that it has been."""
        variants = [pathlib.Path(one.uri) for one in input_dict.get("variants") or ()]
        files = files_of(pathlib.Path(input_dict["model"][0].uri) / SERVING_FOLDER, *variants)
        for path in files.values():
            if path.name == "saved_model.pb":  # the model's, and a variant's
                answering.insist_harmless(path.parent)
        model_name = exec_properties["model_name"]
        spans = json.loads(input_dict["examples"][0].get_string_custom_property("spans"))
        workload = border.load(dict[str, Any], exec_properties["workload"])
        run_id = (self._context.pipeline_run_id or "") if self._context else ""
        draft = ReleaseDraft(
            publication_key=publication_key(model_name, files, spans, workload["card"]),
            task=workload["task"],
            spans=spans,
            code_revision=exec_properties.get("code_revision") or "",
            code_digest=exec_properties.get("code_digest") or "",
            metrics=_metrics(input_dict["evaluation"][0]),
            gates=_gates(input_dict),
            parent=(champion_version(input_dict["champion"][0]) or None) if input_dict.get("champion") else None,
            run_id=run_id,
            search=_search(input_dict),
            built_on=json.loads(input_dict["model"][0].get_string_custom_property(BUILT_ON) or "{}"),
            privacy=json.loads(input_dict["model"][0].get_string_custom_property(PRIVACY) or "{}"),
            pipeline=self._context.pipeline_info.id if self._context and self._context.pipeline_info else "",
        )
        with tempfile.TemporaryDirectory() as folder:
            golden = pathlib.Path(input_dict["infra_blessing"][0].uri) / GOLDEN_REQUESTS
            if golden.is_file():
                files[f"assets.extra/{GOLDEN_REQUESTS}"] = golden
            files[CARD_FILE] = pathlib.Path(folder) / pathlib.PurePosixPath(CARD_FILE).name
            files[CARD_FILE].write_text(_card(input_dict, workload, run_id), encoding="utf-8")
            return ModelStore(exec_properties["store_uri"]).publish(model_name, files, draft)


def publication_key(
    model_name: str,
    files: Mapping[str, pathlib.Path],
    spans: list[dict[str, Any]],
    said: Mapping[str, Any] | None = None,
) -> str:
    """Names a publication by what is published: every byte of the model and its variants, the data it was trained on, and what its
    card says.

    Args:
        said: what people say of the model, as `card` of workload.yaml; what the run found out follows from the rest.

    The code's revision is left out: a commit that changes nothing of the model is no new release, and one that does
    changes its bytes.
    """
    named = [model_name, spans, *([said] if any((said or {}).values()) else [])]
    sha = hashlib.sha256(json.dumps(named, sort_keys=True).encode())
    for name, path in sorted(files.items(), key=lambda one: pathlib.PurePosixPath(one[0])):
        sha.update(f"\0{name}\0{code_files.sha256(path)}".encode())
    return sha.hexdigest()


def files_of(saved_model: pathlib.Path, *variants: pathlib.Path) -> dict[str, pathlib.Path]:
    """The files of a release by their names in it: those of the model, and of folders of variants.

    Raises:
        StoreError: one is a link.
    """
    placed = [("", saved_model), *((f"{VARIANTS_FOLDER}/", folder) for folder in variants)]
    return {place + name: path for place, folder in placed for name, path in files_in(folder).items()}


def _metrics(evaluation: artifact.Artifact) -> dict[str, Any]:
    """What a release says of its quality: all but the curves, which stay with the evaluation."""
    path = pathlib.Path(evaluation.uri) / "metrics.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: summary.get(name) for name in _KEPT}
    champion = summary.get("champion")
    kept["champion"] = champion and {name: value for name, value in champion.items() if name != "roc"}
    return kept


def _search(input_dict: Artifacts) -> dict[str, Any]:
    """What was searched and won; empty where nothing was."""
    return next((searched.read(one.uri).summary() for one in input_dict.get("best_hyperparameters") or ()), {})


def _card(input_dict: Artifacts, workload: Mapping[str, Any], run_id: str) -> str:
    found = {name: artifact_facts(artifacts) for name, artifacts in input_dict.items()}
    facts = collect(workload, run_id, {name: one for name, one in found.items() if one is not None})
    return json.dumps(card.document(facts), indent=1, ensure_ascii=False) + "\n"


def _gates(input_dict: Artifacts) -> list[dict[str, Any]]:
    found = []
    for record in graph.gates():
        for one in input_dict.get(record.result_name) or ():
            path = pathlib.Path(one.uri) / "gate.json"
            if path.is_file():
                gate = GateResult.from_json(path.read_text(encoding="utf-8"))
                found.append({"gate": gate.gate, "passes": gate.passes, "summary": gate.summary()})
    return found


def _record(pushed: artifact.Artifact, release: Release, exec_properties: Mapping[str, Any], model_id: int) -> None:
    folder = pathlib.Path(pushed.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RELEASE_FILE).write_text(json.dumps(release.as_dict(), indent=1, sort_keys=True), encoding="utf-8")
    pushed.set_int_custom_property("pushed", 1)
    pushed.set_string_custom_property("pushed_destination", release.uri)
    pushed.set_string_custom_property("pushed_version", str(release.version))
    pushed.set_string_custom_property("code_revision", release.code_revision)
    pushed.set_string_custom_property("code_digest", release.code_digest)
    pushed.set_string_custom_property(STORE_URI, exec_properties["store_uri"])
    pushed.set_string_custom_property(MODEL_NAME, exec_properties["model_name"])
    pushed.set_int_custom_property(MODEL_ID, model_id)
