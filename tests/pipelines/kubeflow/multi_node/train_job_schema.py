"""What a TrainJob may say, in our words: trainer.kubeflow.org/v1alpha1 of Kubeflow Trainer 2.3, as far as Trainyard uses it.

A cluster drops fields that it does not know without a word; here they are errors. What is Kubernetes' own in it (containers'
environment, volumes, affinity) is held to the models of the `kubernetes` package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from tests.kubernetes_fields import unknown_fields

_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Mapping[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": dict(items), "maxItems": most}


_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_KUBERNETES: dict[str, Any] = {}  # checked by its own models below
_METADATA = _object(labels=_TEXTS, annotations=_TEXTS)
_CONTAINER = _object(
    ("name",),
    name={"type": "string", "minLength": 1, "maxLength": 253},
    volumeMounts=_list(_KUBERNETES, 128),
    securityContext=_KUBERNETES,
)  # env too, but not for the container called node
_POD = _object(
    serviceAccountName={"type": "string", "maxLength": 253},
    volumes=_list(_KUBERNETES, 128),
    initContainers=_list(_CONTAINER, 64),
    containers=_list(_CONTAINER, 64),
    imagePullSecrets=_list(_KUBERNETES, 64),
    securityContext=_KUBERNETES,
    nodeSelector=_TEXTS,
    affinity=_KUBERNETES,
    tolerations=_list(_KUBERNETES, 128),
    schedulingGates=_list(_KUBERNETES, 16),
)
_REPLICATED_JOB = _object(
    ("name",),
    name={"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
    template=_object(metadata=_METADATA, spec=_object(template=_object(metadata=_METADATA, spec=_POD))),
)
_PATCH = _object(
    ("manager",),
    manager={"type": "string", "pattern": r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$", "maxLength": 253},
    trainingRuntimeSpec=_object(
        template=_object(metadata=_METADATA, spec=_object(replicatedJobs=_list(_REPLICATED_JOB, 100)))
    ),
)
_WORDS = _list({"type": "string", "maxLength": 65536}, 128)
SCHEMA = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "trainer.kubeflow.org/v1alpha1"},
    kind={"const": "TrainJob"},
    metadata=_object(
        ("name",),
        name={"type": "string", "pattern": _LABEL, "maxLength": 63},
        labels=_TEXTS,
        annotations=_TEXTS,
        ownerReferences=_list(_KUBERNETES, 64),
    ),
    spec=_object(
        ("runtimeRef",),
        runtimeRef=_object(
            ("name",),
            name={"type": "string", "minLength": 1, "maxLength": 253},
            apiGroup={"type": "string"},
            kind={"enum": ["TrainingRuntime", "ClusterTrainingRuntime"]},
        ),
        trainer=_object(
            image={"type": "string", "maxLength": 500},
            command=_WORDS,
            args=_WORDS,
            env=_list(_KUBERNETES, 128),
            numNodes={"type": "integer", "minimum": 1},
            numProcPerNode={"type": "integer"},
            resourcesPerNode=_KUBERNETES,
        ),
        runtimePatches=_list(_PATCH, 16),
        suspend={"type": "boolean"},
        activeDeadlineSeconds={"type": "integer", "minimum": 1},
        managedBy={"enum": ["trainer.kubeflow.org/trainjob-controller", "kueue.x-k8s.io/multikueue"]},
    ),
)


def problems(job: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with a TrainJob, a line each."""
    found = [
        f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}"
        for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(job)
    ]
    return found or list(_kubernetes_problems(job))


def pod_template(job: Mapping[str, Any]) -> dict[str, Any]:
    """What a TrainJob says of its pods besides the trainer's section."""
    (patch,) = job["spec"]["runtimePatches"]
    (replicated,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    found: dict[str, Any] = replicated["template"]["spec"]["template"]
    return found


def _kubernetes_problems(job: Mapping[str, Any]) -> Iterator[str]:
    trainer = job["spec"]["trainer"]
    yield from unknown_fields(job["metadata"].get("ownerReferences", []), "list[V1OwnerReference]", "ownerReferences")
    yield from unknown_fields(trainer.get("env", []), "list[V1EnvVar]", "env")
    yield from unknown_fields(trainer.get("resourcesPerNode", {}), "V1ResourceRequirements", "resourcesPerNode")
    pod = pod_template(job)["spec"]
    # The fields of a patch are those of a pod; a pod's containers need an image, which is not asked for here.
    yield from unknown_fields(pod, "V1PodSpec", "pod")
