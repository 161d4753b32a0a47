"""Writing on a condition, as each store's own protocol does it, through the client that fsspec uses for everything else.

S3 compares ETags, Google Cloud Storage generations, Azure ETags. One client for reads and writes means one set of credentials and
endpoints; docs/decisions/0034-storage-and-conditional-writes.md says what else was looked at.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import threading
import urllib.parse
import uuid
from typing import Any, Protocol

from storage._errors import Conflict, NoConditionalWrites

_LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class Conditional(Protocol):
    """The two requests of a store that everything else is built from."""

    def read(self, path: str) -> tuple[bytes, str]:
        """Content and version. The version is asked for first, or comes with the content: it is never newer than that."""

    def write(self, path: str, data: bytes, version: str | None) -> str:
        """Writes over that version (None: where there is nothing) and returns the new one. Raises Conflict."""


def conditional(filesystem: Any, uri: str) -> Conditional:
    """The conditional writes of a store.

    Raises:
        NoConditionalWrites: it has none.
    """
    protocols = (filesystem.protocol,) if isinstance(filesystem.protocol, str) else filesystem.protocol
    for protocol in protocols:
        if protocol in _KINDS:
            return _KINDS[protocol](filesystem)
    raise NoConditionalWrites(
        f"{uri}: fsspec's {protocols[0]!r} cannot write on a condition, and two writers could overwrite one another. "
        "Use a folder, or a store of s3://, gs:// or abfs://."
    )


def write_once(store: Conditional, path: str, data: bytes, version: str | None) -> str:
    """`store.write`, where a client that lost the answer and asked again takes its own write for no conflict."""
    try:
        return store.write(path, data, version)
    except Conflict:
        with contextlib.suppress(FileNotFoundError):
            present, now = store.read(path)
            if present == data:
                return now
        raise


def _conflict(path: str) -> Conflict:
    return Conflict(errno.EEXIST, "is no longer what was read", path)


class _S3:
    def __init__(self, filesystem: Any) -> None:
        self._fs = filesystem

    def read(self, path: str) -> tuple[bytes, str]:
        import fsspec.asyn

        content, etag = fsspec.asyn.sync(self._fs.loop, self._read, path)
        return content, etag

    async def _read(self, path: str) -> tuple[bytes, str]:
        # The ETag is mostly the content's MD5: asked for apart from the content it could name an equal, earlier content.
        bucket, key, _ = self._fs.split_path(path)
        answer = await self._fs._call_s3("get_object", Bucket=bucket, Key=key)
        async with answer["Body"] as body:
            return await body.read(), answer["ETag"]

    def write(self, path: str, data: bytes, version: str | None) -> str:
        bucket, key, _ = self._fs.split_path(path)
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        try:
            return str(self._fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, **condition)["ETag"])
        except OSError as error:
            code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code", "")
            if code in _LOST or code == "NoSuchKey":  # gone, and so no longer what was read
                raise _conflict(path) from error
            if code == "NotImplemented":
                raise NoConditionalWrites(
                    f"{path}: this S3 server does not know If-Match and If-None-Match. Use one that does, or a folder."
                ) from error
            raise


class _GoogleCloudStorage:
    def __init__(self, filesystem: Any) -> None:
        self._fs = filesystem

    def read(self, path: str) -> tuple[bytes, str]:
        generation = str(self._fs.info(path)["generation"])
        return bytes(self._fs.cat_file(path)), generation

    def write(self, path: str, data: bytes, version: str | None) -> str:
        bucket, key, _ = self._fs.split_path(path)
        boundary = uuid.uuid4().hex
        part = f"--{boundary}\r\nContent-Type: "
        head = f"{part}application/json\r\n\r\n{json.dumps({'name': key})}\r\n{part}application/octet-stream\r\n\r\n"
        try:
            written = self._fs.call(  # as gcsfs uploads; it knows of no generation but 0
                "POST",
                f"{self._fs._location}/upload/storage/v1/b/{urllib.parse.quote(bucket)}/o",
                uploadType="multipart",
                ifGenerationMatch=version or "0",
                headers={"Content-Type": f'multipart/related; boundary="{boundary}"'},
                data=head.encode() + data + f"\r\n--{boundary}--".encode(),
                json_out=True,
            )
        except FileExistsError as error:  # gcsfs's word for status 412
            raise _conflict(path) from error
        return str(written["generation"])


class _Azure:
    def __init__(self, filesystem: Any) -> None:
        self._fs = filesystem

    def read(self, path: str) -> tuple[bytes, str]:
        etag = str(self._fs.info(path)["etag"])
        return bytes(self._fs.cat_file(path)), etag

    def write(self, path: str, data: bytes, version: str | None) -> str:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        condition: dict[str, Any] = {"overwrite": False}
        if version is not None:
            condition = {"overwrite": True, "etag": version, "match_condition": MatchConditions.IfNotModified}
        try:
            return str(self._fs.pipe_file(path, data, **condition)["etag"])
        except (FileExistsError, ResourceModifiedError) as error:
            raise _conflict(path) from error
        except ResourceNotFoundError as error:
            raise FileNotFoundError(f"{path}: {error}") from error


class _Memory:
    """fsspec's store in memory, for tests: of this process alone."""

    _lock = threading.Lock()

    def __init__(self, filesystem: Any) -> None:
        self._fs = filesystem

    def read(self, path: str) -> tuple[bytes, str]:
        content = bytes(self._fs.cat_file(path))
        return content, hashlib.sha256(content).hexdigest()

    def write(self, path: str, data: bytes, version: str | None) -> str:
        with self._lock:
            present = self.read(path)[1] if self._fs.exists(path) else None
            if present != version:
                raise _conflict(path)
            self._fs.pipe_file(path, data)
        return hashlib.sha256(data).hexdigest()


_KINDS: dict[str, Any] = {
    "s3": _S3,
    "s3a": _S3,
    "gs": _GoogleCloudStorage,
    "gcs": _GoogleCloudStorage,
    "abfs": _Azure,
    "abfss": _Azure,
    "az": _Azure,
    "memory": _Memory,
}
