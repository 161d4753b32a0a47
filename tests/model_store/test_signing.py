"""Signed releases: a key that is configured is insisted on, and whatever is changed after signing shows."""

from __future__ import annotations

import hashlib
import json
import pathlib
import subprocess
from collections.abc import Callable

import pytest

from model_store import Keys, ModelStore, ReleaseDraft, StoreError
from model_store._release import canonical_json

MakeExport = Callable[..., pathlib.Path]
Draft = Callable[[str], ReleaseDraft]


def make_keys(
    folder: pathlib.Path, name: str, kind: tuple[str, ...] = ("ed25519",)
) -> tuple[pathlib.Path, pathlib.Path]:
    """A pair made with the command that the guide gives."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", *kind, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    private.chmod(0o600)
    return private, public


def reseal(path: pathlib.Path, change: Callable[[dict[str, object]], object]) -> None:
    """What someone who may write to the store, and has no key, can do: change the manifest and seal it anew."""
    document = json.loads(path.read_text())
    del document["seal"]
    change(document)
    document["seal"] = hashlib.sha256(canonical_json(document).encode()).hexdigest()
    path.write_text(canonical_json(document))


@pytest.fixture
def signed(
    tmp_path: pathlib.Path, make_export: MakeExport, draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> pathlib.Path:
    """A store of one signed release; the process trusts the publisher's public key."""
    private, public = make_keys(tmp_path, "team")
    monkeypatch.setenv("TRAINYARD_SIGNING_KEY", str(private))
    ModelStore(tmp_path / "models").publish("taxi", make_export(), draft("1"))
    monkeypatch.delenv("TRAINYARD_SIGNING_KEY")
    monkeypatch.setenv("TRAINYARD_PUBLIC_KEYS", str(public))
    return tmp_path / "models"


def test_a_signed_release_is_taken_by_whoever_trusts_the_key(signed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    store = ModelStore(signed)
    assert store.verify("taxi", 1) == ()
    assert store.promote("taxi", 1, reason="test", actor="test").signature is not None
    assert (store.fetch("taxi", 1, tmp_path / "cache") / "saved_model.pb").is_file()
    assert ModelStore(signed, Keys()).verify("taxi", 1) == (), "who trusts no key in particular needs none"


def test_digests_made_anew_do_not_help_without_the_key(signed: pathlib.Path) -> None:
    manifest = signed / "taxi" / "1" / "release.json"
    manifest.chmod(0o644)
    reseal(manifest, lambda document: document.update(metrics={"overall": {"auc": 0.99}}))
    assert ModelStore(signed, Keys()).verify("taxi", 1) == (), "the seal alone does not notice"
    (problem,) = ModelStore(signed).verify("taxi", 1)
    assert "its signature" in problem and "changed after signing" in problem
    with pytest.raises(StoreError, match="changed after signing"):
        ModelStore(signed).promote("taxi", 1, reason="test", actor="test")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda document: document.pop("signature"), "it is not signed"),
        (lambda document: document.update(signature="trust me"), "field signature is a str"),
        (lambda document: document["signature"].update(algorithm="none"), "is not ed25519"),
        (lambda document: document["signature"].update(value="AAAA"), "changed after signing"),
        (lambda document: document["signature"].update(value="?"), "changed after signing"),
        (lambda document: document["signature"].update(key="0" * 16), "by a key that is not trusted"),
    ],
)
def test_a_signature_that_is_missing_or_made_up(
    signed: pathlib.Path, change: Callable[[dict[str, object]], object], reason: str
) -> None:
    reseal(signed / "taxi" / "1" / "release.json", change)
    assert reason in " ".join(ModelStore(signed).verify("taxi", 1))


def test_a_signed_release_does_not_pass_as_another_version(signed: pathlib.Path) -> None:
    (signed / "taxi" / "1").rename(signed / "taxi" / "2")
    assert ModelStore(signed).verify("taxi", 2) == ("release.json belongs to taxi version 1",)


def test_several_keys_are_trusted_while_they_change(
    signed: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, other = make_keys(tmp_path, "other")
    monkeypatch.setenv("TRAINYARD_PUBLIC_KEYS", str(other))
    assert "by a key that is not trusted" in ModelStore(signed).verify("taxi", 1)[0]
    both = tmp_path / "both.pub"
    both.write_text(other.read_text() + (tmp_path / "team.pub").read_text())
    monkeypatch.setenv("TRAINYARD_PUBLIC_KEYS", str(both))
    assert ModelStore(signed).verify("taxi", 1) == ()
    monkeypatch.setenv("TRAINYARD_PUBLIC_KEYS", both.read_text())
    assert ModelStore(signed).verify("taxi", 1) == (), "the text itself, as a secret in the environment"


def test_a_remote_release_is_checked_before_it_is_copied(
    make_export: MakeExport, draft: Draft, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore("memory://signing/models")
    store.publish("taxi", make_export(), draft("1"))
    _, public = make_keys(tmp_path, "team")
    monkeypatch.setenv("TRAINYARD_PUBLIC_KEYS", str(public))
    with pytest.raises(StoreError, match="it is not signed"):
        ModelStore(store.uri).fetch("taxi", 1, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("saved_model.pb"))


def test_keys_that_cannot_be_used_are_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, public = make_keys(tmp_path, "team")
    rsa, _ = make_keys(tmp_path, "rsa", ("RSA", "-pkeyopt", "rsa_keygen_bits:2048"))
    (open_to_all := tmp_path / "open.pem").write_text(private.read_text())
    open_to_all.chmod(0o640)
    for variable, value, reason in [
        ("TRAINYARD_SIGNING_KEY", tmp_path / "none.pem", "cannot read .*none.pem: No such file"),
        ("TRAINYARD_SIGNING_KEY", open_to_all, "mode 640.*chmod 600"),
        ("TRAINYARD_SIGNING_KEY", rsa, "expected an Ed25519 key. Received: RSAPrivateKey"),
        ("TRAINYARD_SIGNING_KEY", public.chmod(0o600) or public, "not an unencrypted private key in PEM"),
        ("TRAINYARD_PUBLIC_KEYS", private, "holds no public key"),
    ]:
        with monkeypatch.context() as patch, pytest.raises(StoreError, match=reason) as caught:
            patch.setenv(variable, str(value))
            ModelStore(tmp_path / "models")
        assert "PRIVATE KEY" not in str(caught.value)
