"""Artifacts between a folder and an object store: whole or not at all.

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
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from spec.errors import LASTING, InputError

MARKER = "_COMPLETE"
_WORKERS = 8
_ATTEMPTS = 4
_PAUSE_S = 1.0
# As s3fs, gcsfs and adlfs say it; not any "bucket": a path may have the word.
_NO_BUCKET = re.compile(r"(bucket|container) does ?n[o']t exist|NoSuchBucket|ContainerNotFound", re.IGNORECASE)
Result = TypeVar("Result")


class Incomplete(InputError):
    """An artifact that is not there, or not as its marker says. Another attempt of the same node would find the same."""


def is_remote(uri: str) -> bool:
    """Whether an URI is in an object store; a path, a shared volume's too, is not."""
    return "://" in uri and not uri.startswith("file://")


def open_store(uri: str) -> tuple[Any, str]:
    """fsspec's file system for an URI, and the path in it. Listings are not cached: other pods write there."""
    import fsspec.core

    filesystem, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    return filesystem, path.rstrip("/")


# botocore's, google-auth's and azure-identity's, by name: none of them need be installed.
_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "ClientAuthenticationError"}
)


def as_refused(error: BaseException, uri: str = "") -> InputError | None:
    """An object store's refusal as one line; None if it is another error. A local file's refusal has an errno."""
    refused = isinstance(error, PermissionError) and error.errno not in LASTING
    if not refused and type(error).__name__ not in _CREDENTIALS:
        return None
    place = f"{uri}: access" if uri else "access to the object store"
    return InputError(
        f"{place} is refused ({' '.join(str(error).split())[:200]}). Check the object store's credentials and the rights of the "
        "pod's service account."
    )


@contextlib.contextmanager
def store_trouble(uri: str) -> Iterator[None]:
    """Refused credentials and missing buckets are for a person to mend: one line."""
    try:
        yield
    except Exception as error:
        if refused := as_refused(error, uri):
            raise refused from error
        if isinstance(error, FileNotFoundError) and _NO_BUCKET.search(str(error)):
            raise InputError(
                f"{uri}: {error}. Make the bucket, or mend root, data or store in kubeflow.yaml."
            ) from error
        raise


def upload(local: pathlib.Path, uri: str) -> None:
    """Makes the artifact at `uri` what the folder `local` is.

    What an attempt before has left there is used where size and MD5 are the same (the store's own MD5: S3's ETag of a
    single part, Google's md5Hash), replaced where not, and removed where `local` has no such file.
    """
    with store_trouble(uri):
        store, root = open_store(uri)
        _without(store, f"{root}/{MARKER}")
        there = _listing(store, root)
        files = {path.relative_to(local).as_posix(): path for path in sorted(local.rglob("*")) if path.is_file()}
        for extra in there.keys() - files.keys():
            _without(store, f"{root}/{extra}")

        def send(name: str) -> tuple[str, dict[str, Any]]:
            record, md5 = _digests(files[name])
            known = there.get(name)
            if known is None or known["size"] != record["bytes"] or _stored_md5(known) != md5:
                _again(lambda: store.put_file(str(files[name]), f"{root}/{name}"))
            return name, record

        with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
            records = dict(pool.map(send, files))
        marker = {"files": dict(sorted(records.items())), "folders": _empty_folders(local)}
        _again(lambda: store.pipe_file(f"{root}/{MARKER}", json.dumps(marker, indent=1).encode()))


def download(uri: str, local: pathlib.Path) -> None:
    """Makes the folder `local` what the artifact at `uri` is.

    Raises:
        Incomplete: it has no marker, or is not what the marker says.
    """
    with store_trouble(uri):
        store, root = open_store(uri)
        marker = read_marker(uri)
        if marker is None:
            raise Incomplete(
                f"{uri}: has no {MARKER}: its upload did not finish, or somebody removed it. Start a new run, which makes it again."
            )
        local.mkdir(parents=True, exist_ok=True)
        for name in marker["folders"]:
            (local / name).mkdir(parents=True, exist_ok=True)

        def fetch(item: tuple[str, Mapping[str, Any]]) -> None:
            name, record = item
            _fetch(store, f"{root}/{name}", local / name, record, f"{uri}/{name}")

        with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(fetch, marker["files"].items()))


def download_unmarked(uri: str, local: pathlib.Path) -> None:
    """Fetches a folder that nobody of ours wrote, such as one that an Importer names."""
    with store_trouble(uri):
        store, root = open_store(uri)
        found = _listing(store, root)
        if not found:
            raise Incomplete(f"{uri}: there is nothing there. Check the address.")
        for name in found:
            target = local / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _again(lambda name=name, target=target: store.get_file(f"{root}/{name}", str(target)))  # type: ignore[misc]


