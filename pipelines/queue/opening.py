"""Which queue a URI names."""

from __future__ import annotations

import pathlib

from pipelines.queue.folder import FolderQueue
from pipelines.queue.queues import Queue, without_secrets
from spec.errors import InputError


def open_queue(uri: str, model: str, consumer: str) -> Queue:
    """A queue by its URI.

    Args:
        uri: a folder, or `redis://host:port/db?stream=name`.
        model: names the stream where the URI does not.
        consumer: a name that no other process has.

    Raises:
        InputError: it is not such a URI, there is no such folder, or the server refuses.
        TryAgainError: the server does not answer.
    """
    scheme, _, rest = uri.partition("://")
    if scheme in ("redis", "rediss") and rest:
        from pipelines.queue.redis_stream import RedisStream  # its client, only where there is a server to ask

        return RedisStream(uri, model, consumer)
    if rest and scheme != "file":
        raise InputError(
            f"--queue: {scheme}:// is no queue. Received: {without_secrets(uri)}. Name a folder, or redis://host:6379/0."
        )
    return FolderQueue(pathlib.Path(uri.removeprefix("file://")).expanduser().absolute())
