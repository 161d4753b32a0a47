"""Watching a canary without holding a worker slot: the operator defers, and the triggerer looks every two seconds.

The trigger's arguments are all it needs, with the start of the step as a time of day: killed and restarted, on this triggerer or
another, it continues where it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from dags.deployment.checks import Deployment, seconds_left
from dags.deployment.errors import DeploymentRefused
from spec.workload import Serving

POLL_S = 2.0
BLIND_S = 60.0
"""A canary whose traffic cannot be read for this long counts as failed."""
_GRACE = timedelta(minutes=5)

_log = logging.getLogger(__name__)


class CanaryTrigger(BaseTrigger):
    """Fires when the step is over or as soon as a limit is exceeded; in that case it first takes the canary's traffic away.

    Args:
        model: the workload.
        serving: `serving` of workload.yaml, as JSON.
        release: {"version": the canary's, "previous": stable's or None}
        begun: what `Deployment.begin_step` returned.
        minutes: how long the step lasts.
    """

    def __init__(
        self, model: str, serving: dict[str, Any], release: dict[str, Any], begun: dict[str, Any], minutes: float
    ) -> None:
        super().__init__()
        self.model, self.serving, self.release, self.begun, self.minutes = model, serving, release, begun, minutes

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("model", "serving", "release", "begun", "minutes")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        deployment = await asyncio.to_thread(_deployment, self.model, self.serving, self.release)
        seen = time.monotonic()
        while True:
            left = seconds_left(self.begun, self.minutes)
            reasons: Sequence[str] = ()
            try:
                verdict = await asyncio.to_thread(deployment.look, self.begun)
                reasons, seen = () if verdict is None else verdict.reasons, time.monotonic()
            except Exception as error:
                _log.warning("%s: cannot read the canary's traffic: %s", self.model, error)
                if time.monotonic() - seen > BLIND_S:
                    reasons = (f"the canary's traffic could not be read for {BLIND_S:.0f} s: {error}",)
            if reasons:
                await self._brake(deployment, "; ".join(reasons))
            if reasons or left <= 0:
                yield TriggerEvent({"reasons": list(reasons)})
                return
            await asyncio.sleep(min(POLL_S, max(left, 0.1)))

    async def _brake(self, deployment: Deployment, reason: str) -> None:
        try:
            await asyncio.to_thread(deployment.brake, reason)
        except Exception:
            _log.exception("%s: the canary keeps its share until roll_back", self.model)


class WatchCanaryOperator(BaseOperator):
    """Waits for the end of a canary step and judges it.

    Args:
        release_of: the task that returned the release of the run, as `choose_release` does.
        begun: what `Deployment.begin_step` returned.
        minutes: how long the step lasts; 0: judge it at once.
    """

    template_fields: Sequence[str] = ("begun",)
    ui_color = "#fff4d6"

    def __init__(
        self, *, workload: str, serving: Serving, release_of: str, begun: Any, minutes: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.workload, self.minutes = workload, minutes
        self.serving = serving.model_dump(mode="json")
        self.release_of, self.begun = release_of, begun

    def execute(self, context: Context) -> dict[str, Any]:
        left = seconds_left(self.begun, self.minutes)
        if left <= 0:
            return self.judge(context)
        self.log.info("Watching the canary for %.0f s more; exceeding a limit ends it within seconds.", left)
        trigger = CanaryTrigger(self.workload, self.serving, self._release(context), dict(self.begun), self.minutes)
        self.defer(trigger=trigger, method_name="judge", timeout=timedelta(seconds=left) + _GRACE)
        raise AssertionError("defer raises")

    def judge(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """The step's verdict.

        Raises:
            AirflowFailException: a limit is exceeded.
        """
        if event and event["reasons"]:
            raise AirflowFailException("; ".join(event["reasons"]))
        deployment = _deployment(self.workload, self.serving, self._release(context))
        try:
            return deployment.end_step(self.begun, self.log.info)
        except DeploymentRefused as refusal:
            raise AirflowFailException(str(refusal)) from None

    def _release(self, context: Context) -> dict[str, Any]:
        return dict(context["ti"].xcom_pull(task_ids=self.release_of))


def _deployment(model: str, serving: dict[str, Any], release: dict[str, Any]) -> Deployment:
    return Deployment(model, Serving.model_validate(serving), release["version"], release["previous"])
