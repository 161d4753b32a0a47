"""Creates the model store's bucket and its two accounts: `pipelines` reads and writes, `model-server` only reads.

Runs with the root key at every start of the platform, and brings bucket, secrets and policy up to date.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "trainyard"
WRITER, READER = "pipelines", "model-server"
_CONFLICT = 409


def main() -> int:
    """Returns the exit code."""
    session = botocore.session.get_session()
    try:
        _make_bucket(session)
        _put_account(session, WRITER, os.environ["S3_PIPELINES_SECRET"])
        _put_account(session, READER, os.environ["S3_SERVER_SECRET"])
        session.create_client("s3").put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy()))
    except (BotoCoreError, ClientError, OSError) as error:
        print(f"s3_accounts: {os.environ['AWS_ENDPOINT_URL']}: {error}", file=sys.stderr)
        return 1
    print(f"bucket {BUCKET}: {WRITER} writes, {READER} reads")
    return 0


def policy() -> dict[str, Any]:
    """Who may do what in the bucket; only the root key may change this."""
    whole, objects = f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"
    multipart = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]

    def allow(who: str, resource: str, *actions: str) -> dict[str, Any]:
        return {"Effect": "Allow", "Principal": {"AWS": [who]}, "Action": list(actions), "Resource": [resource]}

    return {
        "Version": "2012-10-17",
        "Statement": [
            allow(WRITER, whole, "s3:ListBucket", "s3:ListBucketMultipartUploads"),
            allow(WRITER, objects, "s3:GetObject", "s3:PutObject", "s3:DeleteObject", *multipart),
            allow(READER, whole, "s3:ListBucket"),
            allow(READER, objects, "s3:GetObject"),
        ],
    }


def _make_bucket(session: Any) -> None:
    client = session.create_client("s3")
    if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)


def _put_account(session: Any, access: str, secret: str) -> None:
    """Creates an account of the gateway, or sets the secret of an existing one."""
    made = _ask(
        session, "create-user", {}, f"<Account><Access>{access}</Access><Secret>{secret}</Secret>{_ROLE}</Account>"
    )
    if made == _CONFLICT:
        _ask(session, "update-user", {"access": access}, f"<MutableProps><Secret>{secret}</Secret></MutableProps>")


_ROLE = "<Role>user</Role>"


def _ask(session: Any, action: str, query: Mapping[str, str], body: str) -> int:
    """Sends a signed request to the gateway's admin API; returns the HTTP status: success, or that it already exists."""
    url = f"{os.environ['AWS_ENDPOINT_URL']}/{action}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    request = AWSRequest(method="PATCH", url=url, data=body.encode())
    S3SigV4Auth(session.get_credentials(), "s3", os.environ["AWS_DEFAULT_REGION"]).add_auth(request)
    signed = urllib.request.Request(url, data=body.encode(), headers=dict(request.headers), method="PATCH")  # noqa: S310
    try:
        with urllib.request.urlopen(signed, timeout=30) as reply:  # noqa: S310
            return int(reply.status)
    except urllib.error.HTTPError as error:
        if error.code == _CONFLICT:
            return _CONFLICT
        raise OSError(f"{action}: HTTP {error.code}: {error.read()[:200].decode(errors='replace')}") from None


if __name__ == "__main__":
    sys.exit(main())
