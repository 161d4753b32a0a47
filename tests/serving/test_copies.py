"""What a server loads is its own verified copy of a release; real processes."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from conftest import publisher, wait_for
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from model_store import ModelStore


def copies(cache: pathlib.Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in cache.iterdir())


def test_a_server_serves_copies_and_removes_those_that_nobody_needs(store, publish, start, exports, tmp_path):
    cache = tmp_path / "shared"
    publish("taxi", exports["taxi_0"])
    publish("taxi", exports["taxi_1"], None)
    server = start("--cache", str(cache)).wait_until_ready()
    assert copies(cache) == ["trainyard-release-taxi-1"] and cache.stat().st_mode & 0o777 == 0o700
    store.promote("taxi", 2, reason="r", actor="a")
    wait_for(lambda: copies(cache) == ["trainyard-release-taxi-2"])
    server.process.kill()
    server.process.wait()
    store.promote("taxi", 1, reason="r", actor="a")
    start("--cache", str(cache)).wait_until_ready()
    wait_for(lambda: copies(cache) == ["trainyard-release-taxi-1"])  # the killed server's is gone


def test_a_cache_that_others_may_use_ends_the_server_with_one_line(publish, start, exports, tmp_path):
    publish("taxi", exports["taxi_0"])
    (cache := tmp_path / "open").mkdir()
    cache.chmod(0o755)
    server = start("--cache", str(cache))
    assert server.process.wait(120) == 2
    said = (line for line in server.log().splitlines() if line.startswith("serving: "))
    (line,) = (line for line in said if "still loading" not in line)
    assert line.endswith(f"others may use it (mode 755). Run: chmod 700 {cache}")


def test_a_graph_that_reads_files_is_refused_and_the_version_before_stays(store, publish, start, exports, tmp_path):
    publish("taxi", exports["taxi_0"])
    server = start().wait_until_ready()
    read = tf.function(
        lambda path: {"content": tf.io.read_file(path[0])}, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(tf.Module(), str(tmp_path / "reader"), {"serving_default": read})
    publish("taxi", tmp_path / "reader")

    def refused():
        states = server.get("/v1/models/taxi")[1]["model_version_status"]
        return next((one["status"] for one in states if (one["version"], one["state"]) == ("2", "END")), None)

    status = wait_for(refused)
    assert status["error_code"] == "DATA_LOSS" and "operation ReadFile" in status["error_message"]
    assert server.get("/healthz")[1]["models"]["taxi"] == {"stable": 1}


def test_an_earlier_file_of_labels_is_not_followed_not_even_after_a_restart(start, exports, tmp_path, monkeypatch):
    private, public = make_keys(tmp_path)
    monkeypatch.setenv("TRAINYARD_SIGNING_KEY", str(private))
    monkeypatch.setenv("TRAINYARD_PUBLIC_KEYS", str(public))
    store = ModelStore(tmp_path / "models")
    publish = publisher(store)
    publish("taxi", exports["taxi_0"])
    labels = tmp_path / "models" / "taxi" / "labels.json"
    earlier = labels.read_bytes()
    publish("taxi", exports["taxi_1"])
    monkeypatch.delenv("TRAINYARD_SIGNING_KEY")

    cache = str(tmp_path / "shared")
    server = start("--cache", cache).wait_until_ready()
    labels.write_bytes(earlier)
    told = wait_for(lambda: server.get("/healthz")[1].get("damaged"))
    assert "older than the labels that were followed before" in told["taxi"]
    assert server.get("/healthz")[1]["models"]["taxi"] == {"stable": 2}, "what was loaded stays in service"
    assert server.stop() == 0
    server = start("--cache", cache, "--model", "taxi", "--fail-fast")
    assert server.process.wait(120) == 2 and "older than the labels" in server.log()


def make_keys(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    key, private, public = Ed25519PrivateKey.generate(), folder / "signing.pem", folder / "trainyard.pub"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public
