"""Puts the `uv` binary into a folder, on a machine that has Python and a PyPI index and maybe no pip.

Usage: python fetch_uv.py FOLDER
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import zipfile

_VERSION = "0.8.24"


def _by_pip() -> bytes | None:
    """pip knows the machine's index, proxy and certificates; Debian's Python comes without it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, f"uv=={_VERSION}"]
        if subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            return None
        return next(pathlib.Path(folder).glob("uv-*.whl")).read_bytes()


def _by_index() -> bytes:
    """Reads the index's JSON page (PEP 691) and checks the wheel's SHA-256 against it."""
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    page = urllib.request.Request(f"{index.rstrip('/')}/uv/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})  # noqa: S310
    with urllib.request.urlopen(page, timeout=60) as reply:  # noqa: S310
        files = json.load(reply)["files"]
    wheel = next(
        f for f in files if f["filename"].startswith(f"uv-{_VERSION}-") and "manylinux_2_17_x86_64" in f["filename"]
    )
    with urllib.request.urlopen(urllib.parse.urljoin(page.full_url, wheel["url"]), timeout=180) as reply:  # noqa: S310
        content = reply.read()
    if hashlib.sha256(content).hexdigest() != wheel["hashes"]["sha256"]:
        raise SystemExit(f"{wheel['url']}: the download does not match the index's SHA-256; try again")
    return bytes(content)


def main(folder: str) -> None:
    wheel = zipfile.ZipFile(io.BytesIO(_by_pip() or _by_index()))
    binary = next(name for name in wheel.namelist() if name.endswith("/scripts/uv"))
    target = pathlib.Path(folder) / "uv"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    partial.write_bytes(wheel.read(binary))
    partial.chmod(partial.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    partial.rename(target)


if __name__ == "__main__":
    main(sys.argv[1])
