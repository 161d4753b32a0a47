"""Declared assets: code finds and reads those that its digest names, as they were declared, and no others."""

from __future__ import annotations

import hashlib
import pathlib
from typing import Any

import pytest

from components import assets, user_code
from spec.errors import InputError
from spec.workload import Asset

_WORDS = b"good 0.5 0.1\n"
_DECLARED = {"words": Asset(file="glove/words.txt", sha256=hashlib.sha256(_WORDS).hexdigest())}


@pytest.fixture
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A dataset cache with the asset, and a file that nobody declares."""
    monkeypatch.setenv("TRAINYARD_DATASETS", str(tmp_path / "cache"))
    (tmp_path / "cache" / "glove").mkdir(parents=True)
    (tmp_path / "cache" / "glove" / "words.txt").write_bytes(_WORDS)
    (tmp_path / "cache" / "glove" / "other.txt").write_bytes(_WORDS)
    return tmp_path / "cache" / "glove"


@pytest.fixture
def module(tmp_path: pathlib.Path) -> str:
    """A features.py that reads the asset when it is loaded, and any that it is asked for."""
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn" / "features.py").write_text(
        "from components.assets import asset_path\nWORDS = asset_path('words').read_bytes()\n"
        "def preprocessing_fn(name):\n    return asset_path(name).read_bytes()\n"
        "def beside(name):\n    return asset_path('words').with_name(name).read_bytes()\n"
    )
    return str(tmp_path / "churn" / "features.py")


def _call(module: str, function: str, argument: str) -> Any:
    digest = user_code.digest(pathlib.Path(module).parent, _DECLARED)
    loaded = user_code.load_function(module, function, digest)
    with user_code.calling(module, digest):
        return loaded(argument)


def test_code_reads_what_is_declared_and_nothing_beside_it(cache: pathlib.Path, module: str) -> None:
    assert _call(module, "preprocessing_fn", "words") == _WORDS
    with pytest.raises(InputError, match=r"declares no 'letters'\. Declared: words\. Add"):
        _call(module, "preprocessing_fn", "letters")
    with pytest.raises(InputError, match=r"features\.py, line 6: opens .*other\.txt, which lies outside.*`assets`"):
        _call(module, "beside", "other.txt")


def test_another_content_is_refused_and_so_is_none(cache: pathlib.Path, module: str) -> None:
    (cache / "words.txt").write_bytes(b"bad 0.5 0.1\n")
    with pytest.raises(InputError, match=r"asset words: .*words\.txt: SHA-256 .* expected\. Received: .*Replace"):
        _call(module, "preprocessing_fn", "words")
    (cache / "words.txt").unlink()
    with pytest.raises(InputError, match=r"asset words: .*words\.txt is not there"):
        _call(module, "preprocessing_fn", "words")


@pytest.fixture
def pod(cache: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where the asset was staged, for a process whose dataset cache is empty from now on."""
    place = tmp_path / "staged"
    assert not assets.is_staged(_DECLARED["words"], str(place))
    assets.stage(_DECLARED["words"], str(place))
    assert assets.is_staged(_DECLARED["words"], str(place))
    monkeypatch.setenv("TRAINYARD_DATASETS", str(tmp_path / "pod"))
    monkeypatch.setenv("TRAINYARD_ASSETS", str(place))
    return place / _DECLARED["words"].sha256


def test_a_pod_fetches_it_by_its_hash_before_any_code_runs(pod: pathlib.Path, module: str) -> None:
    assert _call(module, "preprocessing_fn", "words") == _WORDS
    pod.unlink()
    assert _call(module, "preprocessing_fn", "words") == _WORDS, "once is enough"
    assert [path.name for path in assets.location(_DECLARED["words"]).parent.iterdir()] == ["words.txt"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"bad", r"staged/.* holds another content\. Received: SHA-256 2f05d4b6"), (None, "is not there.*--stage-assets")],
)
def test_what_was_staged_wrongly_or_not_is_one_line(
    pod: pathlib.Path, module: str, tmp_path: pathlib.Path, content: bytes | None, said: str
) -> None:
    pod.unlink()
    if content:
        pod.write_bytes(content)
    with pytest.raises(InputError, match=rf"^asset glove/words\.txt: .*{said}[^\n]*$"):
        _call(module, "preprocessing_fn", "words")
    assert not any(path.is_file() for path in (tmp_path / "pod").rglob("*"))


def test_without_a_declaration_there_is_none(cache: pathlib.Path, module: str) -> None:
    with pytest.raises(InputError, match=r"declares no 'words'\. Declared: none"):
        user_code.load_function(module, "preprocessing_fn")
    with assets.given(_DECLARED):  # as a test of a workload's own code does
        assert assets.asset_path("words").read_bytes() == _WORDS


def test_its_hash_is_a_part_of_what_the_code_is(module: str) -> None:
    folder = pathlib.Path(module).parent
    other = {"words": _DECLARED["words"].model_copy(update={"sha256": "0" * 64})}
    digests = {user_code.digest(folder), user_code.digest(folder, _DECLARED), user_code.digest(folder, other)}
    assert len(digests) == 3
    assert assets.named_in(user_code.digest(folder, _DECLARED)) == _DECLARED
    elsewhere = {"words": _DECLARED["words"].model_copy(update={"url": "https://mirror.example/words.txt"})}
    assert user_code.digest(folder, elsewhere) == user_code.digest(folder, _DECLARED)
