"""The platform's keys and password: made once per home, in files that only their owner can read."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from embedded.settings import USER, Paths
from spec.private_files import write_private

KEYS = ("jwt", "fernet", "session")


class CredentialsError(ValueError):
    """A key file cannot be used; the message is one line for the user."""


@dataclass(frozen=True)
class Secrets:
    """The keys that all Airflow components share, and the password of the only user."""

    jwt: str
    fernet: str
    session: str
    password: str


def load_secrets(paths: Paths) -> tuple[Secrets, bool]:
    """Reads the platform's keys and password, or makes what is missing.

    Returns:
        The secrets, and whether the password was made just now.

    Raises:
        CredentialsError: a file exists but cannot be parsed. It is never overwritten with new keys: with another Fernet key,
            the connections that Airflow has stored could no longer be read.
    """
    keys = _read(paths.secrets, KEYS)
    if not keys:
        keys = {
            "jwt": secrets.token_urlsafe(48),
            "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "session": secrets.token_urlsafe(32),
        }
        write_private(paths.secrets, json.dumps(keys, indent=1))
    passwords = _read(paths.passwords, (USER,))
    made = not passwords
    if made:
        passwords = {USER: secrets.token_urlsafe(12)}
        write_private(paths.passwords, json.dumps(passwords))
    return Secrets(**{name: keys[name] for name in KEYS}, password=passwords[USER]), made


def close_off(paths: Paths) -> list[Path]:
    """Makes the key files unreadable for other users.

    Returns:
        The files that others could read until now.
    """
    opened = [file for file in (paths.secrets, paths.passwords) if file.exists() and file.stat().st_mode & 0o077]
    for file in opened:
        file.chmod(0o600)
    return opened


def _read(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The file's values; empty if there is no file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CredentialsError(f"{path} is no JSON ({error}). {_REMEDY[path.name]}") from error
    missing = [name for name in names if not isinstance(found, dict) or not isinstance(found.get(name), str)]
    if missing:
        raise CredentialsError(f"{path} has no text under {', '.join(missing)}. {_REMEDY[path.name]}")
    return dict(found)


_REMEDY = {
    "secrets.json": "Restore it, or delete it: new keys are made, and connections saved in Airflow must be entered again.",
    "passwords.json": "Delete it: a new password is made and printed.",
}
