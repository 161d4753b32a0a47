"""What the compiler needs to know about a cluster: `kubeflow.yaml`."""

from __future__ import annotations

import os
import pathlib
import posixpath
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from spec import environment as env
from spec.errors import InputError
from spec.workload import explained

DEFAULT_FILE = pathlib.Path(__file__).parents[1] / "kubeflow.yaml"
KubernetesName = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$"
Model = TypeVar("Model", bound=BaseModel)
LABEL_KEY = re.compile(r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")
_ENVIRONMENT_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_SECRET_KEY = re.compile(r"^[-._A-Za-z0-9]{1,253}$")
# KFP's backend names the volume after the claim, beside its own and ours.
_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_VOLUMES_TAKEN = frozenset({"scratch", "shared-memory", "kfp-launcher"}) | {
    f"{name}-scratch" for name in ("gcs", "s3", "minio", "dot-local", "dot-cache", "dot-config")
}
_PATHS_TAKEN = ("/tmp", "/dev/shm", "/kfp-launcher", "/gcs", "/s3", "/minio", "/.local", "/.cache", "/.config")  # noqa: S108


class Section(BaseModel):
    """A part of a file about a cluster: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Secret(Section):
    name: str = Field(pattern=KubernetesName)
    """Name of the Kubernetes Secret, in the namespace of the run."""
    keys: dict[str, str]
    """Environment variable -> key in the Secret."""
    optional: bool = False
    """Whether a pod may start without it."""

    @field_validator("keys")
    @classmethod
    def _usable(cls, keys: dict[str, str]) -> dict[str, str]:
        for name, key in keys.items():
            if not _ENVIRONMENT_NAME.match(name):
                raise ValueError(f"{name!r} cannot name an environment variable")
            if not _SECRET_KEY.match(key):
                raise ValueError(f"{name}: {key!r} cannot name a key of a Secret")
        return keys


class Metadata(Section):
    uri: str = "postgresql://trainyard-metadata:5432/trainyard"
    """postgresql://host:port/database or mysql://host:port/database; user and password come from the Secret."""
    secret: Secret = Secret(
        name="trainyard-metadata",
        keys={env.METADATA_USER: "username", env.METADATA_PASSWORD: "password"},
    )
    """Where user and password are kept."""

    @field_validator("uri")
    @classmethod
    def _no_password(cls, uri: str) -> str:
        if re.search(r"//[^/@]*:[^/@]*@", uri):
            raise ValueError("a password does not belong into this file; keep it in the Secret (metadata.secret)")
        if not re.match(r"(postgresql|mysql|sqlite)://", uri):
            raise ValueError(f"expected postgresql://... or mysql://... Received: {uri!r}")
        return uri


class Volume(Section):
    claim: str = Field(pattern=KubernetesName)
    """Name of a PersistentVolumeClaim (ReadWriteMany) that every node mounts."""
    mount_path: str = Field(pattern=r"^/[^:]+$")
    """Where it appears in the pods."""

    @field_validator("claim")
    @classmethod
    def _names_a_volume(cls, claim: str) -> str:
        if not _DNS_LABEL.match(claim) or claim in _VOLUMES_TAKEN:
            raise ValueError(
                "KFP names the pod's volume after the claim: lower-case letters, digits and '-', 63 at most, and none of "
                f"{', '.join(sorted(_VOLUMES_TAKEN))}. Received: {claim!r}"
            )
        return claim

    @field_validator("mount_path")
    @classmethod
    def _is_free(cls, path: str) -> str:
        if (clean := posixpath.normpath(path)) in _PATHS_TAKEN:
            raise ValueError(f"something else is mounted there in every pod of KFP. Received: {clean!r}")
        return path


class Api(Section):
    """Where KFP's API answers, for `trainyard submit` and `trainyard runs`. The token itself stands in no file of ours."""

    host: str = ""
    """KFP's API, without /apis: https://kubeflow.example.com/pipeline or http://localhost:8888. KF_PIPELINES_ENDPOINT wins."""
    ui: str = ""
    """KFP's UI, for links, where it is not the host. KF_PIPELINES_UI_ENDPOINT wins."""
    namespace: str = Field(default="", pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")
    """Your profile's namespace, where Kubeflow has several users. One user's KFP needs none."""
    token_file: str = ""
    """A file with a bearer token, read for every request, so that it may be renewed."""
    ca_file: str = ""
    """Certificates (PEM) that the host's is signed with, where that is no public authority's."""

    @field_validator("host", "ui")
    @classmethod
    def _url(cls, url: str) -> str:
        if url and not re.match(r"https?://[^/@]+(/[^@]*)?$", url):
            raise ValueError(
                "expected https://host or http://host, with a path if it has one, and no user or password in it"
            )
        return url.rstrip("/")


class ClusterSite(Section):
    """Where a cluster keeps images, artifacts, metadata and secrets. No secret stands in it, only names of Secrets."""

    image: str = "registry.example.com/trainyard:1.4"
    """The pipeline image (docker/pipeline.Dockerfile) with a fixed tag or a digest; a run may name another."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """As Kubernetes understands it."""
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets for a private registry."""
    root: str
    """Artifacts: s3://, gs:// or abfs:// and a folder, or a path on `volume`. A workload's lie in `<root>/<workload>`."""
    data: str
    """Fills {DATA} in a workload's data.uri."""
    store: str
    """The model store."""
    metadata: Metadata = Metadata()
    """The metadata store (MLMD)."""
    api: Api = Api()
    """KFP's API."""
    secrets: tuple[Secret, ...] = ()
    """Further Secrets as environment variables, e.g. the object store's credentials."""
    environment: dict[str, str] = {}
    """Further environment variables, e.g. AWS_ENDPOINT_URL. Not for secrets."""
    pod_labels: dict[str, str] = {}
    """Further labels of the pods, e.g. azure.workload.identity/use: "true", by which Azure gives them credentials."""
    volume: Volume | None = None
    """A shared volume, where `root` is a path."""
    service_account: str = Field(default="pipeline-runner", pattern=KubernetesName)
    """The pods' service account; chosen when a run is submitted, KFP's file has no place for it."""
    training_runtime: str = Field(default="trainyard-tensorflow", pattern=KubernetesName)
    """The TrainingRuntime of Kubeflow Trainer for pools of several nodes (deploy/kubeflow/components/multi-node)."""
    search_runtime: str = Field(default="trainyard-search", pattern=KubernetesName)
    """The same for searches on several nodes, which go on without one that is lost."""
    search_storage: Secret | None = None
    """Where TRAINYARD_SEARCH_STORAGE is kept: the URL of a PostgreSQL database for the trials of searches on several nodes. Only the
    Tuner's pod gets it; without one the trials are lost with that pod."""
    signing_key: Secret | None = None
    """Where TRAINYARD_SIGNING_KEY is kept: the private key (PEM) that releases are signed with. Only the Pusher's pod gets it. The
    public keys are no secret: `environment: {TRAINYARD_PUBLIC_KEYS: ...}`."""
    run_as_user: int = Field(default=10001, ge=1)
    """User id of the pods, not 0: Pod Security "restricted"."""
    scratch_size: str = Field(default="20Gi", pattern=r"^\d+(Mi|Gi|Ti)$")
    """Size of the empty folder on /tmp into which a node's artifacts are staged."""

    @field_validator("environment")
    @classmethod
    def _names(cls, environment: dict[str, str]) -> dict[str, str]:
        for name in environment:
            if not _ENVIRONMENT_NAME.match(name):
                raise ValueError(f"{name!r} cannot name an environment variable")
            if re.search(r"(?i)password|secret|token", name):
                raise ValueError(f"{name} looks like a secret; keep it in a Kubernetes Secret and name that in secrets")
            # Kubernetes fills in $(NAME), and Argo what stands in double braces.
            if "$(" in environment[name] or "{{" in environment[name]:
                raise ValueError(f"{name}: Kubernetes and Argo would replace '$(' and '{{{{'. Write it without them")
        return environment

    @field_validator("search_storage", "signing_key")
    @classmethod
    def _names_its_variable(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        variable = {"search_storage": env.SEARCH_STORAGE, "signing_key": env.SIGNING_KEY}[str(info.field_name)]
        if secret and set(secret.keys) != {variable}:
            raise ValueError(f"expected keys: {{{variable}: KEY}}. Received: {secret.keys}")
        return secret

    @field_validator("pod_labels")
    @classmethod
    def _labels(cls, labels: dict[str, str]) -> dict[str, str]:
        return checked_labels(labels)

    @model_validator(mode="after")
    def _reachable(self) -> ClusterSite:
        for name in ("root", "data", "store"):
            place = getattr(self, name)
            if "://" in place:
                continue
            if self.volume is None or not pathlib.PurePosixPath(place).is_relative_to(self.volume.mount_path):
                raise ValueError(
                    f"{name} must be a URL such as s3://bucket/folder, or a path below volume.mount_path. Received: {place!r}"
                )
        return self

    def root_of(self, workload: str) -> str:
        """Where a workload's artifacts lie."""
        return f"{self.root.rstrip('/')}/{workload}"

    @property
    def assets(self) -> str:
        """Where the files that workloads declare lie, each under its SHA-256."""
        return self.root_of("_assets")


def checked_labels(labels: dict[str, str]) -> dict[str, str]:
    """The labels, unchanged; a ValueError if Kubernetes would refuse one."""
    for key, value in labels.items():
        if not LABEL_KEY.match(key) or not LABEL_VALUE.match(value):
            raise ValueError(f"{key}: {value!r} is no label of Kubernetes")
    return labels


def load_site(path: pathlib.Path | None, **changes: str) -> ClusterSite:
    """Reads and checks a cluster's file; None: the one of TRAINYARD_KUBEFLOW, else the example that is part of Trainyard.

    Raises:
        InputError: it is missing, is not YAML, or says something that it may not say.
    """
    return load_yaml(path or pathlib.Path(os.environ.get(env.KUBEFLOW) or DEFAULT_FILE), ClusterSite, changes)


def load_yaml(path: pathlib.Path, model: type[Model], changes: Mapping[str, Any] | None = None) -> Model:
    """A YAML file as a pydantic model.

    Raises:
        InputError: file, field, what was received and how to mend it.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return model.model_validate({**raw, **changes} if changes and isinstance(raw, dict) else raw)
    except FileNotFoundError:
        raise InputError("there is no such file (docs/guides/kubeflow.md says what it holds).", file=path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"not valid YAML: {error}", file=path) from None
    except pydantic.ValidationError as error:
        raise InputError("; ".join(str(explained(path, problem, model)) for problem in error.errors())) from None
