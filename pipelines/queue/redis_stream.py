"""A Redis stream as a queue: a consumer group hands its entries out, and counts how often."""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import storage
from pipelines.queue.queues import LEASE_S, WAIT_S, Delivery, without_secrets
from spec import environment as env
from spec.errors import InputError, TryAgainError
from spec.words import one_line

FIELD = "item"
"""Of an entry: the item, a JSON document."""
GROUP = "trainyard"
_PATIENCE_S = 60.0
_TIMEOUT_S = 10.0
_REFUSED = (redis.AuthenticationError, redis.ResponseError)
# Acknowledging says whether the entry was still to be done: an order that is sent twice leaves one dead letter.
_SET_ASIDE = """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 1 then
  redis.call('XADD', KEYS[2], '*', 'item', ARGV[3], 'failure', ARGV[4])
end
return redis.call('XDEL', KEYS[1], ARGV[2])
"""

Result = TypeVar("Result")


class RedisStream:
    """The entries of a stream, each a JSON document in the field `item`. What is done is deleted, so that the stream is the queue.

    Entries set aside go to the stream `<name>:failed`. The password, if there is one, is TRAINYARD_QUEUE_PASSWORD.

    Args:
        uri: `redis://[user@]host[:port][/db][?stream=name]`, or `rediss://` for TLS.
        lease_s: seconds after which an entry of a consumer that gave no sign of life is another's.

    Raises:
        InputError: the URI is none of these, or the server refuses.
        TryAgainError: it does not answer.
    """

    def __init__(self, uri: str, model: str, consumer: str, lease_s: float = LEASE_S) -> None:
        self._client, self._stream = _client(uri, model)
        self.uri, self._consumer, self._lease_ms = without_secrets(uri), consumer, int(lease_s * 1000)
        self._has_tried = True  # whether entries may be ours that were handed to us before, or to whom we replace
        self._cursor: Any = "0-0"  # how far others' entries were looked through
        self._ask(self._make_group)

    def take(self, most: int) -> list[Delivery]:
        return self._ask(lambda: self._take(most))

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        keys = [one.key for one in deliveries]
        self._ask(lambda: self._client.xclaim(self._stream, GROUP, self._consumer, 0, keys, justid=True))

    def done(self, deliveries: Sequence[Delivery]) -> None:
        keys = [one.key for one in deliveries]

        def delete() -> None:
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.xack(self._stream, GROUP, *keys)
                pipeline.xdel(self._stream, *keys)
                pipeline.execute()

        self._ask(delete)

    def set_aside(self, delivery: Delivery, reason: str) -> None:
        failure = json.dumps({"item": delivery.key, "reason": reason, "attempts": delivery.attempt})
        streams = (self._stream, f"{self._stream}:failed")
        self._ask(lambda: self._client.eval(_SET_ASIDE, 2, *streams, GROUP, delivery.key, delivery.document, failure))

    def give_back(self, delivery: Delivery, tried: bool) -> None:
        self._has_tried = True  # it stays ours, and is handed to us again
        if not tried:
            count, key = delivery.attempt - 1, [delivery.key]
            self._ask(
                lambda: self._client.xclaim(self._stream, GROUP, self._consumer, 0, key, retrycount=count, justid=True)
            )

    def is_empty(self) -> bool:
        return not self._ask(lambda: self._client.xlen(self._stream))

    def close(self) -> None:
        def leave() -> None:
            waiting = self._client.xpending_range(self._stream, GROUP, "-", "+", 1, self._consumer)
            if not waiting:  # a consumer's entries would go with it
                self._client.xgroup_delconsumer(self._stream, GROUP, self._consumer)
            self._client.close()

        self._ask(leave)

    def _make_group(self) -> None:
        try:
            self._client.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _take(self, most: int) -> list[Delivery]:
        try:
            return self._taken(most)
        except redis.ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            self._make_group()  # somebody has deleted the stream, or the server has lost it
            return []

    def _taken(self, most: int) -> list[Delivery]:
        if self._has_tried:
            if again := self._read("0", 1):
                return self._tried(again)
            self._has_tried = False
        # Claiming comes first, or a stream that never rests would never come to what a dead consumer had.
        self._cursor, claimed, *_ = self._client.xautoclaim(
            self._stream, GROUP, self._consumer, self._lease_ms, self._cursor, count=1
        )
        if claimed:
            return self._tried(claimed)
        return [_delivery(key, fields, 1) for key, fields in self._read(">", most)]

    def _read(self, after: str, most: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
        wait_ms = int(WAIT_S * 1000)
        found = self._client.xreadgroup(GROUP, self._consumer, {self._stream: after}, count=most, block=wait_ms)
        return found[0][1] if found else []  # of one stream

    def _tried(self, entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Delivery]:
        ((key, fields),) = entries
        (known,) = self._client.xpending_range(self._stream, GROUP, key, key, 1)
        return [_delivery(key, fields, known["times_delivered"])]

    def _ask(self, question: Callable[[], Result]) -> Result:
        """Asks the server, again while it is away."""
        try:
            return storage.patiently(question, _is_away, _PATIENCE_S, self.uri)
        except _REFUSED as error:
            raise InputError(
                f"{self.uri}: the server refuses: {one_line(error, 200)}. Check the URI, its user's rights, and the password "
                f"in {env.QUEUE_PASSWORD}."
            ) from None
        except redis.RedisError as error:
            raise TryAgainError(f"{self.uri}: the server does not answer: {one_line(error, 200)}") from None


def _is_away(error: BaseException) -> bool:
    return isinstance(error, redis.ConnectionError | redis.TimeoutError) and not isinstance(error, _REFUSED)


def _delivery(key: bytes, fields: dict[bytes, bytes] | None, attempt: int) -> Delivery:
    return Delivery(key.decode(), attempt, document=(fields or {}).get(FIELD.encode(), b""))


def _client(uri: str, model: str) -> tuple[Any, str]:
    """The client of a URI, and the name of the stream."""
    parts = urllib.parse.urlsplit(uri)
    if parts.password is not None:
        raise InputError(
            f"--queue {without_secrets(uri)}: has a password, which others on this machine could read. Put it into "
            f"{env.QUEUE_PASSWORD}."
        )
    query = dict(urllib.parse.parse_qsl(parts.query))
    database = parts.path.strip("/") or "0"
    try:
        if not parts.hostname or not database.isdecimal() or query.keys() - {"stream"}:
            raise ValueError
        port = parts.port or 6379
    except ValueError:
        raise InputError(
            f"--queue {without_secrets(uri)}: expected redis://host:6379/0?stream=name, all but the host as needed."
        ) from None
    client: Any = redis.Redis(  # its types are those of several protocols at once
        host=parts.hostname,
        port=port,
        db=int(database),
        username=parts.username,
        password=os.environ.get(env.QUEUE_PASSWORD),
        ssl=parts.scheme == "rediss",
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # `patiently` asks again
        protocol=2,
    )
    return client, query.get("stream") or f"trainyard:{model}"
