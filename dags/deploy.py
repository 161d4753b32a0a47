"""`deploy_<workload>`: verifies a release, tries it beside stable, gives it a growing share of the traffic, and promotes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any

from airflow.sdk import DAG, Asset, Param, TaskGroup, TriggerRule, chain, task
from airflow.sdk.exceptions import AirflowFailException

from dags import alerts, deployment
from dags.assets import deployed_model, released_model
from dags.defaults import workload_dag
from dags.deploy_docs import DOCS
from dags.deployment import Deployment, DeploymentRefused
from dags.deployment.watch import WatchCanaryOperator
from dags.release_choice import DEPLOY, ROLLBACK, choose_release
from dags.skips import skipped
from spec.workload import CanaryStep, Workload

RESOLVE = "resolve_release"
LOAD_PATIENCE_S, LOAD_POLL_S, LOAD_TIMEOUT_S = 20.0, 15.0, 900.0
"""How long a worker waits for a release to load, how long until it looks again, and when it gives up; seconds."""

log = logging.getLogger(__name__)


def build_deploy_dag(workload: Workload) -> DAG:
    """The deployment DAG: verify, shadow, canary steps, promote and announce, or else roll back; and notify."""
    with workload_dag(
        workload,
        "deploy",
        "deploy",
        description=f"Deploys released models of {workload.name}, and rolls back those that fail a check",
        schedule=[released_model(workload)],
        default_args={
            "owner": workload.owner,
            "retries": 1,
            "retry_delay": timedelta(seconds=5),
            "execution_timeout": timedelta(minutes=5),
        },
        params=_PARAMS,
        doc_md=DOCS["dag"].format(workload=workload.name, owner=workload.owner),
    ) as dag:
        _add_tasks(workload, deployed_model(workload))
    return dag


_PARAMS = {
    "action": Param(
        DEPLOY,
        enum=[DEPLOY, ROLLBACK],
        description="deploy: with shadow and canary. rollback: make an earlier release stable again at once.",
    ),
    "version": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        description="The release to deploy (empty: the newest) or to go back to (empty: the previous stable one).",
    ),
    "force": Param(
        False,
        type="boolean",
        description="Deploy a release that was rolled back before. The history records who forced it.",
    ),
    "reason": Param(
        None, type=["null", "string"], maxLength=1000, description="Why to roll back, for the release's history."
    ),
}


def _add_tasks(workload: Workload, deployed: Asset) -> None:
    resolved, path, by_hand = _resolve_release(workload), _choose_path(), _return_to_release(workload)
    with TaskGroup("verification", prefix_group_id=False, group_display_name="Verify") as verification:
        _verify(workload) >> _infra_check(workload)
    with TaskGroup("shadow", prefix_group_id=False, group_display_name="Shadow") as shadow:
        _compare_answers(workload)
    steps = [_add_step(workload, number, step) for number, step in enumerate(workload.serving.canary_steps, 1)]
    promoted = _promote(workload)
    resolved >> path >> by_hand
    chain(path, verification, shadow, *steps, promoted)

    # A leaf: Airflow judges a run by its leaves, and a rollback that worked must not make the run green.
    [promoted, by_hand] >> _announce_deployment(workload, deployed)
    # Whichever step fails, those after it up to promote become upstream_failed, which starts the rollback: the graph needs one
    # edge instead of one from every step.
    promoted >> (rolled_back := _roll_back(workload))
    [by_hand, rolled_back] >> _notify(workload)


def _release(context: Mapping[str, Any]) -> dict[str, Any]:
    """What `resolve_release` has chosen. Pulled by name: as an argument it would draw an edge to every task of the graph."""
    release: dict[str, Any] = context["ti"].xcom_pull(task_ids=RESOLVE)
    return release


def _resolve_release(workload: Workload) -> Any:
    @task(task_id=RESOLVE, doc_md=DOCS["resolve_release"])
    @_refusals_are_final
    def resolve_release(**context: Any) -> dict[str, Any]:
        triggering = context.get("triggering_asset_events") or {}
        release = choose_release(workload.name, context.get("params") or {}, triggering)
        release["actor"] = getattr(context.get("dag_run"), "triggering_user_name", None) or deployment.ACTOR
        log.info(
            f"To {release['action']}: {workload.name}/{release['version']}; stable is {release['previous'] or 'not set'}. "
            + (f"Forced by {release['actor']}: {release['despite']}" if release["despite"] else "")
        )
        return release

    return resolve_release()


def _choose_path() -> Any:
    @task.branch(task_id="choose_path", doc_md=DOCS["choose_path"])
    def choose_path(**context: Any) -> str:
        return "return_to_release" if _release(context)["action"] == ROLLBACK else "verify"

    return choose_path()


def _verify(workload: Workload) -> Any:
    @task(task_id="verify", doc_md=DOCS["verify"])
    @_refusals_are_final
    def verify(**context: Any) -> str:
        release = _release(context)
        digest = deployment.verify(workload.name, release["version"])
        found = deployment.open_store().release(workload.name, release["version"])
        signed = f"signed by key {found.signature['key']}" if found.signature else "not signed"
        log.info(f"{workload.name}/{release['version']} is intact and {signed}. Release digest: {digest}")
        return digest

    return verify()


def _infra_check(workload: Workload) -> Any:
    @task.sensor(
        task_id="infra_check",
        mode="reschedule",
        poke_interval=LOAD_POLL_S,
        timeout=LOAD_TIMEOUT_S,
        doc_md=DOCS["infra_check"],
    )
    @_refusals_are_final
    def infra_check(**context: Any) -> bool:
        release = _release(context)
        reason = "deployment started"
        if release["despite"]:
            reason += f", forced by {release['actor']} although {release['despite']}"
        try:
            _deployment(workload, release).load(reason, log.info, LOAD_PATIENCE_S)
        except TimeoutError as not_yet:
            log.info("Not yet: %s. Looking again in %.0f s; no worker slot is held meanwhile.", not_yet, LOAD_POLL_S)
            return False
        return True

    return infra_check()


def _compare_answers(workload: Workload) -> Any:
    @task(task_id="compare_answers", doc_md=DOCS["compare_answers"])
    @_refusals_are_final
    def compare_answers(**context: Any) -> dict[str, Any]:
        return _deployment(workload, _release(context)).compare(log.info).as_dict()

    return compare_answers()


def _add_step(workload: Workload, number: int, step: CanaryStep) -> TaskGroup:
    """One step. Setting the share and watching it are two tasks, so that a retry of the watch does not set it again."""
    label = f"Canary {step.share:.0%}" + (f", {step.minutes:g} min" if step.minutes else "")
    with TaskGroup(f"canary_step_{number}", prefix_group_id=False, group_display_name=label) as group:

        @task(task_id=f"set_share_{number}", doc_md=DOCS["set_share"])
        @_refusals_are_final
        def set_share(**context: Any) -> dict[str, Any]:
            return _deployment(workload, _release(context)).begin_step(step.share, f"canary step {number}", log.info)

        WatchCanaryOperator(
            task_id=f"watch_{number}",
            workload=workload.name,
            serving=workload.serving,
            release_of=RESOLVE,
            begun=set_share(),
            minutes=step.minutes,
            execution_timeout=timedelta(minutes=step.minutes + 10),
            doc_md=DOCS["watch"],
        )
    return group


def _promote(workload: Workload) -> Any:
    @task(task_id="promote", doc_md=DOCS["promote"])
    @_refusals_are_final
    def promote(**context: Any) -> None:
        _deployment(workload, _release(context)).promote("passed the deployment checks", log.info)

    return promote()


def _return_to_release(workload: Workload) -> Any:
    @task(task_id="return_to_release", doc_md=DOCS["return_to_release"])
    @_refusals_are_final
    def return_to_release(**context: Any) -> None:
        release = _release(context)
        deployment.verify(workload.name, release["version"])
        why = (context.get("params") or {}).get("reason")
        reason = f"rolled back in Airflow by {release['actor']}" + (f": {why}" if why else "")
        _deployment(workload, release).go_back_to(reason, log.info)

    return return_to_release()


def _announce_deployment(workload: Workload, deployed: Asset) -> Any:
    either = TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS

    @task(task_id="announce_deployment", trigger_rule=either, outlets=[deployed], doc_md=DOCS["announce_deployment"])
    def announce_deployment(**context: Any) -> dict[str, Any]:
        release = _release(context)
        extra = {
            "workload": workload.name,
            "version": release["version"],
            "previous": release["previous"],
            # None after a manual return, which compares nothing.
            "comparison": context["ti"].xcom_pull(task_ids="compare_answers"),
        }
        context["outlet_events"][deployed].extra = extra
        log.info(f"{_deployment(workload, release).target.address()} serves version {release['version']}.")
        return extra

    return announce_deployment()


def _roll_back(workload: Workload) -> Any:
    @task(task_id="roll_back", trigger_rule=TriggerRule.ONE_FAILED, retries=3, doc_md=DOCS["roll_back"])
    def roll_back(**context: Any) -> list[str]:
        release = _release(context)
        if not release:
            log.info("No release was chosen, so nothing was changed.")
            return []
        failed = next((name for name, state in _states(context).items() if state == "failed"), "an unknown step")
        reason = f"deployment failed at {failed} (Airflow run {context['run_id']})"
        done = _deployment(workload, release).roll_back(reason, log.info)
        log.info("Rolled back: " + ("; ".join(done) or "nothing had been changed"))
        return done

    return roll_back()


def _notify(workload: Workload) -> Any:
    @task(task_id="notify", trigger_rule=TriggerRule.ALL_DONE, doc_md=DOCS["notify"])
    def notify(**context: Any) -> str:
        release, states = _release(context), _states(context)
        version = f"version {release['version']}" if release else "the release"
        said = _told(states, version)
        if said is None:
            raise skipped("nothing was deployed")
        title, severity = f"{workload.name}: {said[0]}", said[1]
        failed = ", ".join(name for name, state in states.items() if state == "failed")
        text = f"Run {context['run_id']} of {context['dag'].dag_id}."
        text += f" Failed: {failed}; its log's last line is the reason." if failed else ""
        alerts.send(workload, title, text, severity)
        return title

    return notify()


def _told(states: Mapping[str, Any], version: str) -> tuple[str, alerts.Severity] | None:
    """What became of a deployment, and how severe that is; None where nothing was deployed."""
    if states.get("roll_back") == "failed":
        return f"the rollback of {version} FAILED, act now", alerts.Severity.ERROR
    if states.get("return_to_release") == "failed":
        return f"could not go back to {version}, the stable release is unchanged", alerts.Severity.ERROR
    if states.get("roll_back") == "success":
        return f"{version} was refused; the stable release keeps serving", alerts.Severity.ERROR
    if "success" in (states.get("promote"), states.get("return_to_release")):
        return f"{version} is stable now", alerts.Severity.INFO
    return None


def _deployment(workload: Workload, release: Mapping[str, Any]) -> Deployment:
    return Deployment(workload.name, workload.serving, release["version"], release["previous"])


def _states(context: Mapping[str, Any]) -> dict[str, str]:
    run_id = context["run_id"]
    found: dict[str, str] = (
        context["ti"].get_task_states(dag_id=context["dag"].dag_id, run_ids=[run_id]).get(run_id, {})
    )
    return found


def _refusals_are_final(step: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a refused deployment fail its task without retries: the answer would be the same."""

    @wraps(step)
    def run(*args: Any, **kwargs: Any) -> Any:
        from model_store import StoreError

        try:
            return step(*args, **kwargs)
        except (DeploymentRefused, StoreError) as refusal:
            raise AirflowFailException(str(refusal)) from None

    return run
