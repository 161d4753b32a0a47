"""LitServe, with its batches. It reads the types of annotations, so they are not put off here."""

import sys
from typing import Any

import litserve

from benchmarks.serving_peers.model import Model


class Peer(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = Model()

    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["instances"][0]

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, rows: list[Any]) -> list[Any]:
        return self.model.predict(rows)

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": [output]}


if __name__ == "__main__":
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    api = Peer(max_batch_size=32, batch_timeout=0.001, api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=60)
    server.run(port=port, host="127.0.0.1", num_api_servers=workers, generate_client_file=False, log_level="error")
