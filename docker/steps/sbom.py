"""Writes an image's bill of materials (CycloneDX 1.5): the packages from uv.lock in its environment, and Debian's packages.

    python3 sbom.py --name IMAGE --groups "GROUP ..." --environment VENV --output FOLDER

Runs inside the build, beside pyproject.toml and uv.lock, where dpkg knows the image's packages. Writes
FOLDER/usr/share/sbom/IMAGE.cdx.json. Fails if environment and lock disagree, because the bill must list what is installed.
The same packages and revision give the same bytes: time and serial number come from SOURCE_DATE_EPOCH and the content.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import time
import urllib.parse
import uuid
from typing import Any

SERIAL_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/trainyard")


def exported(groups: list[str]) -> dict[str, Any]:
    """uv's bill of materials for the groups: every locked package with hashes and dependencies."""
    chosen = [word for group in groups for word in ("--group", group)]
    command = ["uv", "export", "-q", "--frozen", "--no-dev", "--preview-features", "sbom-export"]
    done = subprocess.run([*command, *chosen, "--format", "cyclonedx1.5"], check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


def installed(environment: pathlib.Path) -> dict[str, str]:
    """Normalised name -> version of every distribution in a virtual environment."""
    folders = [str(path) for path in environment.glob("lib/python3.*/site-packages")]
    return {normalised(one.name): one.version for one in importlib.metadata.distributions(path=folders)}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def python_components(bill: dict[str, Any], present: dict[str, str]) -> list[dict[str, Any]]:
    """The components that are installed; the lock also has those for other Pythons.

    Raises:
        SystemExit: something is installed whose version is not in the lock.
    """
    found = [one for one in bill["components"] if present.get(normalised(one["name"])) == one["version"]]
    for one in found:  # uv gives no purl to packages from this checkout
        one.setdefault("purl", f"pkg:pypi/{normalised(one['name'])}@{one['version']}")
    missing = sorted(set(present) - {normalised(one["name"]) for one in found})
    if missing:
        raise SystemExit(f"sbom: installed and not in uv.lock in this version: {', '.join(missing)}")
    return found


def debian_components() -> list[dict[str, Any]]:
    """Every package that dpkg lists as installed."""
    fields = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${db:Status-Status}\n"
    done = subprocess.run(["dpkg-query", "-W", "-f", fields], check=True, stdout=subprocess.PIPE, text=True)
    release = os_release()
    components = []
    for line in sorted(done.stdout.splitlines()):
        name, version, architecture, source, status = line.split("\t")
        if status != "installed":
            continue
        where = f"arch={architecture}&distro={release['ID']}-{release['VERSION_ID']}"
        purl = f"pkg:deb/{release['ID']}/{urllib.parse.quote(name)}@{urllib.parse.quote(version)}?{where}"
        properties = [{"name": "debian:source", "value": source}]
        components.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
                "properties": properties,
            }
        )
    return components


def os_release() -> dict[str, str]:
    lines = pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}


def merged(name: str, bill: dict[str, Any], components: list[dict[str, Any]]) -> dict[str, Any]:
    """The image's bill of materials: uv's, but with these components and only references to them."""
    root, epoch = bill["metadata"]["component"], int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    kept = {one["bom-ref"] for one in components} | {root["bom-ref"]}
    image = {"type": "container", "bom-ref": root["bom-ref"], "name": name, "version": root["version"]}
    if revision := os.environ.get("TRAINYARD_CODE_REVISION"):
        image["properties"] = [{"name": "trainyard:code_revision", "value": revision}]
    release = os_release()
    system = {"type": "operating-system", "bom-ref": "os", "name": release["ID"], "version": release["VERSION_ID"]}
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    content: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": created, "tools": bill["metadata"]["tools"], "component": image},
        "components": [system, *components],
        "dependencies": [
            {**one, "dependsOn": [ref for ref in one.get("dependsOn", []) if ref in kept]}
            for one in bill["dependencies"]
            if one["ref"] in kept
        ],
    }
    serial = uuid.uuid5(SERIAL_NAMESPACE, json.dumps(content, sort_keys=True))
    return {**content, "serialNumber": f"urn:uuid:{serial}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True)
    parser.add_argument("--groups", required=True)
    parser.add_argument("--environment", required=True, type=pathlib.Path)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    options = parser.parse_args()
    bill = exported(options.groups.split())
    components = python_components(bill, installed(options.environment)) + debian_components()
    folder = options.output / "usr" / "share" / "sbom"
    folder.mkdir(parents=True)
    file = folder / f"{options.name}.cdx.json"
    file.write_text(json.dumps(merged(options.name, bill, components), indent=1) + "\n", encoding="utf-8")
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for path in (file, *file.parents[: len(folder.relative_to(options.output).parts)]):
        os.utime(path, (epoch, epoch))


if __name__ == "__main__":
    main()
