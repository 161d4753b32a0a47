"""What a surely broken bound of the stable release leads to, and what speaks against it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from components.evaluator.bars import figure
from model_store import ModelStore
from quality.history import LIVE_GATE, History
from quality.monitoring._live import LiveMetric
from quality.monitoring._look import Look, facts, labels_check
from spec.tasks import find
from spec.workload import Workload


@dataclasses.dataclass(frozen=True)
class Breach:
    """A broken bound of the stable release.

    Attributes:
        id: the same as long as the same version breaks bounds on the same metrics: what is done about it is done once.
        reasons: with figures.
        then: what is to be done.
        to: the version to go back to; None: there is nothing to go back to.
        refused: why `then` is not done; empty: nothing speaks against it.
    """

    id: str
    version: int
    reasons: tuple[str, ...]
    then: Literal["alert", "retrain", "rollback"]
    to: int | None = None
    refused: str = ""

    @property
    def words(self) -> str:
        return f"version {self.version}: {'; '.join(self.reasons)}"


def breach_of(workload: Workload, found: Look, store: ModelStore, history: History) -> Breach | None:
    """The breach that a look has found; None where the stable release breaks no bound, or not for sure."""
    stable = found.stable
    if stable is None or not stable.broken:
        return None
    then = workload.monitoring.live.then
    id_ = "-".join((f"v{stable.version}", *(one.metric for one in stable.broken)))
    reasons = tuple(one.message for one in stable.broken)
    if then != "rollback":
        return Breach(id_, stable.version, reasons, then)
    to = store.stable_before(workload.name)
    refused = _against(workload, found, stable.broken, to, store, history)
    return Breach(id_, stable.version, reasons, then, to, refused)


def _against(
    workload: Workload,
    found: Look,
    broken: tuple[LiveMetric, ...],
    to: int | None,
    store: ModelStore,
    history: History,
) -> str:
    if to is None:
        return "there is no stable release before it to go back to"
    if before := store.stable_by_rollback(workload.name):
        return f"it is stable by a rollback itself ({before.at[:16]}), and going back further is for people to decide"
    then = _last_figures(workload, to, found, history)
    for one in broken:
        earlier = (then.get(one.metric) or {}).get("value")
        if earlier is None or one.value is None:
            continue
        if find(workload.task).metric(one.metric).loss(earlier, one.value) >= 0:
            return f"version {to} is known to be no better: its live {one.metric} was {figure(earlier)}"
    return ""


def _last_figures(workload: Workload, version: int, found: Look, history: History) -> Mapping[str, Any]:
    """The last live metrics of a version with rows enough to tell: of this look, or of an earlier one."""
    enough = workload.monitoring.live.min_rows
    last: Mapping[str, Any] = {}
    for _, check in history.checks_over_time(workload.name, LIVE_GATE):
        if check.name == labels_check(version) and check.evidence["labelled"] >= enough:
            last = check.evidence["metrics"]
    now = next((one for one in found.versions if one.version == version and one.labelled >= enough), None)
    return last if now is None else facts(now)["metrics"]
