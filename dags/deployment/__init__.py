"""Deploying a release: what `deploy_<workload>` does at each step, without Airflow.

The model servers follow the labels of the store: deploying a release means labelling it and waiting until it is served.
"""

from dags.deployment.answers import Comparison, is_changed, is_finite
from dags.deployment.checks import ACTOR, Deployment, seconds_left, verify
from dags.deployment.choice import DEPLOY, ROLLBACK, choose_release
from dags.deployment.errors import DeploymentRefused
from dags.deployment.target import CANARY, STABLE, open_store, server_url, wait_until_served

__all__ = [
    "ACTOR",
    "CANARY",
    "DEPLOY",
    "ROLLBACK",
    "STABLE",
    "Comparison",
    "Deployment",
    "DeploymentRefused",
    "choose_release",
    "is_changed",
    "is_finite",
    "open_store",
    "seconds_left",
    "server_url",
    "verify",
    "wait_until_served",
]
