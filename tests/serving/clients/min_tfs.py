"""Asks a server by min-tfs-client, which has TF Serving's messages without TensorFlow, in its own environment."""

from __future__ import annotations

import json
import sys

import numpy as np
from min_tfs_client.requests import TensorServingClient
from min_tfs_client.tensors import tensor_proto_to_ndarray

client = TensorServingClient("127.0.0.1", int(sys.argv[2]))
house = client.predict_request("house", {"area": np.array([1.5, 2], np.float32)})
row = {"fare": np.array([5], np.float32), "miles": np.array([1.5], np.float32), "area": np.array([3])}
row |= {"company": np.array(["x"]), "hour": np.array([4])}
taxi = client.predict_request("taxi", row, model_version=2)
answers = {
    "prediction": tensor_proto_to_ndarray(house.outputs["prediction"]).tolist(),
    "probability": tensor_proto_to_ndarray(taxi.outputs["probability"]).tolist(),
    "label": [label.decode() for label in taxi.outputs["label"].string_val],
    "version": taxi.model_spec.version.value,
}
print(json.dumps(answers))
