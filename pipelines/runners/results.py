"""The result of a run: what `--json` prints and `run.json` keeps."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from typing import Any


@dataclasses.dataclass
class ComponentResult:
    """One node of the graph.

    Attributes:
        status: waiting, running, succeeded or failed; on Kubeflow also skipped or canceled.
        seconds: wall clock, None until it ended.
        rows_in: rows read, None where it does not apply.
        rows_out: rows written, None where it does not apply.
    """

    id: str
    status: str = "waiting"
    seconds: float | None = None
    cached: bool = False
    rows_in: int | None = None
    rows_out: int | None = None


@dataclasses.dataclass
class RunResult:
    """A whole run.

    `baseline`: what a simple method reaches on the same rows, and whether it `wins`.
    `bounds`: each metric's confidence interval (`low`, `high`, in `words`), and whether a threshold judges it (`gated`).
    `trivial`: each metric of a model that ignores its inputs.
    `search`: of hyper-parameters: what won (`values`, `value` of the `metric`), its cost, and the `record` of all trials, a file.
    `variants`: compressed variants of the model beside it: value of the `metric`, sizes, latencies.
    `reasons` say why a model was not released, or what each failed task on Kubeflow said; `warnings` what a gate let pass
    and a person should look at. `unlabelled`: rows without a label, which were left out (data.label.drop_unlabelled).
    `quarantine`: rows that did not fit and were set aside (data.on_bad_rows), and the file they are in.
    `predictions`: of batch inference: the release's version, rows, predicted, failed, and the folder.
    `ui`: of a run on Kubeflow, the link to it; `log` is empty there.
    `until`: the nodes that a partial run was to end with; empty: the whole graph.
    `gates`: what each gate found: `gate`, `passes`, `summary`, `counts`, `findings` and `report`.
    `same_as`: the earlier run whose outputs stand because nothing has changed since.
    `code_revision`, `code_digest`: of the code that ran (quality/provenance.py).
    `exit_code`: 0 complete, 2 the input needs mending, 1 may be tried again.
    """

    workload: str
    run_id: str
    span: int | None = None
    status: str = "running"
    seconds: float = 0.0
    components: list[ComponentResult] = dataclasses.field(default_factory=list)
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    bounds: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    trivial: dict[str, float | None] = dataclasses.field(default_factory=dict)
    blessed: bool | None = None
    reasons: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    baseline: dict[str, Any] | None = None
    champion: dict[str, Any] | None = None
    search: dict[str, Any] | None = None
    variants: dict[str, Any] | None = None
    release: dict[str, Any] | None = None
    quarantine: dict[str, Any] | None = None
    unlabelled: int | None = None
    predictions: dict[str, Any] | None = None
    reports: dict[str, str] = dataclasses.field(default_factory=dict)
    until: list[str] = dataclasses.field(default_factory=list)
    gates: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    same_as: str | None = None
    code_revision: str = ""
    code_digest: str = ""
    error: str | None = None
    log: str = ""
    ui: str | None = None
    exit_code: int = 0

    def component(self, node_id: str) -> ComponentResult:
        return next(c for c in self.components if c.id == node_id)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, default=str)

    def save(self, folder: pathlib.Path) -> None:
        """Writes run.json atomically."""
        partial = folder / f".run.json.{os.getpid()}"
        partial.write_text(self.to_json())
        partial.replace(folder / "run.json")
