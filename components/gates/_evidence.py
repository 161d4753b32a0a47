"""Where a gate leaves its evidence when it stops the run.

TFX deletes the outputs of a failed execution, and the evidence is worth most just then. So a gate keeps a copy beside
the artifacts of its pipeline, in `<pipeline root>/_gates/<run id>/<node id>/`.
"""

from __future__ import annotations

import pathlib
import shutil
from typing import Any

from components.gates._result import GateFailed, GateResult

RESULT_FILE = "gate.json"


def insist_on_pass(result: GateResult, context: Any, pipeline_root: str, files: pathlib.Path | None = None) -> None:
    """Lets the run go on, or keeps the evidence and stops it.

    Args:
        context: of the executor; None where no run is under way.
        files: a folder of reports that belongs to it.

    Raises:
        GateFailed: a critical check did not pass.
    """
    if result.passes:
        return
    if context is not None:
        node = context.pipeline_node.node_info.id
        keep_evidence(result, evidence_directory(pipeline_root, context.pipeline_run_id, node), files)
    raise GateFailed(result)


def evidence_directory(pipeline_root: str, run_id: str, node_id: str) -> pathlib.Path:
    """The folder for one node's evidence in one run."""
    return pathlib.Path(pipeline_root) / "_gates" / run_id.replace(":", "-") / node_id


def keep_evidence(result: GateResult, directory: pathlib.Path, files: pathlib.Path | None = None) -> None:
    """Writes the result, and a copy of `files` (a folder of reports), into the evidence directory."""
    if files is not None and files.is_dir():
        shutil.copytree(files, directory, dirs_exist_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / RESULT_FILE).write_text(result.to_json())