def read_marker(uri: str) -> dict[str, Any] | None:
    """The marker of an artifact; None where there is none, or it cannot be read."""
    store, root = open_store(uri)
    try:
        read: dict[str, Any] = json.loads(_again(lambda: store.cat_file(f"{root}/{MARKER}")))
    except (FileNotFoundError, ValueError):
        return None
    return read if isinstance(read, dict) and {"files", "folders"} <= read.keys() else None


def read(uri: str) -> bytes:
    """One small file, in an object store or a folder."""
    with store_trouble(uri):
        store, path = open_store(uri)
        content: bytes = _again(lambda: store.cat_file(path))
    return content


def read_if_there(uri: str) -> bytes | None:
    """One small file; None where there is none."""
    store, path = open_store(uri)
    with contextlib.suppress(FileNotFoundError):
        return bytes(_again(lambda: store.cat_file(path)))
    return None


def write(uri: str, content: bytes) -> None:
    """One small file, whole or not at all."""
    with store_trouble(uri):
        if is_remote(uri):
            store, path = open_store(uri)
            _again(lambda: store.pipe_file(path, content))
            return
        target = pathlib.Path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(content)
        partial.replace(target)


def remove(uri: str) -> None:
    """One file, if it is there."""
    _without(*open_store(uri))


def is_whole(uri: str) -> bool:
    """Whether an artifact is there, by names and sizes; the bytes are checked when it is downloaded."""
    marker = read_marker(uri)
    if marker is None:
        return False
    store, root = open_store(uri)
    sizes = {name: info["size"] for name, info in _listing(store, root).items()}
    return sizes == {name: record["bytes"] for name, record in marker["files"].items()}


def discard(uri: str) -> None:
    """What lies there counts as nothing from now on. The bytes stay: the next upload uses those that are right."""
    if is_remote(uri):
        store, root = open_store(uri)
        _without(store, f"{root}/{MARKER}")
    else:
        shutil.rmtree(uri, ignore_errors=True)


def probe(folder_uri: str) -> None:
    """Makes sure that we may write below a folder, before hours of work depend on it.

    Raises:
        InputError: we may not; says why.
    """
    with store_trouble(folder_uri):
        if is_remote(folder_uri):
            store, root = open_store(folder_uri)
            _again(lambda: store.pipe_file(f"{root}/.system/writable", b"ok"))
            return
        try:
            folder = pathlib.Path(folder_uri) / ".system"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "writable").write_bytes(b"ok")
        except OSError as error:
            raise InputError(f"{folder_uri}: cannot be written: {error.strerror}. Mend the volume's rights.") from error


def _fetch(store: Any, source: str, target: pathlib.Path, record: Mapping[str, Any], shown: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in (1, 2):  # a connection may drop bytes; what is wrong twice is wrong in the store
        try:
            _again(lambda: store.get_file(source, str(target)))
        except FileNotFoundError:
            raise Incomplete(f"{shown}: is gone. Start a new run, which makes it again.") from None
        found, _ = _digests(target)
        if found == dict(record):
            return
        if attempt == 2:
            raise Incomplete(
                f"{shown}: differs from what was uploaded ({found['bytes']:,} bytes, SHA-256 {found['sha256'][:12]}; expected "
                f"{record['bytes']:,}, {record['sha256'][:12]}). Remove the artifact and start a new run."
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


def _listing(store: Any, root: str) -> dict[str, dict[str, Any]]:
    """Files below a folder by their name in it, without the marker."""
    prefix = root.lstrip("/") + "/"
    found = {
        name.lstrip("/").removeprefix(prefix): info
        for name, info in _again(lambda: store.find(root, detail=True)).items()
        if name.lstrip("/").startswith(prefix)
    }
    return {name: info for name, info in found.items() if name != MARKER and info["type"] == "file"}


def _empty_folders(local: pathlib.Path) -> list[str]:
    """Folders that no file implies; a program may look for them."""
    folders = [path for path in sorted(local.rglob("*")) if path.is_dir() and not any(path.iterdir())]
    return [path.relative_to(local).as_posix() for path in folders]


def _without(store: Any, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        _again(lambda: store.rm_file(path))


def _again(work: Callable[[], Result]) -> Result:
    """Does `work` again when the network fails it; not when the store has answered."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return work()
        except OSError as error:
            lasting = isinstance(error, FileNotFoundError | PermissionError | FileExistsError) or error.errno in LASTING
            if lasting or attempt == _ATTEMPTS:
                raise
        time.sleep(_PAUSE_S * 2 ** (attempt - 1))
    raise AssertionError
