from __future__ import annotations

import json
import pathlib
import threading
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest

from model_store import CANARY, STABLE, Label, ModelStore, StoreError


def publish(store, make_export, draft, count, model="taxi"):
    for number in range(1, count + 1):
        store.publish(model, make_export(f"weights {number}"), draft(f"run-{number}"))


def change(store: ModelStore, path: str, edit) -> None:
    """Edits a file of a store behind its back."""
    url = f"{store.uri}/{path}"
    with fsspec.open(url, "rb") as file:
        data = file.read()
    with fsspec.open(url, "wb") as file:
        file.write(edit(data))


def test_publish_writes_tf_servings_layout_and_the_manifest(store, make_export, draft):
    release = store.publish("taxi", make_export(), draft())
    assert (release.model, release.version, release.uri) == ("taxi", 1, f"{store.uri}/taxi/1")
    assert sorted(release.files) == [
        "assets.extra/trainyard.json",
        "assets/vocabulary",
        "saved_model.pb",
        "variables/variables.index",
    ]
    assert release.files["saved_model.pb"]["bytes"] == len("saved_model.pb: a graph")
    assert release.metrics == {"overall": {"auc": 0.81, "recall": None}}
    with fsspec.open(f"{release.uri}/saved_model.pb") as file:
        assert file.read() == b"saved_model.pb: a graph"
    with fsspec.open(f"{release.uri}/release.json") as file:
        assert json.load(file)["spans"] == [{"span": 1, "digest": "sha256:0", "rows": 7500}]
    assert store.release("taxi", 1) == release
    assert store.verify("taxi", 1) == ()
    assert store.models() == ["taxi"]


def test_versions_count_up_and_a_deleted_one_is_never_used_again(store, make_export, draft):
    publish(store, make_export, draft, 2)
    filesystem, path = fsspec.core.url_to_fs(f"{store.uri}/taxi/2")
    filesystem.rm(path, recursive=True)
    assert store.versions("taxi") == [1]
    assert store.publish("taxi", make_export("weights 3"), draft("run-3")).version == 3


def test_the_same_publication_is_published_once(store, make_export, draft):
    first = store.publish("taxi", make_export(), draft("run-1"))
    again = store.publish("taxi", make_export(), draft("run-1"))
    assert again == first
    assert store.versions("taxi") == [1]
    assert [entry.action for entry in store.history("taxi")] == ["publish"]


def test_equal_bytes_have_equal_digests(store, make_export, draft):
    one = store.publish("taxi", make_export(), draft("run-1"))
    two = store.publish("taxi", make_export(), draft("run-2"))
    three = store.publish("taxi", make_export("other"), draft("run-3"))
    assert one.digest == two.digest != three.digest
    assert len({one.seal, two.seal, three.seal}) == 3


@pytest.mark.parametrize(
    ("path", "edit", "found"),
    [
        (
            "saved_model.pb",
            lambda data: bytes([data[0] ^ 1]) + data[1:],
            "saved_model.pb was changed after publishing (SHA",
        ),
        (
            "assets/vocabulary",
            lambda data: data + b"!",
            "assets/vocabulary was changed after publishing (29 bytes instead of 28)",
        ),
        ("variables/extra", None, "variables/extra was added after publishing"),
        ("release.json", lambda data: data.replace(b"0.81", b"0.91"), "release.json was changed after publishing"),
        (
            "release.json",
            lambda data: data.replace(b'"run-1"', b'"run-2"'),
            "release.json was changed after publishing",
        ),
        ("release.json", lambda data: data + b" ", "release.json was changed after publishing"),
        ("release.json", lambda data: data[:-9], "release.json is damaged"),
    ],
)
def test_verify_finds_what_was_changed(store, make_export, draft, tmp_path, path, edit, found):
    publish(store, make_export, draft, 2)
    if edit is None:
        with fsspec.open(f"{store.uri}/taxi/1/{path}", "wb") as file:
            file.write(b"x")
    else:
        change(store, f"taxi/1/{path}", edit)
    problems = store.verify("taxi", 1)
    assert any(found in problem for problem in problems), problems
    assert store.verify("taxi", 2) == ()
    with pytest.raises(StoreError, match=r"release\.json is damaged|not what was published"):
        store.promote("taxi", 1, reason="r", actor="a")
    if edit is not None:  # a remote fetch leaves an added file behind, and its copy is good
        with pytest.raises(StoreError, match=r"release\.json is damaged|not what was published"):
            store.fetch("taxi", 1, tmp_path / "cache")
    assert store.labels("taxi") == {}


