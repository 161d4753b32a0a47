"""Releases of a made-up model `tips`, without a training."""

from __future__ import annotations

import json
import pathlib
import tempfile

from model_store import ModelStore, ReleaseDraft
from spec import home

FEATURES = {
    "fare": {"dtype": "float32", "shape": [], "nullable": False},
    "miles": {"dtype": "float32", "shape": [], "nullable": True},
    "kind": {"dtype": "string", "shape": [], "nullable": False},
}


def export(folder: pathlib.Path, weight: float) -> pathlib.Path:
    """A SavedModel that takes the longer the more miles there are: a hundred make a second or so."""
    import tensorflow as tf

    def serve(fare, miles, kind):
        steps = tf.reduce_max(tf.where(tf.math.is_nan(miles), 0.0, miles)) * 1000.0
        (walked,) = tf.while_loop(lambda i: i < steps, lambda i: (i + 1.0,), (0.0,))
        p = tf.sigmoid(weight * (fare - 15.0) + tf.where(kind == "card", 2.0, -2.0)) + 0.0 * walked
        return {"probability": p, "label": tf.where(p > 0.5, "1", "0")}

    dtypes = {"float32": tf.float32, "string": tf.string}
    specs = {name: tf.TensorSpec([None], dtypes[f["dtype"]], name=name) for name, f in FEATURES.items()}
    module = tf.Module()
    signature = tf.function(serve).get_concrete_function(**specs)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
    (folder / "assets.extra").mkdir(exist_ok=True)
    described = {"task": "binary", "label": "tipped", "classes": ["0", "1"], "features": FEATURES}
    (folder / "assets.extra" / "trainyard.json").write_text(json.dumps(described))
    return folder


def publish() -> ModelStore:
    """Publishes version 1, stable, and version 2, canary, in the store that the environment names."""
    store = ModelStore(home.store_uri())
    for version, weight in ((1, 0.1), (2, 0.5)):
        with tempfile.TemporaryDirectory() as folder:
            draft = ReleaseDraft(publication_key=str(version), task="binary", run_id="r", pipeline="tips")
            store.publish("tips", export(pathlib.Path(folder) / "m", weight), draft)
    store.promote("tips", 1, reason="test", actor="test")
    store.set_label("tips", "canary", 2, reason="test", actor="test")
    return store
