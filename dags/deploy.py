"""`deploy_<workload>`: a release is verified, loaded beside the stable one, compared with it, and takes its place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any

from airflow.sdk import DAG, Asset, Param, TriggerRule, chain, task
from airflow.sdk.exceptions import AirflowFailException

from dags import deployment
from dags.assets import deployed_model, released_model
from dags.deployment import ACTOR, CANARY, STABLE, DeploymentRefused
from dags.skips import skipped
from pipelines.workload import Serving, Workload

LOAD_TIMEOUT_S = 120.0
WATCH_EVERY_S = 10.0

log = logging.getLogger(__name__)


def build_deploy_dag(workload: Workload) -> DAG:
    """The deployment DAG: resolve, verify, load_canary, compare_answers, promote, announce; else roll_back."""
    dag = DAG(
        dag_id=f"deploy_{workload.name}",
        description=f"Deploys released models of {workload.name}, and rolls back what does not do",
        schedule=[released_model(workload)],
        catchup=False,
        max_active_runs=1,
        default_args={
            "owner": workload.owner,
            "retries": 1,
            "retry_delay": timedelta(seconds=5),
            "execution_timeout": timedelta(minutes=5),
        },
        params={
            "version": Param(
                None, type=["null", "integer"], minimum=1, description="Release to deploy. Empty: the newest."
            )
        },
        tags=["trainyard", "deploy", workload.task.value],
        doc_md=_DAG_DOC.format(workload=workload.name, owner=workload.owner),
        auto_register=False,
    )
    with dag:
        _add_tasks(workload.name, workload.serving, deployed_model(workload))
    return dag


def _add_tasks(model: str, serving: Serving, deployed: Asset) -> None:
    @task(doc_md=_RESOLVE_DOC)
    @_refusals_are_final
    def resolve_release(**context: Any) -> dict[str, Any]:
        return choose_release(model, context.get("params") or {}, context.get("triggering_asset_events") or {})

    @task(doc_md=_VERIFY_DOC)
    @_refusals_are_final
    def verify(release: dict[str, Any]) -> str:
        digest = deployment.verify(model, release["version"])
        log.info(f"Release {model}/{release['version']} is intact: every file has its digest. Release digest: {digest}")
        return digest

    @task(doc_md=_LOAD_DOC)
    @_refusals_are_final
    def load_canary(release: dict[str, Any]) -> None:
        version = release["version"]
        deployment.open_store().set_label(model, CANARY, version, reason="deployment started", actor=ACTOR)
        deployment.wait_until_served(model, CANARY, version, LOAD_TIMEOUT_S, log.info)

    watched = timedelta(minutes=serving.canary_minutes + 5)

    @task(execution_timeout=watched, doc_md=_COMPARE_DOC)
    @_refusals_are_final
    def compare_answers(release: dict[str, Any]) -> dict[str, Any]:
        return watch_canary(model, serving, release["version"], release["previous"])

    @task(doc_md=_PROMOTE_DOC)
    @_refusals_are_final
    def promote(release: dict[str, Any]) -> None:
        version = release["version"]
        deployment.open_store().promote(model, version, reason="passed the deployment checks", actor=ACTOR)
        deployment.wait_until_served(model, STABLE, version, LOAD_TIMEOUT_S, log.info)

    # A leaf of its own: Airflow judges a run by its leaves, and a rollback that worked must not make the run green.
    @task(outlets=[deployed], doc_md=_ANNOUNCE_DOC)
    def announce_deployment(release: dict[str, Any], comparison: dict[str, Any], **context: Any) -> dict[str, Any]:
        extra = {
            "workload": model,
            "version": release["version"],
            "previous": release["previous"],
            "comparison": comparison,
        }
        context["outlet_events"][deployed].extra = extra
        log.info(f"{deployment.server_url()}/v1/models/{model} serves version {release['version']}.")
        return extra

    @task(trigger_rule=TriggerRule.ONE_FAILED, retries=3, doc_md=_ROLL_BACK_DOC)
    def roll_back(release: dict[str, Any] | None = None, **context: Any) -> list[str]:
        if not release:
            log.info("No release was chosen, so nothing was changed.")
            return []
        reason = f"deployment failed at {_failed_step(context)} (Airflow run {context['run_id']})"
        done = deployment.roll_back(model, release["version"], release["previous"], reason)
        log.info("Rolled back: " + ("; ".join(done) or "nothing had been changed"))
        if release["previous"] is not None:
            deployment.wait_until_served(model, STABLE, release["previous"], LOAD_TIMEOUT_S, log.info)
        return done

    release = resolve_release()
    comparison = compare_answers(release)
    steps = [verify(release), load_canary(release), comparison, promote(release)]
    chain(*steps, announce_deployment(release, comparison))
    steps >> roll_back(release)


def choose_release(model: str, params: Mapping[str, Any], triggering: Mapping[Any, Iterable[Any]]) -> dict[str, Any]:
    """The release to deploy, and the stable one to return to.

    Returns:
        {"version": n, "previous": the stable version or None}

    Raises:
        DeploymentRefused: there is no such release.
        AirflowSkipException: it is stable already, or a newer one is.
    """
    store = deployment.open_store()
    released = [
        int(e.extra["version"]) for events in triggering.values() for e in events if (e.extra or {}).get("version")
    ]
    known = store.versions(model)
    asked = params.get("version")
    version = asked or max(released, default=None) or max(known, default=None)
    if version is None or version not in known:
        raise DeploymentRefused(f"{model}: there is no release {version or ''}. Known: {known or 'none'}")
    previous = store.labels(model).get(STABLE)
    if previous == version:
        raise skipped(f"{model}/{version} is the stable release already")
    if asked is None and previous is not None and previous > version:
        raise skipped(f"{model}/{version} is older than the stable release {previous}; deploy it by hand")
    log.info(f"Deploying {model}/{version}; stable is {previous or 'not set'}.")
    return {"version": version, "previous": previous}


def watch_canary(model: str, serving: Serving, version: int, previous: int | None) -> dict[str, Any]:
    """Compares canary and stable once, and again for as long as `serving.canary_minutes` says."""
    instances = deployment.sample_requests(model, version)
    until = time.monotonic() + serving.canary_minutes * 60
    while True:
        comparison = deployment.compare_answers(model, version, previous, instances)
        log.info(_in_words(comparison))
        deployment.check_limits(comparison, serving.max_changed_answers, serving.latency_budget_ms)
        if time.monotonic() + WATCH_EVERY_S > until:
            return comparison.as_dict()
        time.sleep(WATCH_EVERY_S)


def _failed_step(context: Mapping[str, Any]) -> str:
    run_id = context["run_id"]
    states = context["ti"].get_task_states(dag_id=context["dag"].dag_id, run_ids=[run_id]).get(run_id, {})
    return next((task_id for task_id, state in states.items() if state == "failed"), "an unknown step")


def _in_words(comparison: deployment.Comparison) -> str:
    text = f"{comparison.requests} requests, all answers finite, median {comparison.canary_median_ms:.1f} ms"
    if comparison.changed_share is None:
        return f"{text}. First deployment: there is no stable release to compare with."
    return (
        f"{text} (stable {comparison.stable_median_ms:.1f} ms), "
        f"{comparison.changed_share:.1%} of the answers differ from version {comparison.stable_version}"
    )


def _refusals_are_final(step: Callable[..., Any]) -> Callable[..., Any]:
    """A refused deployment fails its task at once: asking again would give the same answer."""

    @wraps(step)
    def run(*args: Any, **kwargs: Any) -> Any:
        from model_store import StoreError

        try:
            return step(*args, **kwargs)
        except (DeploymentRefused, StoreError) as refusal:
            raise AirflowFailException(str(refusal)) from None

    return run


_DAG_DOC = """\
### Deploying {workload}
Starts when `retrain_{workload}` releases a model. The release is verified, loaded by the model server as `canary`,
asked the golden requests beside `stable`, and promoted. `stable` serves all the while.