def test_verify_finds_any_flipped_byte_of_the_manifest(tmp_path, make_export, draft):
    store = ModelStore(tmp_path / "models")
    store.publish("taxi", make_export(), draft())
    manifest = tmp_path / "models/taxi/1/release.json"
    intact = manifest.read_bytes()
    for position in range(len(intact)):
        manifest.write_bytes(intact[:position] + bytes([intact[position] ^ 1]) + intact[position + 1 :])
        assert store.verify("taxi", 1), f"byte {position}"
    manifest.write_bytes(intact)
    assert store.verify("taxi", 1) == ()


def test_verify_finds_a_missing_file(store, make_export, draft):
    store.publish("taxi", make_export(), draft())
    filesystem, path = fsspec.core.url_to_fs(f"{store.uri}/taxi/1/variables/variables.index")
    filesystem.rm_file(path)
    assert store.verify("taxi", 1) == ("variables/variables.index is missing",)


def test_labels_and_history(store, make_export, draft):
    publish(store, make_export, draft, 2)
    store.promote("taxi", 1, reason="first", actor="me")
    store.set_label("taxi", CANARY, 2, reason="try it", actor="dag")
    assert store.labels("taxi") == {CANARY: 2, STABLE: 1}
    assert store.resolve("taxi", CANARY).version == 2
    assert (
        store.resolve("taxi", STABLE).version == store.resolve("taxi", 1).version == store.resolve("taxi", "1").version
    )
    store.promote("taxi", 2, reason="good", actor="dag")
    assert store.labels("taxi") == {STABLE: 2}
    store.promote("taxi", 2, reason="a retry says it again", actor="dag")
    told = [(entry.action, entry.version, entry.previous) for entry in store.history("taxi")]
    assert told == [
        ("publish", 1, None),
        ("publish", 2, None),
        ("promote", 1, None),
        ("set canary", 2, None),
        ("promote", 2, 1),
    ]
    assert store.history("taxi")[-1].reason == "good"


def test_remove_label(store, make_export, draft):
    publish(store, make_export, draft, 1)
    store.set_label("taxi", CANARY, 1, reason="r", actor="a")
    store.remove_label("taxi", CANARY, reason="r", actor="a")
    store.remove_label("taxi", CANARY, reason="r", actor="a")
    assert store.labels("taxi") == {}
    assert [entry.action for entry in store.history("taxi")] == ["publish", "set canary", "remove canary"]


def test_rollback_goes_to_the_stable_before(store, make_export, draft):
    publish(store, make_export, draft, 4)
    for version in (1, 2, 3):
        store.promote("taxi", version, reason="r", actor="a")
    assert store.rollback("taxi", reason="worse", actor="a").version == 2
    assert store.rollback("taxi", reason="worse still", actor="a").version == 1  # not 3, which was rolled back
    with pytest.raises(StoreError, match="no stable release before version 1"):
        store.rollback("taxi", reason="r", actor="a")
    store.promote("taxi", 4, reason="r", actor="a")
    assert store.rollback("taxi", reason="r", actor="a").version == 1
    assert store.rollback("taxi", to=3, reason="r", actor="a").version == 3
    assert store.labels("taxi") == {STABLE: 3}


