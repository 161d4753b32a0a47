"""Reads the run's artifacts and writes its page and the model's card."""

from __future__ import annotations

import pathlib
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import border
from components.artifacts import Artifacts, measured
from components.report import card, card_page
from components.report.collect import artifact_facts, collect
from components.report.render import render_run

CARD_PAGE = "model_card.html"


class Executor(base_executor.BaseExecutor):
    """Writes `index.html` and `model_card.html` under the output's URI."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        with measured(output_dict):
            found = {name: artifact_facts(artifacts) for name, artifacts in input_dict.items()}
            known = {name: facts for name, facts in found.items() if facts is not None}
            run_id = (self._context.pipeline_run_id if self._context else None) or ""
            facts = collect(border.load(dict[str, Any], exec_properties["workload"]), run_id, known)
            folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["report"]))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "index.html").write_text(render_run(facts), encoding="utf-8")
            page = card_page.html(card.document(facts), facts.release)
            (folder / CARD_PAGE).write_text(page, encoding="utf-8")
