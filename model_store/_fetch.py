"""Comparing a release with its manifest, and bringing a remote one to the local disk."""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import uuid
from collections.abc import Collection

from model_store._errors import StoreError, from_os_error
from model_store._release import RELEASE_FILE, Release, release_problems
from model_store._signing import Keys
from storage import Files, LocalFolder


def compare(files: Files, folder: str, release: Release, without: Collection[str] = ()) -> list[str]:
    """What differs between the files of a folder and a release's manifest, in words; some files are not asked about."""
    present = files.files(folder)
    present.pop(RELEASE_FILE, None)
    wanted = {name: expected for name, expected in release.files.items() if not _is_left_out(name, without)}
    problems = [f"{name} is missing" for name in wanted if name not in present]
    problems += [f"{name} was added after publishing" for name in present if name not in release.files]
    for name, expected in wanted.items():
        if name in present and (found := _difference(files, f"{folder}/{name}", present[name], expected)):
            problems.append(f"{name} was changed after publishing ({found})")
    return problems


def _is_left_out(name: str, without: Collection[str]) -> bool:
    return any(name == one or name.startswith(f"{one}/") for one in without)


def _difference(files: Files, path: str, size: int, expected: dict[str, object]) -> str | None:
    if size != expected["bytes"]:
        return f"{size} bytes instead of {expected['bytes']}"
    digest = hashlib.sha256()
    try:
        for chunk in files.chunks(path):
            digest.update(chunk)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    found = digest.hexdigest()
    return (
        None if found == expected["sha256"] else f"SHA-256 {found[:12]}... instead of {str(expected['sha256'])[:12]}..."
    )


def download(
    files: Files, release: Release, folder: pathlib.Path, keys: Keys, without: Collection[str] = ()
) -> pathlib.Path:
    """Copies a release, but for some files, to `<folder>/<model>/<version>`, checks the copy, and only then gives it that name."""
    remote = f"{release.model}/{release.version}"
    cache = LocalFolder(folder)
    manifest = files.read(f"{remote}/{RELEASE_FILE}")
    if problems := release_problems(manifest, keys):
        raise StoreError(f"{release.uri} is not what was published: {'; '.join(problems)}.")
    if (folder / remote).is_dir() and not compare(cache, remote, release, without):
        return folder / remote
    aside = f"{release.model}/.fetching-{uuid.uuid4().hex}"
    try:
        for name in (one for one in release.files if not _is_left_out(one, without)):
            files.copy_out(f"{remote}/{name}", folder / aside / name)
        if problems := compare(cache, aside, release, without):
            raise StoreError(f"{release.uri} is not what was published: {'; '.join(problems[:3])}.")
        (folder / aside / RELEASE_FILE).write_bytes(manifest)
        shutil.rmtree(folder / remote, ignore_errors=True)
        (folder / aside).rename(folder / remote)
    except FileNotFoundError as error:
        raise StoreError(f"{release.uri} is not complete: {error}. Publish the model again.") from None
    except OSError as error:
        raise from_os_error(error, f"fetching {release.uri} to {folder}") from error
    finally:
        cache.remove(aside)
    return folder / remote
