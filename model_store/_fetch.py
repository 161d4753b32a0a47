"""Comparing a release with its manifest, and copying it to the local disk."""

from __future__ import annotations

import errno
import hashlib
import pathlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from model_store._errors import StoreError, from_os_error
from model_store._release import RELEASE_FILE, Release
from storage import Files

_FULL = "the unfinished copy is removed. Free some space, or name a folder on a larger disk"
_NO_FILE = frozenset({errno.ELOOP, errno.EINVAL})


def compare(files: Files, folder: str, release: Release, without: Collection[str] = ()) -> list[str]:
    """What differs between the files of a folder and a release's manifest, in words; some files are not asked about."""
    present = files.files(folder)
    present.pop(RELEASE_FILE, None)
    wanted = _wanted(release, without)
    problems = [f"{name} is missing" for name in wanted if name not in present]
    problems += [f"{name} was added after publishing" for name in present if name not in release.files]
    for name, expected in wanted.items():
        if name in present and (found := _difference(files, f"{folder}/{name}", present[name], expected)):
            problems.append(_changed(name, found))
    return problems


def copy(files: Files, release: Release, manifest: bytes, target: pathlib.Path, without: Collection[str] = ()) -> None:
    """Copies a release, but for some files, to a new folder. What counts is the copy: its bytes are those that were published.

    Args:
        manifest: the bytes of its release.json, which are written last.
        target: in a folder that nobody else may write to, else the copy could be changed after this.

    Raises:
        StoreError: the release is not what was published, or cannot be read or written; nothing is left behind.
    """
    folder, wanted = f"{release.model}/{release.version}", _wanted(release, without)
    try:
        present = files.files(folder)  # sizes first: what is larger than it should be is not copied
        problems = [f"{name} is missing" for name in wanted if name not in present]
        problems += _copied(files, folder, wanted, present, target)
        if problems:
            raise refusal(release.model, release.version, problems)
        (target / RELEASE_FILE).write_bytes(manifest)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise from_os_error(error, f"fetching {release.uri} to {target}", _FULL) from error
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def refusal(model: str, version: int, problems: Sequence[str]) -> StoreError:
    """The first problems of a release in one line, and the remedy."""
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return StoreError(
        f"{model} version {version} is not what was published: {'; '.join(problems[:3])}{more}. "
        "Restore it from a copy, or publish the model again."
    )


def _copied(
    files: Files, folder: str, wanted: Mapping[str, Any], present: Mapping[str, int], target: pathlib.Path
) -> list[str]:
    problems = []
    for name in (one for one in wanted if one in present):
        expected, size = wanted[name], present[name]
        try:
            found: Mapping[str, Any] = {"bytes": size}
            if size == expected["bytes"]:
                found = files.copy_out(f"{folder}/{name}", target / name)
            difference = _unlike(found, expected)
        except FileNotFoundError:
            difference = "it is gone"
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            difference = str(error.strerror)
        if difference:
            problems.append(_changed(name, difference))
    return problems


def _wanted(release: Release, without: Collection[str]) -> dict[str, dict[str, Any]]:
    return {
        name: expected
        for name, expected in release.files.items()
        if not any(name == one or name.startswith(f"{one}/") for one in without)
    }


def _changed(name: str, how: str) -> str:
    return f"{name} was changed after publishing ({how})"


def _difference(files: Files, path: str, size: int, expected: Mapping[str, Any]) -> str | None:
    digest = hashlib.sha256()
    try:
        for chunk in files.chunks(path):
            if size != expected["bytes"]:
                break
            digest.update(chunk)
    except OSError as error:
        return str(error.strerror) if error.errno in _NO_FILE else f"cannot be read: {error.strerror or error}"
    return _unlike({"bytes": size, "sha256": digest.hexdigest()}, expected)


def _unlike(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    if found["bytes"] != expected["bytes"]:
        return f"{found['bytes']} bytes instead of {expected['bytes']}"
    if found["sha256"] != expected["sha256"]:
        return f"SHA-256 {found['sha256']:.12}... instead of {expected['sha256']:.12}..."
    return None
