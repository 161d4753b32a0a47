"""Installs the `uv` binary into a folder, on a machine with Python and a PyPI index but perhaps no pip.

Usage: python fetch_uv.py FOLDER
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


def _by_pip() -> bytes | None:
    """Uses pip, which knows the machine's index, proxy and certificates; Debian's Python has none."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, f"uv=={_VERSION}"]
        if subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            return None
        return next(pathlib.Path(folder).glob("uv-*.whl")).read_bytes()


def _by_index() -> bytes:
    """Reads the index's HTML page, which every index and mirror has (PEP 503), and checks the wheel's SHA-256 against it."""
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    page = f"{index.rstrip('/')}/uv/"
    with urllib.request.urlopen(page, timeout=60) as reply:  # noqa: S310
        links = re.findall(r'href="([^"]+)"', reply.read().decode())
    wheel = re.compile(rf"/uv-{re.escape(_VERSION)}-[^/]*manylinux_2_17_x86_64[^/]*\.whl(?:#sha256=([0-9a-f]{{64}}))?$")
    link, found = next((link, match) for link in map(html.unescape, links) if (match := wheel.search(link)))
    with urllib.request.urlopen(urllib.parse.urljoin(page, link), timeout=180) as reply:  # noqa: S310
        content = bytes(reply.read())
    if found[1] is None or hashlib.sha256(content).hexdigest() != found[1]:
        raise SystemExit(f"{link}: the download does not match the index's SHA-256; try again")
    return content


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
