from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from embedded.credentials import CredentialsError, close_off, load_secrets
from embedded.settings import Paths


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    first, made = load_secrets(paths)
    again, made_again = load_secrets(paths)
    assert (made, made_again) == (True, False)
    assert first == again
    assert json.loads(paths.passwords.read_text()) == {"admin": first.password}
    assert first.password not in paths.secrets.read_text()
    for file in (paths.secrets, paths.passwords):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_deleted_password_is_made_anew_and_the_keys_stay(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    first, _ = load_secrets(paths)
    paths.passwords.unlink()
    second, made = load_secrets(paths)
    assert made and second.password != first.password
    assert second.fernet == first.fernet, "connections that Airflow stored can still be read"


@pytest.mark.parametrize("damaged", ["", "[]", '{"jwt": 1}'])
def test_damaged_keys_are_an_error_and_are_kept(tmp_path: Path, damaged: str) -> None:
    paths = Paths(tmp_path)
    load_secrets(paths)
    paths.secrets.write_text(damaged)
    with pytest.raises(CredentialsError, match=r"secrets\.json .*delete it"):
        load_secrets(paths)
    assert paths.secrets.read_text() == damaged


def test_files_that_others_can_read_are_closed_off(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    load_secrets(paths)
    assert close_off(paths) == []
    paths.passwords.chmod(0o644)
    assert close_off(paths) == [paths.passwords]
    assert stat.S_IMODE(paths.passwords.stat().st_mode) == 0o600
