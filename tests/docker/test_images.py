"""The images themselves: built for real, run as a careful cluster runs them."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import time
import uuid
from typing import Any

import pytest

from quality.provenance import code_of
from tests.docker.engine import RESTRICTED, ROOT, docker

NAMES = {"pipeline": "trainyard", "serving": "trainyard-serving", "airflow": "trainyard-airflow"}
USERS = {"pipeline": "10001:10001", "serving": "10001:10001", "airflow": "50000:0"}


@pytest.fixture(scope="session", params=NAMES)
def image(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each image's key and tag."""
    return request.param, request.getfixturevalue(f"{request.param}_image")


def run_in(tag: str, *command: str, options: tuple[str, ...] = (), check: bool = True) -> str:
    """What a command prints in a restricted container without a network."""
    entry = ("--entrypoint", command[0])
    done = docker("run", "--rm", "--network", "none", *RESTRICTED, *options, *entry, tag, *command[1:], check=check)
    return done.stdout


def inspected(tag: str) -> dict[str, Any]:
    return dict(json.loads(docker("image", "inspect", tag).stdout)[0]["Config"])


def bill_of(key: str, tag: str) -> dict[str, Any]:
    return dict(json.loads(run_in(tag, "cat", f"/usr/share/sbom/{NAMES[key]}.cdx.json")))


def test_an_image_runs_with_no_rights_at_all(image: tuple[str, str]) -> None:
    key, tag = image
    script = (
        "id -u; id -g; touch /probe /opt/trainyard/probe 2>/dev/null && echo writable; grep CapBnd /proc/self/status"
    )
    lines = run_in(tag, "sh", "-c", script).split()
    assert lines == [*USERS[key].split(":"), "CapBnd:", "0000000000000000"]
    assert inspected(tag)["User"] == USERS[key]


def test_an_image_holds_no_way_to_other_rights_and_no_build_tools(image: tuple[str, str]) -> None:
    _, tag = image
    options = ("--user", "0", "--cap-add", "DAC_READ_SEARCH")
    assert run_in(tag, "find", "/", "-xdev", "-type", "f", "-perm", "/6000", options=options) == ""
    assert run_in(tag, "sh", "-c", "command -v gcc cc ld uv pip pip3", options=options, check=False) == ""
    caches = ("/root", "/tmp", "/var/cache/apt", "/var/lib/apt/lists")
    assert (
        run_in(tag, "find", *caches, "-type", "f", "!", "-name", ".*rc", "!", "-name", ".profile", options=options)
        == ""
    )


def test_an_image_names_the_code_that_it_was_built_from(image: tuple[str, str]) -> None:
    key, tag = image
    config = inspected(tag)
    labels, environment = config["Labels"], dict(line.split("=", 1) for line in config["Env"])
    revision = environment["TRAINYARD_CODE_REVISION"]
    assert labels["org.opencontainers.image.revision"] == revision == code_of().revision
    assert labels["org.opencontainers.image.title"] == NAMES[key]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    git = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    committed = int(subprocess.run(git, capture_output=True, text=True, check=True).stdout)
    expected = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(committed))
    assert labels["org.opencontainers.image.created"] == expected
    assert bill_of(key, tag)["metadata"]["timestamp"] == expected


def test_the_bill_of_materials_is_what_is_installed(image: tuple[str, str]) -> None:
    key, tag = image
    bill = bill_of(key, tag)
    listed = {one["purl"].split("@")[0]: one["version"] for one in bill["components"] if "purl" in one}
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    python = json.loads(run_in(tag, "python", "-c", code))
    debian = dict(
        line.split() for line in run_in(tag, "dpkg-query", "-W", "-f", "${Package} ${Version}\n").splitlines()
    )
    expected = {f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}": version for name, version in python.items()}
    expected |= {f"pkg:deb/debian/{name}".replace("+", "%2B"): version for name, version in debian.items()}
    assert listed == expected
    assert {"pipeline": "tfx", "serving": "tensorflow", "airflow": "apache-airflow"}[
        key
    ] in python and "libc6" in debian


def test_the_bill_of_materials_is_cyclonedx(image: tuple[str, str]) -> None:
    key, tag = image
    bill = bill_of(key, tag)
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.5", 1)
    assert uuid.UUID(bill["serialNumber"].removeprefix("urn:uuid:")).version == 5
    assert bill["metadata"]["component"]["type"] == "container"
    assert all(one["type"] in ("library", "operating-system") and one["name"] for one in bill["components"])
    references = [one["bom-ref"] for one in (bill["metadata"]["component"], *bill["components"])]
    assert len(set(references)) == len(references)
    for one in bill["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= set(references)


def test_no_certificate_of_the_build_stays(image: tuple[str, str], tmp_path: pathlib.Path) -> None:
    """The build's bundle is the machine's; the image has Debian's own, and no layer or argument another."""
    _, tag = image
    base = docker("image", "history", "--no-trunc", "--format", "{{.CreatedBy}}", tag).stdout
    assert "BEGIN CERTIFICATE" not in base and "index=" not in base and "UV_DEFAULT_INDEX" not in base
    bundle = run_in(tag, "sh", "-c", "cat /etc/ssl/certs/ca-certificates.crt")
    rebuilt = run_in(
        tag,
        "sh",
        "-c",
        "cd /etc/ssl/certs; for f in $(sed 's,^,/usr/share/ca-certificates/,' /etc/ca-certificates.conf); do cat $f; done",
    )
    blocks = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
    assert set(blocks.findall(bundle)) == set(blocks.findall(rebuilt)) != set()
    assert run_in(tag, "ls", "-A", "/run/secrets", check=False) == ""
