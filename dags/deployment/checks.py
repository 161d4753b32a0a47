"""The steps of a deployment, as plain functions over the model store and the place that serves (`Target`).

Each describes the state to reach, not the change to make: a step that was cut short is simply run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dags.deployment.answers import Comparison, insist_finite, is_changed
from dags.deployment.errors import DeploymentRefused
from dags.deployment.kserve import InferenceService
from dags.deployment.limits import Verdict, judge
from dags.deployment.requests import golden_requests, recent_requests
from dags.deployment.target import CANARY, STABLE, ModelServer, Target, open_store
from spec.workload import Serving

ACTOR = "airflow"
Say = Callable[[str], None]


def verify(model: str, version: int) -> str:
    """Checks a release's signature, where public keys are configured, and every file; returns the release's digest.

    Raises:
        DeploymentRefused: something is missing, changed or was added, or nobody trusted signed it.
    """
    store = open_store()
    if problems := store.verify(model, version):
        raise DeploymentRefused(f"release {model}/{version} is not what was published: " + "; ".join(problems))
    return str(store.release(model, version).digest)


class Deployment:
    """One release on its way from published to stable.

    Args:
        previous: the stable version to compare with and to return to; None: there is none.
    """

    def __init__(self, model: str, serving: Serving, version: int, previous: int | None) -> None:
        self.model, self.serving = model, serving
        self.version, self.previous = version, previous
        kserve = serving.kserve
        self.target: Target = ModelServer(model) if kserve is None else InferenceService(model, kserve)

    def load(self, reason: str, say: Say, wait_s: float = 120.0) -> None:
        """Loads the release beside stable, without traffic, and sends it its golden requests.

        Raises:
            DeploymentRefused: it cannot be loaded, or does not answer as it should.
            TimeoutError: it is not loaded after `wait_s` seconds; call again.
        """
        store = open_store()
        store.set_label(self.model, CANARY, self.version, share=0.0, reason=reason, actor=ACTOR)
        self.target.load(self.version, say, wait_s)
        answers = self.target.ask(CANARY, golden_requests(store, self.model, self.version))
        insist_finite(f"{self.model}/{self.version}", answers)
        self._insist_quick(answers.median_ms)
        say(f"{len(answers.predictions)} golden requests: all answers finite, median {answers.median_ms:.1f} ms")

    def compare(self, say: Say) -> Comparison:
        """Sends canary and stable the same requests: recent ones if the model server records them, else golden ones.

        Raises:
            DeploymentRefused: a limit of `serving` is exceeded.
        """
        store = open_store()
        source, instances = "recent", recent_requests(store, self.model, self.version)
        if not instances:
            source, instances = "golden", golden_requests(store, self.model, self.version)
        canary = self.target.ask(CANARY, instances)
        insist_finite(f"{self.model}/{self.version}", canary)
        stable = None if self.previous is None else self.target.ask(STABLE, instances)
        changed = None
        if stable is not None:
            pairs = zip(stable.predictions, canary.predictions, strict=True)
            changed = sum(is_changed(old, new) for old, new in pairs) / len(instances)
        comparison = Comparison(
            requests=len(instances),
            canary_version=self.version,
            stable_version=self.previous,
            changed_share=changed,
            canary_median_ms=canary.median_ms,
            stable_median_ms=None if stable is None else stable.median_ms,
            source=source,
        )
        say(comparison.in_words())
        self._check(comparison)
        return comparison

    def _check(self, comparison: Comparison) -> None:
        allowed = self.serving.max_changed_answers
        if comparison.changed_share is not None and comparison.changed_share > allowed:
            raise DeploymentRefused(
                f"{comparison.changed_share:.1%} of the answers differ from version {comparison.stable_version}; "
                f"serving.max_changed_answers allows {allowed:.1%}"
            )
        self._insist_quick(comparison.canary_median_ms)

    def _insist_quick(self, median_ms: float) -> None:
        if median_ms > self.serving.latency_budget_ms:
            raise DeploymentRefused(
                f"one prediction takes {median_ms:.1f} ms at the median; "
                f"serving.latency_budget_ms allows {self.serving.latency_budget_ms:g} ms"
            )

    def begin_step(self, share: float, reason: str, say: Say) -> dict[str, Any]:
        """Gives the canary its share; returns what `look` needs to know about the start of the step."""
        open_store().set_label(self.model, CANARY, self.version, share=share, reason=reason, actor=ACTOR)
        self.target.share(self.version, share, say)
        return self.target.begin(self.version, self.previous)

    def look(self, begun: dict[str, Any]) -> Verdict | None:
        """Compares the traffic since a step began with the limits; None if nothing counts it."""
        traffic = self.target.traffic(self.version, self.previous, begun)
        return None if traffic is None else judge(traffic, self.serving.canary.limits)

    def end_step(self, begun: dict[str, Any], say: Say) -> dict[str, Any]:
        """The verdict on a step: by its traffic or, if that proves nothing, by sample requests.

        Raises:
            DeploymentRefused: a limit is exceeded.
        """
        verdict = self.look(begun)
        if verdict is not None:
            say(verdict.summary)
            if verdict.reasons:
                raise DeploymentRefused("; ".join(verdict.reasons))
            if verdict.proven:
                return {**verdict.as_dict(), "judged_by": "traffic"}
        seen = "are no figures of its traffic" if verdict is None else "is too little traffic"
        say(
            f"There {seen} to judge the canary by (canary.limits.min_requests: "
            f"{self.serving.canary.limits.min_requests}), so it is asked sample requests."
        )
        comparison = self.compare(say)
        return {
            "judged_by": "sample requests",
            "comparison": comparison.as_dict(),
            **(verdict.as_dict() if verdict else {}),
        }

    def brake(self, reason: str) -> None:
        """Takes the canary's traffic away at once; the rest, such as the label, is left to `roll_back`."""
        store = open_store()
        if store.labels(self.model).get(CANARY) == self.version:
            store.set_label(self.model, CANARY, self.version, share=0.0, reason=reason, actor=ACTOR)
        self.target.share(self.version, 0.0, lambda _: None)

    def promote(self, reason: str, say: Say) -> None:
        """Makes the release stable and waits until it serves users."""
        open_store().promote(self.model, self.version, reason=reason, actor=ACTOR)
        self.target.serve(self.version, say)

    def go_back_to(self, reason: str, say: Say) -> None:
        """Makes an earlier release stable again at once: somebody has decided, so there is no canary."""
        open_store().rollback(self.model, to=self.version, reason=reason, actor=ACTOR)
        self.target.serve(self.version, say)

    def roll_back(self, reason: str, say: Say) -> list[str]:
        """Undoes what a failed deployment has changed; may be called again.

        Returns:
            What was done, in words; empty when nothing had been changed.
        """
        store, done = open_store(), []
        if store.labels(self.model).get(STABLE) == self.version and self.previous not in (None, self.version):
            store.rollback(self.model, to=self.previous, reason=reason, actor=ACTOR)
            done.append(f"stable is version {self.previous} again")
        if self.previous != self.version:
            for label in store.withdraw(self.model, self.version, reason=reason, actor=ACTOR):
                done.append(f"removed the {label} label from version {self.version}")
        self.target.withdraw(self.version, self.previous, say)
        return done


def seconds_left(begun: dict[str, Any], minutes: float) -> float:
    """Seconds until a step ends that has begun."""
    return float(begun["at"]) + minutes * 60 - time.time()
