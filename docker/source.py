"""What an image is built from: this checkout's tracked files, revision and commit time. For build_images.py."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[1]
_COPY = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)
_COPIED = [
    line for file in (ROOT / "docker").glob("*.Dockerfile") for line in _COPY.findall(file.read_text(encoding="utf-8"))
]
CONTEXT = tuple(sorted({"docker", *(name for line in _COPIED for name in line.split())}))
"""What the Dockerfiles copy, and the steps that they run."""


class BuildError(Exception):
    """The image cannot be built; the message is one line for the user."""


def git(*arguments: str) -> str:
    """The output of a git command on this checkout.

    Raises:
        BuildError: git failed.
    """
    # As in quality/provenance.py: only this checkout, not a repository above it, and whoever its owner is.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = str(ROOT.parent)
    options = ["--no-optional-locks", "-c", "safe.directory=*", "-C", str(ROOT)]
    try:
        done = subprocess.run(
            ["git", *options, *arguments], capture_output=True, text=True, timeout=60, env=environment
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"git does not run ({error}): an image names the revision that it was built from") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise BuildError(f"{ROOT} has to be a git checkout, so that the image can name its revision: {said[-1]}")
    return done.stdout


def revision() -> str:
    """The same revision as in quality/provenance.py, so that a run compiled here and the image agree."""
    named = os.environ.get("TRAINYARD_CODE_REVISION")
    return named or git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").strip()


def commit_time() -> int:
    """SOURCE_DATE_EPOCH, else the commit's time, in seconds since 1970."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct"))


def iso_time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def version() -> str:
    """The project's version in pyproject.toml, for which Python 3.8 has no parser."""
    found = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise BuildError(f"{ROOT / 'pyproject.toml'} names no version")
    return found[1]


def url() -> str:
    """The URL of git's remote `origin`, without a password; empty if it is not a web address."""
    try:
        remote = urllib.parse.urlsplit(git("remote", "get-url", "origin").strip())
    except BuildError:
        return ""
    return f"https://{remote.hostname}{remote.path}" if remote.scheme in ("http", "https") and remote.hostname else ""


def warn_of_untracked() -> None:
    """Warns about untracked files: they are not part of the revision, so they are left out of the image."""
    found = git("ls-files", "--others", "--exclude-standard", "--", *CONTEXT).splitlines()
    if found:
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        print(f"docker/build: not in the image, because git does not track it: {found[0]}{others}", file=sys.stderr)


def write_context(folder: pathlib.Path, epoch: int) -> None:
    """Copies the tracked files in their present state, with modes and times that are the same everywhere."""
    for name in git("ls-files", "-z", "--", *CONTEXT).split("\0"):
        path = ROOT / name
        if not name or not path.is_file():
            continue  # deleted in the checkout, which `-dirty` shows
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (epoch, epoch))
        if path.is_dir():
            path.chmod(0o755)
