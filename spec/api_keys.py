"""Who may ask the model server: the file of API keys that `trainyard keys` writes and the server reads.

The file has no keys, only their SHA-256. A key is 256 random bits: nothing slower is needed, since nobody guesses one.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import secrets
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spec.errors import InputError
from spec.private_files import read_private, write_private

NAME = r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}"
"""A pattern for the whole name. It stands in the access log."""
_PREFIX = "ty_"  # lets scanners for leaked secrets know one
_RANDOM_BYTES = 32


class ApiKey(BaseModel):
    """One key, as the file has it.

    Attributes:
        name: whose it is.
        sha256: of the key, in hexadecimal digits.
        created: when, in ISO 8601.
        rate: requests a second; None: as many as the server takes.
        burst: requests at once after a pause; None where there is no rate.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=f"^{NAME}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: str
    rate: float | None = Field(default=None, gt=0, le=1e6)
    burst: int | None = Field(default=None, ge=1, le=1_000_000)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: tuple[ApiKey, ...]


def new_key() -> str:
    """A key that nobody has had."""
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(key: str) -> str:
    """What the file has of a key."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


def read_keys(path: pathlib.Path) -> tuple[ApiKey, ...]:
    """The keys of a file, in its order.

    Raises:
        InputError: the file cannot be read, is open to others, or is no file of keys.
    """
    try:
        keys = _File.model_validate_json(read_private(path)).keys
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{where or 'not a file of keys'}: {first['msg']}. `trainyard keys` writes it.", file=path
        ) from None
    for what, values in (("name", [one.name for one in keys]), ("sha256", [one.sha256 for one in keys])):
        if double := next((value for value in values if values.count(value) > 1), None):
            raise InputError(f"two keys have the {what} {double}. `trainyard keys` writes it.", file=path)
    return keys


def write_keys(path: pathlib.Path, keys: Iterable[ApiKey]) -> None:
    """Replaces the file in one step; only its owner may read it, from its first byte."""
    write_private(path, json.dumps({"keys": [one.model_dump(exclude_none=True) for one in keys]}, indent=1) + "\n")
