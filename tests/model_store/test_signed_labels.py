"""Signed labels: nobody without the key moves one, or puts an earlier one back."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import storage
from model_store import CANARY, STABLE, Keys, ModelStore, ReleaseDraft, StoreError
from model_store._signing import LABELS, key_id

MakeExport = Callable[..., pathlib.Path]
Draft = Callable[[str], ReleaseDraft]
SAID = {"reason": "test", "actor": "test"}


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def trusted(*keys: Ed25519PrivateKey) -> dict[str, Any]:
    return {key_id(one.public_key()): one.public_key() for one in keys}


@pytest.fixture
def publisher(store: ModelStore, key: Ed25519PrivateKey, make_export: MakeExport, draft: Draft) -> ModelStore:
    """Signs, and trusts its own key alone; two releases are published, 1 is stable."""
    publisher = ModelStore(store.uri, Keys(key, trusted(key)))
    for number in (1, 2):
        publisher.publish("taxi", make_export(f"weights {number}"), draft(f"run-{number}"))
    publisher.promote("taxi", 1, **SAID)
    return publisher


@pytest.fixture
def server(publisher: ModelStore, key: Ed25519PrivateKey, tmp_path: pathlib.Path) -> Callable[[], ModelStore]:
    """A new process of a server that has the public key."""
    return lambda: ModelStore(publisher.uri, Keys(trusted=trusted(key)), memory=tmp_path / "memory")


def labels_file(store: ModelStore) -> bytes:
    return storage.open_files(store.uri).read("taxi/labels.json")


def put(store: ModelStore, content: bytes) -> None:
    """What whoever may write to the store can do."""
    storage.open_files(store.uri).write("taxi/labels.json", content)


def test_labels_are_signed_with_a_counter_that_grows(publisher: ModelStore, server: Callable[[], ModelStore]) -> None:
    first = json.loads(labels_file(publisher))
    assert first["labels"] == {"stable": 1} and first["signature"]["algorithm"] == "ed25519"
    publisher.set_label("taxi", CANARY, 2, share=0.05, **SAID)
    second = json.loads(labels_file(publisher))
    assert second["counter"] > first["counter"]
    details = server().label_details("taxi")
    assert (details[CANARY].version, details[CANARY].share, details[STABLE].version) == (2, 0.05, 1)
    assert ModelStore(publisher.uri, Keys()).labels("taxi") == {"canary": 2, "stable": 1}, (
        "who trusts nobody reads them"
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda said: {"stable": 2}, "it is not signed"),
        (lambda said: said | {"labels": {"stable": 2}}, "changed after signing"),
        (lambda said: said | {"labels": {"stable": {"version": 1, "share": 0.5}}}, "changed after signing"),
        (lambda said: said | {"counter": said["counter"] + 1}, "changed after signing"),
        (lambda said: {**said, "signature": None}, "it is not signed"),
        (lambda said: said | {"signature": said["signature"] | {"key": "0" * 16}}, "by a key that is not trusted"),
        (lambda said: said | {"counter": True}, "is damaged"),
    ],
)
def test_labels_that_nobody_trusted_signed_are_refused(
    publisher: ModelStore, server: Callable[[], ModelStore], change: Callable[[Any], Any], why: str
) -> None:
    put(publisher, json.dumps(change(json.loads(labels_file(publisher)))).encode())
    with pytest.raises(StoreError, match=why) as caught:
        server().labels("taxi")
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match=why):
        publisher.set_label("taxi", CANARY, 2, **SAID)


def test_a_signature_of_another_model_or_of_a_release_does_not_fit(
    publisher: ModelStore, server: Callable[[], ModelStore], make_export: MakeExport, draft: Draft
) -> None:
    publisher.publish("digits", make_export(), draft("digits"))
    publisher.promote("digits", 1, **SAID)
    put(publisher, storage.open_files(publisher.uri).read("digits/labels.json"))
    with pytest.raises(StoreError, match="changed after signing"):
        server().labels("taxi")


def test_what_was_signed_as_a_release_is_no_label(key: Ed25519PrivateKey) -> None:
    keys = Keys(key, trusted(key))
    signature = keys.sign("the same text")
    assert keys.problem("the same text", signature) is None
    assert "does not fit" in str(keys.problem("the same text", signature, LABELS))


def test_an_earlier_file_is_refused_by_the_process_that_saw_a_later_one_and_by_those_after_it(
    publisher: ModelStore, server: Callable[[], ModelStore]
) -> None:
    earlier = labels_file(publisher)
    publisher.promote("taxi", 2, **SAID)
    first = server()
    assert first.labels("taxi") == {"stable": 2}
    put(publisher, earlier)
    for one in (first, server()):
        with pytest.raises(StoreError, match=r"is older than the labels that were followed before .*release sign taxi"):
            one.labels("taxi")
    assert publisher.sign_labels("taxi") == {"stable": 1}, "somebody with the key may mean it"
    assert server().labels("taxi") == first.labels("taxi") == {"stable": 1}


def test_who_has_no_key_moves_no_signed_label(publisher: ModelStore, server: Callable[[], ModelStore]) -> None:
    before, history = labels_file(publisher), len(publisher.history("taxi"))
    with pytest.raises(StoreError, match="is signed, and there is no key here to sign a change with"):
        server().promote("taxi", 2, **SAID)
    assert (labels_file(publisher), len(publisher.history("taxi"))) == (before, history)
    ModelStore(publisher.uri, Keys()).remove("taxi")
    assert publisher.models() == [], "a model that goes needs no signature"


def test_labels_from_before_there_was_a_key_are_signed_once(
    store: ModelStore, key: Ed25519PrivateKey, make_export: MakeExport, draft: Draft
) -> None:
    signer = ModelStore(store.uri, Keys(key, trusted(key)))
    signer.publish("taxi", make_export(), draft("run-1"))
    ModelStore(store.uri, Keys()).promote("taxi", 1, **SAID)
    assert json.loads(labels_file(store)) == {"stable": 1}
    for change in (lambda: signer.labels("taxi"), lambda: signer.promote("taxi", 1, **SAID)):
        with pytest.raises(StoreError, match=r"labels\.json: it is not signed.*trainyard release sign taxi"):
            change()
    with pytest.raises(StoreError, match="there is no key to sign with"):
        ModelStore(store.uri, Keys(trusted=trusted(key))).sign_labels("taxi")
    assert signer.sign_labels("taxi") == {"stable": 1} == signer.labels("taxi")
    other = Ed25519PrivateKey.generate()
    assert ModelStore(store.uri, Keys(other, trusted(key, other))).sign_labels("taxi") == {"stable": 1}, "a newer key"


def test_what_is_not_intact_is_not_signed(publisher: ModelStore) -> None:
    storage.open_files(publisher.uri).write("taxi/1/saved_model.pb", b"another graph")
    with pytest.raises(StoreError, match=r"saved_model\.pb was changed after publishing"):
        publisher.sign_labels("taxi")


def test_a_memory_that_cannot_be_kept_is_said(
    publisher: ModelStore, key: Ed25519PrivateKey, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "labels-seen.json").write_text("[")
    with pytest.raises(StoreError, match=r"labels-seen\.json: which labels were seen cannot be kept"):
        ModelStore(publisher.uri, Keys(trusted=trusted(key)), memory=tmp_path).labels("taxi")