def test_rollback_passes_over_a_deleted_release(store, make_export, draft):
    publish(store, make_export, draft, 3)
    for version in (1, 2, 3):
        store.promote("taxi", version, reason="r", actor="a")
    filesystem, path = fsspec.core.url_to_fs(f"{store.uri}/taxi/2")
    filesystem.rm(path, recursive=True)
    assert store.rollback("taxi", reason="r", actor="a").version == 1


def test_rollback_refuses_a_release_that_was_changed(store, make_export, draft):
    publish(store, make_export, draft, 2)
    for version in (1, 2):
        store.promote("taxi", version, reason="r", actor="a")
    change(store, "taxi/1/saved_model.pb", lambda data: data + b"!")
    with pytest.raises(StoreError, match=r"taxi version 1 is not what was published: saved_model\.pb was changed"):
        store.rollback("taxi", reason="r", actor="a")
    assert store.labels("taxi") == {STABLE: 2}


def test_errors_name_what_there_is(store, make_export, draft, tmp_path):
    publish(store, make_export, draft, 2)
    store.promote("taxi", 1, reason="r", actor="a")
    with pytest.raises(StoreError, match=r"taxi has no release 7\. Known versions: 1, 2; labels: stable -> 1\."):
        store.resolve("taxi", 7)
    with pytest.raises(StoreError, match=r"taxi has no release labelled 'canary'\. Known versions: 1, 2"):
        store.resolve("taxi", CANARY)
    with pytest.raises(StoreError, match=r"there is no model 'tax' in .*\. Known models: taxi\."):
        store.release("tax", 1)
    with pytest.raises(StoreError, match="there is no model 'tax'"):
        store.remove_label("tax", CANARY, reason="r", actor="a")
    with pytest.raises(StoreError, match="no release 9"):
        store.set_label("taxi", CANARY, 9, reason="r", actor="a")
    with pytest.raises(StoreError, match="label 'Ca nary': use lower-case"):
        store.set_label("taxi", "Ca nary", 1, reason="r", actor="a")
    with pytest.raises(StoreError, match=r"model name '\.\./x': use letters"):
        store.publish("../x", make_export(), draft("new"))
    with pytest.raises(StoreError, match=r"expected a SavedModel, a folder with saved_model\.pb\. Received: no folder"):
        store.publish("taxi", tmp_path / "nowhere", draft("new"))
    assert store.versions("taxi") == [1, 2]


def test_damaged_labels_are_said_not_guessed(store, make_export, draft):
    publish(store, make_export, draft, 1)
    store.promote("taxi", 1, reason="r", actor="a")
    change(store, "taxi/labels.json", lambda data: data[:5])
    with pytest.raises(StoreError, match=r"labels\.json is damaged .* history\.jsonl beside it says which"):
        store.labels("taxi")


@pytest.mark.parametrize(
    "labels",
    [b"", b" ", b"[1]", b"3", b'{"stable": true}', b'{"stable": "2"}', b'{"stable": 0}', b"\xff", b"[" * 100_000],
)
def test_one_model_with_damaged_labels_hides_no_other(store, make_export, draft, labels):
    publish(store, make_export, draft, 1)
    store.publish("digits", make_export(), draft("digits"))
    for model in ("taxi", "digits"):
        store.promote(model, 1, reason="r", actor="a")
    change(store, "taxi/labels.json", lambda data: labels)
    assert store.models() == ["digits", "taxi"]
    assert store.labels("digits") == {"stable": 1}
    with pytest.raises(StoreError, match=r"taxi/labels\.json is damaged .* Write it anew as"):
        store.labels("taxi")


@pytest.mark.parametrize("field", ["metrics", "spans", "files", "created_at", "parent", "gates", "run_id"])
def test_a_release_json_with_a_field_of_another_type_is_damaged(store, make_export, draft, field):
    publish(store, make_export, draft, 1)
    change(store, "taxi/1/release.json", lambda data: json.dumps({**json.loads(data), field: 1.5}).encode())
    with pytest.raises(StoreError, match=rf"release\.json is damaged: field {field}"):
        store.release("taxi", 1)
    assert "damaged" in store.verify("taxi", 1)[0]


