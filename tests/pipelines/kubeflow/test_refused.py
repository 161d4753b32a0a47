"""Nodes whose object store, metadata store or volume refuses them: one line that says what to mend, and exit code 2."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest

from tests.pipelines.kubeflow.cluster import Cluster, make_cluster
from tests.pipelines.kubeflow.kubeflow_double import Attempt
from tests.servers import reach_s3, s3_server

IMPORTER, EXAMPLES = "schema-importer", "columnar-example-gen"


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """A server that will check every request's signature and rights, once `guard` was called."""
    with s3_server() as environment:
        yield environment


@pytest.fixture(scope="module")
def bucket(store: dict[str, str]) -> Iterator[str]:
    with reach_s3(store) as url:
        yield url


@pytest.fixture(scope="module")
def users(store: dict[str, str], bucket: str) -> dict[str, dict[str, str]]:
    """Environment variables by what the user may do in the bucket."""
    at = f"arn:aws:s3:::{bucket.removeprefix('s3://')}"
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": [at, f"{at}/*"]}
    reading = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": [at, f"{at}/*"]}
    no_data = {"Effect": "Deny", "Action": "s3:*", "Resource": f"{at}/data/*"}
    return {
        "everything": _user("everything", [everything]),
        "reading": _user("reading", [reading]),
        "all but data": _user("no-data", [everything, no_data]),
    }


@pytest.fixture(scope="module")
def cluster(yard, bucket: str, users, store: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "")
        made = make_cluster(yard, bucket, tmp_path_factory.mktemp("cluster"))
        _guard(store)
        yield made


def _user(name: str, statements: list[Mapping[str, Any]]) -> dict[str, str]:
    iam = boto3.client("iam")
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def _guard(store: Mapping[str, str]) -> None:
    """From now on the server asks who is there."""
    request = urllib.request.Request(f"{store['AWS_ENDPOINT_URL']}/moto-api/reset-auth", data=b"0")
    request.add_header("Content-Type", "text/plain")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def attempt(cluster: Cluster, task: str, run_id: str, changed: Mapping[str, str]) -> Attempt:
    before = cluster.double.environment
    cluster.double.environment = {**before, **changed}
    try:
        return cluster.double.run_task(task, run_id)
    finally:
        cluster.double.environment = before


def check_refused(one: Attempt, said: str) -> None:
    last = one.output.splitlines()[-1]
    assert one.code == 2 and last.startswith("trainyard: ") and said in last, one.output[-4000:]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODYKNOWSTHIS0"}, "The AWS Access Key Id you provided does not exist"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "The request signature we calculated does not match"),
    ],
)
def test_wrong_credentials(cluster: Cluster, users, changed: dict[str, str], said: str) -> None:
    one = attempt(cluster, IMPORTER, f"wrong-{time.monotonic_ns()}", {**users["everything"], **changed})
    check_refused(one, said)
    assert f"{cluster.bucket}/pipelines/tips" in one.output.splitlines()[-1]
    assert users["everything"]["AWS_SECRET_ACCESS_KEY"] not in one.output


def test_a_root_that_may_be_read_and_not_written(cluster: Cluster, users) -> None:
    check_refused(attempt(cluster, IMPORTER, "reading", users["reading"]), "access is refused (Access Denied)")


@pytest.mark.slow
def test_data_that_may_not_be_read(cluster: Cluster, users) -> None:
    imported = attempt(cluster, IMPORTER, "no-data", users["all but data"])
    assert imported.code == 0, imported.output[-4000:]
    one = attempt(cluster, EXAMPLES, "no-data", users["all but data"])
    check_refused(one, "Access Denied")
    again = attempt(cluster, EXAMPLES, "no-data", users["all but data"])
    assert again.output.splitlines() == [one.output.splitlines()[-1]]  # a retry of KFP's ends at once


def test_a_wrong_metadata_password(cluster: Cluster, users, postgres) -> None:
    changed = {**users["everything"], **postgres.environment, "TRAINYARD_METADATA_PASSWORD": "no-such-password"}
    one = attempt(cluster, IMPORTER, "password", changed)
    check_refused(one, "trainyard: metadata store: PostgreSQL error: FATAL: password authentication failed")
    assert "no-such-password" not in one.output
