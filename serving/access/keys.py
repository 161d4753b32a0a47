"""The keys that open the server, and the limits of each; the file of keys is followed while the server runs."""

from __future__ import annotations

import logging
import math
import pathlib
import time

from serving.access.limits import Bucket
from serving.errors import LimitedError, UnauthenticatedError
from spec.api_keys import ApiKey, digest, read_keys
from spec.errors import InputError

_LOOK_SECONDS = 0.5
_MOST_KEY_CHARACTERS = 256
_SEND = "Send one as `Authorization: Bearer KEY` or `X-API-Key: KEY` (over gRPC: metadata of these names)"
_log = logging.getLogger(__name__)
_State = tuple[int, int, int, int]


class Keys:
    """Says whose a key is, and whether it may ask once more.

    A key is looked up by its SHA-256, so that the time it takes says nothing about the keys there are. A request looks at the
    file again, at most every half second, so that a revoked key is soon refused. While the file is damaged or away, the keys of
    before stay in force.

    Args:
        path: of the file that `trainyard keys` writes.
        shared: the folder that the processes of a server share, and in it the state of the limits; None: there is one process.

    Raises:
        InputError: the file cannot be read, is open to others, or is no file of keys.
    """

    def __init__(self, path: pathlib.Path, shared: pathlib.Path | None) -> None:
        self._path = path
        self._shared = shared
        self._buckets: dict[str, Bucket] = {}
        self._state: _State | None = _state(path)
        self._looked_at = time.monotonic()
        self._keys = {one.sha256: one for one in read_keys(path)}

    def admit(self, authorization: str | None, x_api_key: str | None) -> str:
        """The name of the key that a request carries.

        Args:
            authorization: its header of this name, if it has one.
            x_api_key: the same.

        Raises:
            UnauthenticatedError: it carries none, or one that is not known.
            LimitedError: the key's limit is used up for the moment.
        """
        given = _given(authorization, x_api_key)
        if given is None:
            raise UnauthenticatedError(f"this server asks for an API key. {_SEND}.")
        self._look_again()
        key = self._keys.get(digest(given)) if len(given) <= _MOST_KEY_CHARACTERS else None
        if key is None:
            raise UnauthenticatedError("the API key is not known here; it may have been revoked.")
        if key.rate is not None and (seconds := self._bucket(key).take()):
            raise LimitedError(
                f"the key {key.name!r} may send {key.rate:g} requests a second; try again in {seconds:.2g} s", seconds
            )
        return key.name

    def _bucket(self, key: ApiKey) -> Bucket:
        assert key.rate is not None
        if key.sha256 not in self._buckets:
            self._buckets[key.sha256] = Bucket(key.sha256, self._shared, key.rate, key.burst or math.ceil(key.rate))
        return self._buckets[key.sha256]

    def _look_again(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        state = _state(self._path)
        if state == self._state:
            return
        self._state = state  # a file that is wrong is said once, not at every look
        try:
            keys = {one.sha256: one for one in read_keys(self._path)}
        except InputError as error:
            _log.error("the API keys of before stay in force: %s", error)
            return
        for known in [known for known in self._buckets if keys.get(known) != self._keys[known]]:
            self._buckets.pop(known).close()  # revoked, or of another limit
        self._keys = keys
        _log.info("%s: %d API keys", self._path, len(keys))


def _state(path: pathlib.Path) -> _State | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode


def _given(authorization: str | None, x_api_key: str | None) -> str | None:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return x_api_key or None