def test_a_folder_where_a_file_belongs_is_damage_of_that_model_alone(tmp_path, make_export, draft):
    store = ModelStore(tmp_path / "models")
    for model in ("digits", "taxi"):
        store.publish(model, make_export(), draft(model))
    (tmp_path / "models" / "taxi" / "labels.json").mkdir()
    (tmp_path / "models" / "taxi" / "history.jsonl").unlink()
    (tmp_path / "models" / "taxi" / "history.jsonl").mkdir()
    assert store.models() == ["digits", "taxi"]
    assert (store.labels("digits"), len(store.history("digits"))) == ({}, 1)
    for ask in (store.labels, store.history):
        with pytest.raises(StoreError, match=r"cannot be read: Is a directory\. Mend its rights, or restore it"):
            ask("taxi")


def test_history_passes_over_what_is_no_entry(store, make_export, draft):
    publish(store, make_export, draft, 1)
    change(store, "taxi/history.jsonl", lambda data: data + b'{"at": 1, "action": [], "version": "x"}\n[]\n\xff\n')
    store.promote("taxi", 1, reason="r", actor="a")
    assert [(entry.action, entry.version) for entry in store.history("taxi")] == [("publish", 1), ("promote", 1)]


def test_history_bears_a_line_that_was_cut_short(store, make_export, draft):
    publish(store, make_export, draft, 2)
    change(store, "taxi/history.jsonl", lambda data: data[:-20])
    if store.uri.startswith("memory"):
        change(store, "taxi/history.jsonl", lambda data: data + b"\n")  # objects are whole or absent
    store.promote("taxi", 1, reason="r", actor="a")
    assert [(entry.action, entry.version) for entry in store.history("taxi")] == [("publish", 1), ("promote", 1)]


def test_fetch_gives_a_copy_that_is_ours_alone(store, make_export, draft, tmp_path):
    publish(store, make_export, draft, 1)
    local = store.fetch("taxi", 1, tmp_path / "cache")
    assert local == tmp_path / "cache/taxi/1"
    assert (local / "saved_model.pb").read_text() == "saved_model.pb: weights 1"
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    without = store.fetch("taxi", 1, tmp_path / "other", without=("assets.extra", "saved_model.pb"))
    assert sorted(path.name for path in without.rglob("*") if path.is_file()) == [
        "release.json",
        "variables.index",
        "vocabulary",
    ]


def test_publishers_at_once_never_collide(store, make_export, draft):
    export = make_export()
    with ThreadPoolExecutor(6) as pool:
        releases = list(pool.map(lambda n: store.publish("taxi", export, draft(f"run-{n}")), range(12)))
    assert sorted(release.version for release in releases) == list(range(1, 13))
    assert store.versions("taxi") == list(range(1, 13))
    assert all(store.verify("taxi", version) == () for version in store.versions("taxi"))


def test_one_publication_by_several_at_once_is_one_release(store, make_export, draft):
    export = make_export()
    with ThreadPoolExecutor(4) as pool:
        releases = list(pool.map(lambda _: store.publish("taxi", export, draft("same")), range(4)))
    assert len({release.version for release in releases}) == 1
    assert len(store.versions("taxi")) == 1


def test_readers_never_see_half_a_label(store, make_export, draft):
    publish(store, make_export, draft, 2)
    store.promote("taxi", 1, reason="r", actor="a")
    stop = threading.Event()
    seen = set()

    def read():
        while not stop.is_set():
            seen.add(store.resolve("taxi", STABLE).version)

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for n in range(20):
            store.promote("taxi", 1 + n % 2, reason="r", actor="a")
        stop.set()
        for reader in readers:
            reader.result()
    assert seen <= {1, 2}


