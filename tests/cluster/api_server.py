"""A Kubernetes API server of its own, with etcd behind it and nothing else: no nodes, no controllers, no scheduler.

What it answers is Kubernetes' own word: validation, field by field, admission (Pod Security, quotas, service accounts), RBAC, and the
schemas of the CRDs that it was given. A pod is stored and stays pending.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import pathlib
import secrets
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from tests.deploy.crds.vendored import vendored
from tests.servers import free_port

MODULE = pathlib.Path(__file__).parent / "control_plane"
PROGRAMS = {
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "etcd": "go.etcd.io/etcd/server/v3",
}
Manifest = dict[str, Any]


class Refused(AssertionError):
    """What the API server said instead of doing it."""


@functools.cache
def programs() -> Mapping[str, pathlib.Path]:
    """The programs, built from Go's module proxy once a machine and version; skips the test where they cannot be had.

    A first build takes minutes, and 2 GB below Go's caches.
    """
    if not shutil.which("go"):
        pytest.skip("needs Go 1.24 or later, which builds the API server")
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "trainyard-tests"
    folder = home / f"kubernetes-{_version()}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one builds
        for name, package in PROGRAMS.items():
            if not (folder / name).exists():
                _build(package, folder / name)
    return {name: folder / name for name in PROGRAMS}


def _version() -> str:
    """Of Kubernetes, as go.mod has it."""
    lines = (MODULE / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("\tk8s.io/kubernetes v"))


def _build(package: str, program: pathlib.Path) -> None:
    partial = program.with_suffix(".partial")
    # -s -w: without tables for a debugger, which are half of it.
    command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(partial), package]
    built = subprocess.run(
        command,
        cwd=MODULE,
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if built.returncode:
        pytest.skip(f"go build {package}: {built.stderr.strip()[-300:]}")
    partial.rename(program)


class ApiServer:
    """A running API server, and its administrator's kubectl.

    Attributes:
        url: where it listens, on the loopback interface.
        ca_file: the certificate that it shows.
        kubeconfig: the administrator's.
    """

    def __init__(self, folder: pathlib.Path, kubectl: pathlib.Path, port: int, token: str) -> None:
        self.url, self.ca_file = f"https://127.0.0.1:{port}", folder / "certificates" / "apiserver.crt"
        self._folder, self._kubectl = folder, kubectl
        self.kubeconfig = self.write_kubeconfig("administrator", token)

    def write_kubeconfig(self, user: str, token: str) -> pathlib.Path:
        """A file for whoever has that token."""
        named = {
            "clusters": {"cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}},
            "users": {"user": {"token": token}},
            "contexts": {"context": {"cluster": "it", "user": "it"}},
        }
        lists = {key: [{"name": "it", **one}] for key, one in named.items()}
        path = self._folder / f"{user}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "it", **lists}))
        return path

    def kubectl(self, *arguments: str | pathlib.Path, stdin: str | None = None, may_warn: bool = False) -> str:
        """What kubectl printed.

        Raises:
            Refused: it failed, or the API server had a warning, unless it `may_warn`.
        """
        done = subprocess.run(
            [self._kubectl, f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self._folder / 'discovery'}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode or ("Warning:" in done.stderr and not may_warn):
            raise Refused(f"kubectl {' '.join(map(str, arguments))}: {done.stderr}{done.stdout}")
        return done.stdout

    def apply(self, manifests: str, *arguments: str) -> str:
        """Applies YAML as a person would, with an unknown or doubled field as an error."""
        return self.kubectl("apply", "--validate=strict", *arguments, "-f", "-", stdin=manifests)

    def create(self, *objects: Manifest, options: Sequence[str] = ()) -> list[Manifest]:
        """The objects as the API server made them."""
        text = "\n---\n".join(json.dumps(one) for one in objects)
        made = self.kubectl("create", "--validate=strict", "-o", "json", "-f", "-", *options, stdin=text)
        found, at = [], 0
        while at < len(made.rstrip()):
            one, end = json.JSONDecoder().raw_decode(made[at:].lstrip())
            at += len(made[at:]) - len(made[at:].lstrip()) + end
            found.append(one)
        return found

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", "-o", "json", *arguments))

    def token_of(self, namespace: str, service_account: str) -> str:
        """A token as a pod of that service account gets one."""
        return self.kubectl("create", "token", service_account, f"--namespace={namespace}").strip()

    @contextlib.contextmanager
    def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """A namespace that is gone at the end, with all that is in it."""
        self.apply(yaml.safe_dump(_namespace(name, labels or {})))
        try:
            yield name
        finally:
            self.remove_namespace(name)

    def remove_namespace(self, name: str) -> None:
        """What a controller does in a whole cluster: objects go first, then the namespace's finalizer."""
        kinds = self.kubectl("api-resources", "--namespaced", "--verbs=delete,list", "-o", "name").split()
        self.kubectl("delete", ",".join(kinds), "--all", f"--namespace={name}", "--wait=false", may_warn=True)
        for claim in self.get("persistentvolumeclaims", f"--namespace={name}")["items"]:
            free = '{"metadata":{"finalizers":null}}'
            where = (claim["metadata"]["name"], f"--namespace={name}")
            self.kubectl("patch", "persistentvolumeclaim", *where, "--type=merge", "-p", free)
        self.kubectl("delete", "namespace", name, "--wait=false")
        ended = json.dumps({**_namespace(name, {}), "spec": {"finalizers": []}})
        self.kubectl("replace", "--raw", f"/api/v1/namespaces/{name}/finalize", "-f", "-", stdin=ended)

    def wait_until_ready(self, process: subprocess.Popen[bytes], log: pathlib.Path, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise AssertionError(f"kube-apiserver ended: {log.read_text()[-2000:]}")
            with contextlib.suppress(OSError, urllib.error.URLError):
                trust = ssl.create_default_context(cafile=str(self.ca_file))
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5, context=trust):
                    return
            time.sleep(0.3)
        raise AssertionError(f"kube-apiserver is not ready after {seconds:.0f} s: {log.read_text()[-2000:]}")


