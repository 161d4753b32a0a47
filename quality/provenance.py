"""Which code a run uses: a digest of it, and the commit that it is, where it is one.

The digest is of the bytes: the product's rooms, the workload's folder and the contracts, wherever they lie and whoever tracks
them. The commit is that of this checkout and no other's: a copy without a history that lies in somebody else's repository has
none. It ends in `-dirty` as soon as one used file is not the commit's.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import subprocess
from collections.abc import Iterator

from components import code_files
from spec import environment as env
from spec import home

ROOMS = ("answering", "components", "landing", "model_store", "pipelines", "quality", "spec", "storage", "vector_index")
"""What a run imports."""
NOT_PRODUCT = ("workloads",)
"""In pipelines/: a workload's own folder is looked at by itself, and the others play no part in its runs."""


@dataclasses.dataclass(frozen=True)
class Code:
    """The code of a run.

    Attributes:
        revision: the commit, perhaps with `-dirty`; empty where it is not known.
        digest: SHA-256 over names and content of every file.
    """

    revision: str
    digest: str


def code_of(workload: str | None = None) -> Code:
    """The product's code, and that of a workload with its contracts.

    Args:
        workload: its name; None: the product alone.
    """
    sha, blobs = hashlib.sha256(), {}
    for name, path in _files(workload):
        content = path.read_bytes()
        sha.update(f"{name}\0{hashlib.sha256(content).hexdigest()}".encode("utf-8", "surrogateescape"))
        blobs[path] = content
    return Code(_revision(blobs), sha.hexdigest())


def _files(workload: str | None) -> Iterator[tuple[str, pathlib.Path]]:
    """(name that is the same wherever the code lies, path)."""
    folders = {room: home.ROOT / room for room in ROOMS}
    if workload is not None:
        folders |= {
            "a workload": home.workloads_root() / workload,
            "its contracts": home.schemas_root() / workload,
        }
    for title, folder in folders.items():
        without = NOT_PRODUCT if title == "pipelines" else ()
        for name, path in code_files.files_of(folder, without).items():
            yield f"{title}/{name}", path


def _revision(blobs: dict[pathlib.Path, bytes]) -> str:
    named = os.environ.get(env.CODE_REVISION, "")
    revision = named or git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").strip()
    if not revision or revision.endswith("-dirty"):
        return revision
    # Said alike by who compiles a pipeline and by a pod, which asks before it knows its workload.
    is_clean = all(root.is_relative_to(home.ROOT) for root in (home.workloads_root(), home.schemas_root()))
    if is_clean and not named:
        committed = _committed()
        is_clean = all(_is_committed(committed, path, text) for path, text in blobs.items())
    return revision if is_clean else f"{revision}-dirty"


def _committed() -> dict[str, str]:
    """Path below the checkout -> id of the content that the commit has for it; of plain files."""
    entries = (entry.partition("\t") for entry in git("ls-tree", "-r", "-z", "HEAD").split("\0") if entry)
    facts = ((meta.split(" "), path) for meta, _, path in entries)
    return {path: oid for (mode, _, oid), path in facts if mode.startswith("100")}


def _is_committed(committed: dict[str, str], path: pathlib.Path, content: bytes) -> bool:
    """What git would say of the file, were it not ignored, or told to assume that it is unchanged."""
    if not path.is_relative_to(home.ROOT):
        return False
    oid = committed.get(path.relative_to(home.ROOT).as_posix(), "")
    kind = "sha256" if len(oid) == 64 else "sha1"
    return hashlib.new(kind, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == oid


def git(*arguments: str) -> str:
    """What a git command on this checkout prints; empty where it is none, or git does not run.

    A repository further up is another's, and so is one that the environment names (a hook's). Files of another user are read
    all the same: their code is what runs here.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = str(home.ROOT.resolve().parent)
    options = ["--no-optional-locks", "-c", "safe.directory=*", "-C", str(home.ROOT)]
    try:
        done = subprocess.run(
            ["git", *options, *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            env=environment,
            errors="surrogateescape",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