def test_an_object_without_release_json_is_no_version(make_export, draft):
    store = ModelStore("memory://commit-marker/models")
    publish(store, make_export, draft, 1)
    fsspec.filesystem("memory").pipe("/commit-marker/models/taxi/2/saved_model.pb", b"half a version")
    assert store.versions("taxi") == [1]
    assert store.publish("taxi", make_export("weights 3"), draft("run-3")).version == 3


def test_a_release_json_of_another_version_is_not_taken_for_its_own(tmp_path, make_export, draft):
    store = ModelStore(tmp_path / "models")
    publish(store, make_export, draft, 2)
    root = pathlib.Path(store.uri) / "taxi"
    (root / "2" / "release.json").write_bytes((root / "1" / "release.json").read_bytes())
    with pytest.raises(StoreError, match="belongs to taxi version 1"):
        store.release("taxi", 2)
    with pytest.raises(StoreError, match="belongs to taxi version 1"):
        store.promote("taxi", 2, reason="r", actor="a")
    assert store.verify("taxi", 2)


def test_a_url_that_nothing_reads_is_said(tmp_path):
    with pytest.raises(StoreError, match=r"model store nonsense://x: .*nonsense"):
        ModelStore("nonsense://x")


def test_canary_share_lives_in_the_labels_and_goes_with_the_label(store, make_export, draft):
    said = {"reason": "test", "actor": "test"}
    publish(store, make_export, draft, 3)
    store.promote("taxi", 1, **said)
    store.set_label("taxi", "canary", 2, share=0.05, **said)
    store.set_label("taxi", "canary", 2, **said)
    assert store.label_details("taxi") == {"canary": Label(2, 0.05), "stable": Label(1, 0.0)}
    assert store.labels("taxi") == {"canary": 2, "stable": 1}
    store.set_label("taxi", "canary", 3, **said)
    assert store.label_details("taxi")["canary"] == Label(3, 0.0), "another version starts without a share"
    shares = [(entry.action, entry.version, entry.reason) for entry in store.history("taxi") if "share" in entry.action]
    assert shares == [("share canary", 2, "0.05: test")]
    store.set_label("taxi", "canary", 3, share=0.5, **said)
    store.promote("taxi", 3, **said)
    assert store.label_details("taxi") == {"stable": Label(3, 0.0)}
    for label, share in (("canary", 1.5), ("canary", -0.1), ("stable", 0.5)):
        with pytest.raises(StoreError, match=f"Received: {share}"):
            store.set_label("taxi", label, 2, share=share, **said)


def test_a_version_that_did_not_do_is_remembered_until_it_is_stable_again(store, make_export, draft):
    said = {"reason": "answers drifted", "actor": "test"}
    publish(store, make_export, draft, 3)
    store.promote("taxi", 1, **said)
    store.set_label("taxi", "canary", 2, share=0.05, **said)
    store.remove_label("taxi", "canary", **said)
    assert store.rolled_back("taxi", 2) is None, "a label that a person takes away says nothing of the version"
    store.set_label("taxi", "canary", 2, share=0.05, **said)
    assert store.withdraw("taxi", 2, **said) == ["canary"]
    assert store.withdraw("taxi", 2, **said) == []
    assert store.labels("taxi") == {"stable": 1}
    entry = store.rolled_back("taxi", 2)
    assert entry is not None and (entry.action, entry.reason) == ("withdraw canary", "answers drifted")
    store.promote("taxi", 2, **said)
    assert store.rolled_back("taxi", 2) is None
    store.rollback("taxi", **said)
    assert store.labels("taxi") == {"stable": 1}
    entry = store.rolled_back("taxi", 2)
    assert entry is not None and entry.action == "rollback"
    assert store.rolled_back("taxi", 1) is None and store.rolled_back("taxi", 3) is None