def _namespace(name: str, labels: Mapping[str, str]) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}


@contextlib.contextmanager
def running(folder: pathlib.Path) -> Iterator[ApiServer]:
    """An API server with every CRD of tests/deploy/crds; it ends, and what it stored is gone, with the body.

    Args:
        folder: for data, certificates and logs.
    """
    found, token = programs(), secrets.token_hex(16)
    etcd_port, peer_port, port = free_port(), free_port(), free_port()
    _write_credentials(folder, token)
    etcd = [
        *(found["etcd"], "--name=it", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=error"),
        f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
        f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}",
        f"--initial-cluster=it=http://127.0.0.1:{peer_port}",
    ]
    server = [
        *(found["kube-apiserver"], f"--etcd-servers=http://127.0.0.1:{etcd_port}", "--authorization-mode=RBAC"),
        *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={port}"),
        *(f"--cert-dir={folder / 'certificates'}", f"--token-auth-file={folder / 'tokens.csv'}"),
        *("--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged"),
        *(
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'key.pem'}",
        ),
        f"--service-account-signing-key-file={folder / 'key.pem'}",
    ]
    with _process(etcd, folder / "etcd.log"), _process(server, folder / "kube-apiserver.log") as process:
        it = ApiServer(folder, found["kubectl"], port, token)
        it.wait_until_ready(process, folder / "kube-apiserver.log")
        _install_crds(it)
        yield it


def _write_credentials(folder: pathlib.Path, token: str) -> None:
    """The administrator's token, and the key that signs service accounts' tokens."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    for name, content in (
        ("tokens.csv", f"{token},administrator,administrator,system:masters\n"),
        ("key.pem", key.decode()),
    ):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(content)


@contextlib.contextmanager
def _process(command: list[Any], log: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen([str(word) for word in command], stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _install_crds(it: ApiServer) -> None:
    found = vendored()
    # Not applied: the annotation of an applied object has to be smaller than these are. Warnings are about their number formats.
    it.kubectl("create", "-f", "-", stdin="\n---\n".join(json.dumps(one) for one in found), may_warn=True)
    names = [f"crd/{one['metadata']['name']}" for one in found]
    it.kubectl("wait", "--for=condition=established", "--timeout=60s", *names)