**By hand:** Trigger, with `{{"version": 3}}` for a certain release, an older one too. **Answers for it:** {owner}.

| What you see | What it means |
| --- | --- |
| all green, `roll_back` skipped | Deployed. |
| `roll_back` green, run red | A check failed and everything is as before. The failed task's last line is the reason. |
| `roll_back` red | The only state to act on now: see its log, then `./trainyard release rollback {workload}`. |
| `resolve_release` skipped | That release is stable already, or a newer one is. |
"""
_RESOLVE_DOC = """\
Chooses the release: the run's `version` parameter, else the one whose release started this run.
**If it fails:** there is no such release; `./trainyard release list` shows those that exist.
"""
_VERIFY_DOC = """\
Checks every file of the release against the digests in its release.json.
**If it fails:** the files were changed after they were published. Do not deploy by hand;
retrain, and find out who writes to the store.
"""
_LOAD_DOC = """\
Labels the release `canary` and waits until the model server serves it.
**If it fails:** the server is down (`./trainyard status`) or could not load the model; its answer is in the log.
"""
_COMPARE_DOC = """\
Asks canary and stable the same golden requests over HTTP: answers must be finite, the share of changed answers and the
median latency within `serving` of workload.yaml.
**If it fails:** the log has the figures. A change that is wanted needs a higher `max_changed_answers`.
"""
_PROMOTE_DOC = """\
Labels the release `stable` and waits until the server has swapped to it.
**If it fails:** roll_back returns to the release before.
"""
_ANNOUNCE_DOC = """\
Tells Airflow that the release is live (the deployed-model asset): other DAGs may start on it.
"""
_ROLL_BACK_DOC = """\
Runs only when a step failed: removes the canary label and returns `stable` to the release before.
**If it fails:** run `./trainyard release rollback` by hand.
"""
