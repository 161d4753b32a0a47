"""Artifacts copied between a folder and an object store, whole or not at all.

An upload writes the files, in parallel, and last a marker that names each with its size and SHA-256. Without the marker
there is no artifact, whatever lies there: a node killed in mid-upload leaves nothing that another could take for whole.
A download checks every byte against the marker.
"""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import hashlib
import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from spec.errors import InputError
from storage._clients import is_remote
from storage._errors import store_trouble
from storage._files import Files
from storage._object_store import ObjectStore
from storage._opening import open_files

MARKER = "_COMPLETE"
_WORKERS = 8


class Incomplete(InputError):
    """An artifact that is not there, or not as its marker says. Another attempt of the same node would find the same."""


def upload(local: pathlib.Path, uri: str) -> None:
    """Makes the artifact at `uri` what the folder `local` is.

    Files that an earlier attempt left are used where size and MD5 are the same (the store's own MD5: S3's ETag of a
    single part, Google's md5Hash), replaced where not, and removed if `local` has no such file.
    """
    with store_trouble(uri):
        store = ObjectStore(uri)
        store.remove_file(MARKER)
        there = store.listing("")
        files = {path.relative_to(local).as_posix(): path for path in sorted(local.rglob("*")) if path.is_file()}
        for extra in there.keys() - files.keys():
            store.remove_file(extra)

        def send(name: str) -> tuple[str, dict[str, Any]]:
            record, md5 = _digests(files[name])
            known = there.get(name)
            if known is None or known["size"] != record["bytes"] or _stored_md5(known) != md5:
                store.put(files[name], name)
            return name, record

        with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
            records = dict(pool.map(send, files))
        marker = {"files": dict(sorted(records.items())), "folders": _empty_folders(local)}
        store.write(MARKER, json.dumps(marker, indent=1).encode())


def download(uri: str, local: pathlib.Path) -> None:
    """Makes the folder `local` what the artifact at `uri` is.

    Raises:
        Incomplete: it has no marker, or is not what the marker says.
    """
    with store_trouble(uri):
        store = ObjectStore(uri)
        marker = _marker(store)
        if marker is None:
            raise Incomplete(
                f"{uri}: has no {MARKER}: its upload did not finish, or somebody removed it. Start a new run, which makes it again."
            )
        local.mkdir(parents=True, exist_ok=True)
        for name in marker["folders"]:
            (local / name).mkdir(parents=True, exist_ok=True)

        def fetch(item: tuple[str, Mapping[str, Any]]) -> None:
            _fetch(store, item[0], local / item[0], item[1])

        with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(fetch, marker["files"].items()))


def download_unmarked(uri: str, local: pathlib.Path) -> None:
    """Fetches a folder that nobody of ours wrote, such as one that an Importer names."""
    with store_trouble(uri):
        store = ObjectStore(uri)
        found = store.listing("").keys() - {MARKER}
        if not found:
            raise Incomplete(f"{uri}: there is nothing there. Check the address.")
        for name in found:
            store.copy_out(name, local / name)


def is_whole(uri: str) -> bool:
    """Whether an artifact is there, by names and sizes; the bytes are checked when it is downloaded."""
    store = ObjectStore(uri)
    marker = _marker(store)
    if marker is None:
        return False
    sizes = {name: size for name, size in store.files("").items() if name != MARKER}
    return sizes == {name: record["bytes"] for name, record in marker["files"].items()}


def discard(uri: str) -> None:
    """Makes an artifact incomplete. In an object store the bytes stay, and the next upload uses those that fit."""
    if is_remote(uri):
        remove(f"{uri}/{MARKER}")
    else:
        shutil.rmtree(uri, ignore_errors=True)


def read(uri: str) -> bytes:
    """One small file, in an object store or a folder. Raises FileNotFoundError."""
    with store_trouble(uri):
        files, name = _file(uri)
        return files.read(name)


def read_if_there(uri: str) -> bytes | None:
    """One small file; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return read(uri)
    return None


def write(uri: str, content: bytes) -> None:
    """One small file, whole or not at all."""
    with store_trouble(uri):
        files, name = _file(uri)
        files.write(name, content)


def remove(uri: str) -> None:
    """One file, if it is there."""
    files, name = _file(uri)
    files.remove_file(name)


def probe(folder_uri: str) -> None:
    """Makes sure that we may write below a folder, before hours of work depend on it.

    Raises:
        InputError: we may not; says why.
    """
    try:
        write(f"{folder_uri}/.system/writable", b"ok")
    except OSError as error:
        if is_remote(folder_uri):
            raise
        raise InputError(f"{folder_uri}: cannot be written: {error.strerror}. Mend the volume's rights.") from error


def _file(uri: str) -> tuple[Files, str]:
    folder, _, name = uri.rpartition("/")
    return open_files(folder or "/"), name


def _marker(store: ObjectStore) -> dict[str, Any] | None:
    """The marker of an artifact; None where there is none, or it cannot be read."""
    try:
        read: dict[str, Any] = json.loads(store.read(MARKER))
    except (FileNotFoundError, ValueError):
        return None
    return read if isinstance(read, dict) and {"files", "folders"} <= read.keys() else None


def _fetch(store: ObjectStore, name: str, target: pathlib.Path, record: Mapping[str, Any]) -> None:
    for attempt in (1, 2):  # a connection may drop bytes; what is wrong twice is wrong in the store
        try:
            found = store.copy_out(name, target)
        except FileNotFoundError:
            raise Incomplete(f"{store.uri}/{name}: is gone. Start a new run, which makes it again.") from None
        if found == dict(record):
            return
        if attempt == 2:
            raise Incomplete(
                f"{store.uri}/{name}: differs from what was uploaded ({found['bytes']:,} bytes, SHA-256 {found['sha256']:.12}; "
                f"expected {record['bytes']:,}, {record['sha256'][:12]}). Remove the artifact and start a new run."
            )


def _digests(path: pathlib.Path) -> tuple[dict[str, Any], str]:
    sha, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(2**22):
            sha.update(block)
            md5.update(block)
    return {"bytes": path.stat().st_size, "sha256": sha.hexdigest()}, md5.hexdigest()


def _stored_md5(info: Mapping[str, Any]) -> str | None:
    """The MD5 that the store itself keeps of an object; None where it keeps none, as for one of several parts."""
    etag = str(info.get("ETag", "")).strip('"')
    if len(etag) == 32:
        return etag
    if encoded := info.get("md5Hash"):
        return base64.b64decode(encoded).hex()
    return None


def _empty_folders(local: pathlib.Path) -> list[str]:
    """Folders that no file implies; a program may look for them."""
    folders = [path for path in sorted(local.rglob("*")) if path.is_dir() and not any(path.iterdir())]
    return [path.relative_to(local).as_posix() for path in folders]
