"""Installs the `uv` binary into a folder, on a machine with Python and a PyPI index but perhaps no pip.

Usage: python fetch_uv.py FOLDER

What is downloaded runs with the user's rights and installs everything else, so it must be the file that is pinned here, whatever
the index or mirror says. To raise the pin: set `_VERSION`, and `_SHA256` to what `pip download --no-deps uv==<version>` and
`sha256sum` say, after comparing it with the file's page at https://pypi.org/project/uv/<version>/#files.
"""

from __future__ import annotations

import hashlib
import html
import io
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import zipfile

_VERSION = "0.13.8"
_WHEEL = f"uv-{_VERSION}-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
_SHA256 = "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984"
"""Of the wheel for Linux on x86-64, the one platform that Trainyard's environments are made on."""


def _by_pip() -> bytes | None:
    """Uses pip, which knows the machine's index, proxy and certificates; Debian's Python has none."""
    with tempfile.TemporaryDirectory() as folder:
        platform = ["--only-binary=:all:", "--platform", "manylinux_2_17_x86_64"]
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            *platform,
            "-d",
            folder,
            f"uv=={_VERSION}",
        ]
        if subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            return None
        return next(pathlib.Path(folder).glob("uv-*.whl")).read_bytes()


def _by_index() -> bytes:
    """Reads the index's HTML page, which every index and mirror has (PEP 503)."""
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    page = f"{index.rstrip('/')}/uv/"
    with urllib.request.urlopen(page, timeout=60) as reply:  # noqa: S310
        links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', reply.read().decode())]
    link = next((link for link in links if urllib.parse.urlsplit(link).path.endswith(f"/{_WHEEL}")), None)
    if link is None:
        raise SystemExit(f"the package index has no {_WHEEL}. Use another index, or install uv yourself.")
    with urllib.request.urlopen(urllib.parse.urljoin(page, link), timeout=180) as reply:  # noqa: S310
        return bytes(reply.read())


def _pinned(content: bytes) -> bytes:
    if (received := hashlib.sha256(content).hexdigest()) != _SHA256:
        raise SystemExit(
            f"{_WHEEL}: is not the pinned file (SHA-256 {_SHA256}). Received: {received}. Nothing was installed; "
            "try again, and if it stays so, ask whoever runs the package index."
        )
    return content


def main(folder: str) -> None:
    wheel = zipfile.ZipFile(io.BytesIO(_pinned(_by_pip() or _by_index())))
    binary = next(name for name in wheel.namelist() if name.endswith("/scripts/uv"))
    target = pathlib.Path(folder) / "uv"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    partial.write_bytes(wheel.read(binary))
    partial.chmod(partial.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    partial.rename(target)


if __name__ == "__main__":
    main(sys.argv[1])
