"""Checks of a compiled file, by reading it alone: what KFP would refuse hours later, or in one pod of twelve.

Each check is a small function of the file that yields what it finds, a line each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from pipelines.runners.kubeflow import retries
from pipelines.runners.kubeflow.cluster.site import LABEL_KEY, LABEL_VALUE

SCHEMA_VERSION = "2.1.0"
ARGUMENT_LIMIT = 128 * 1024  # Linux: one argument of a program
WORKFLOW_LIMIT = 1024 * 1024  # etcd: one object; Argo's workflow holds the whole pipeline
_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


class Compiled:
    """A compiled file, read.

    Args:
        text: YAML with a pipeline document and, as a rule, a platform document.
    """

    def __init__(self, text: str) -> None:
        documents = list(yaml.safe_load_all(text))
        self.size = len(text.encode())
        self.pipeline: dict[str, Any] = documents[0] if documents and isinstance(documents[0], dict) else {}
        platform = documents[1] if len(documents) > 1 and isinstance(documents[1], dict) else {}
        kubernetes = platform.get("platforms", {}).get("kubernetes", {})
        self.platform: dict[str, Any] = kubernetes.get("deploymentSpec", {}).get("executors", {})
        self.executors: dict[str, Any] = self.pipeline.get("deploymentSpec", {}).get("executors", {})
        self.components: dict[str, Any] = self.pipeline.get("components", {})
        self.root: dict[str, Any] = self.pipeline.get("root", {})
        self.tasks: dict[str, Any] = self.root.get("dag", {}).get("tasks", {})
        self.parameters: dict[str, Any] = self.root.get("inputDefinitions", {}).get("parameters", {})


Check = Callable[[Compiled], Iterator[str]]


def lint(text: str) -> list[str]:
    """Everything that is wrong with a compiled file, a line each; empty if nothing is."""
    try:
        compiled = Compiled(text)
    except yaml.YAMLError as error:
        return [f"not valid YAML: {' '.join(str(error).split())}"]
    return [finding for check in CHECKS for finding in check(compiled)]


def check_schema_version(compiled: Compiled) -> Iterator[str]:
    found = compiled.pipeline.get("schemaVersion")
    if found != SCHEMA_VERSION:
        yield f"schemaVersion: KFP takes {SCHEMA_VERSION}. Received: {found}"


def check_size(compiled: Compiled) -> Iterator[str]:
    if compiled.size > WORKFLOW_LIMIT:
        yield f"the file has {compiled.size:,} bytes; a workflow may have {WORKFLOW_LIMIT:,}. Make the graph smaller."


def check_arguments(compiled: Compiled) -> Iterator[str]:
    for label, executor in compiled.executors.items():
        container = executor.get("container", {})
        for argument in (*container.get("command", ()), *container.get("args", ())):
            if isinstance(argument, str) and len(argument.encode()) >= ARGUMENT_LIMIT:
                yield f"{label}: an argument of {len(argument):,} bytes; Linux takes less than {ARGUMENT_LIMIT:,}."


def check_executors(compiled: Compiled) -> Iterator[str]:
    """Containers only: open-source KFP has no resolver, and an importer would register artifacts beside MLMD's."""
    for label, executor in compiled.executors.items():
        for kind in sorted(set(executor) - {"container"}):
            yield f"{label}: is a {kind} executor, which open-source KFP cannot run, or not as TFX means it."
        if "container" in executor and not executor["container"].get("image"):
            yield f"{label}: names no image."


def check_images(compiled: Compiled) -> Iterator[str]:
    """A run has to be repeatable: `latest` is another image tomorrow."""
    images = {container.get("image", "") for e in compiled.executors.values() if (container := e.get("container", {}))}
    images.add(compiled.parameters.get("image", {}).get("defaultValue", ""))
    for image in sorted(one for one in images if one and "{{" not in one and not is_fixed(one)):
        yield f"image {image}: names no version; a run could not be repeated. Give it a tag, or better its digest (@sha256:...)."


def is_fixed(image: str) -> bool:
    """Whether an image's name says which one: by digest, or by a tag that is not `latest`.

    Example:
        >>> is_fixed("registry:5000/trainyard"), is_fixed("trainyard:latest"), is_fixed("trainyard:1.4")
        (False, False, True)
    """
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return "@sha256:" in image or tag not in ("", "latest")


def check_components(compiled: Compiled) -> Iterator[str]:
    for name, task in compiled.tasks.items():
        component = compiled.components.get(task.get("componentRef", {}).get("name"))
        if component is None:
            yield f"task {name}: its component {task.get('componentRef', {}).get('name')!r} is not in the file."
        elif component.get("executorLabel") not in compiled.executors:
            yield f"task {name}: its executor {component.get('executorLabel')!r} is not in the file."


def check_dependencies(compiled: Compiled) -> Iterator[str]:
    for name, task in compiled.tasks.items():
        for upstream in task.get("dependentTasks", ()):
            if upstream not in compiled.tasks:
                yield f"task {name}: waits for {upstream!r}, which is not in the file."
    waiting, done = set(compiled.tasks), set[str]()
    while ready := {t for t in waiting if set(compiled.tasks[t].get("dependentTasks", ())) & waiting <= done}:
        done |= ready
        waiting -= ready
    if waiting:
        yield f"tasks wait for each other: {', '.join(sorted(waiting))}."


def check_inputs(compiled: Compiled) -> Iterator[str]:
    for name, task in compiled.tasks.items():
        for key, source in task.get("inputs", {}).get("parameters", {}).items():
            wanted = source.get("componentInputParameter")
            if wanted is not None and wanted not in compiled.parameters:
                yield f"task {name}, input {key}: the run has no parameter {wanted!r}."
            producer = source.get("taskOutputParameter", {}).get("producerTask")
            if producer is not None and producer not in compiled.tasks:
                yield f"task {name}, input {key}: comes from task {producer!r}, which is not in the file."


def check_placeholders(compiled: Compiled) -> Iterator[str]:
    for name, task in compiled.tasks.items():
        component = compiled.components.get(task.get("componentRef", {}).get("name"), {})
        container = compiled.executors.get(component.get("executorLabel"), {}).get("container", {})
        given = set(task.get("inputs", {}).get("parameters", {}))
        texts = [container.get("image", ""), *container.get("command", ()), *container.get("args", ())]
        for wanted in sorted({found for text in texts for found in _PLACEHOLDER.findall(str(text))} - given):
            yield f"task {name}: its container uses the input {wanted!r}, which it does not get."


def check_platform(compiled: Compiled) -> Iterator[str]:
    for label, config in compiled.platform.items():
        if label not in compiled.executors:
            yield f"platform document: executor {label!r} is not in the pipeline document."
        for key in ("nodeSelector", "tolerations"):
            listed = config.get(key, [])
            for one in listed if isinstance(listed, list) else [listed]:
                for source in one.values() if isinstance(one, dict) else ():
                    wanted = source.get("componentInputParameter") if isinstance(source, dict) else None
                    if wanted is not None and wanted not in compiled.parameters:
                        yield f"platform document, {label}, {key}: the run has no parameter {wanted!r}."


def check_names(compiled: Compiled) -> Iterator[str]:
    pipeline = compiled.pipeline.get("pipelineInfo", {}).get("name", "")
    for what, name in (("pipeline", pipeline), *(("task", task) for task in compiled.tasks)):
        if not _DNS_LABEL.match(name):
            yield f"{what} {name!r}: Kubernetes wants lower-case letters, digits and '-', 63 at most."


def check_labels(compiled: Compiled) -> Iterator[str]:
    for label, config in compiled.platform.items():
        for key, value in config.get("podMetadata", {}).get("labels", {}).items():
            if not LABEL_KEY.match(key) or not LABEL_VALUE.match(value):
                yield f"platform document, {label}: {key}={value!r} is no label of Kubernetes."


def check_security(compiled: Compiled) -> Iterator[str]:
    """Pod Security "restricted", as far as the file decides: KFP itself drops capabilities and sets seccomp."""
    for label in compiled.executors:
        context = compiled.platform.get(label, {}).get("securityContext", {})
        if context.get("runAsNonRoot") is not True or str(context.get("runAsUser", "0")) == "0":
            yield f"platform document, {label}: may run as root; set runAsNonRoot and runAsUser."


def check_caching(compiled: Compiled) -> Iterator[str]:
    for name, task in compiled.tasks.items():
        if task.get("cachingOptions", {}).get("enableCache"):
            yield f"task {name}: KFP's cache is on; it answers without looking at the data."


def check_retries(compiled: Compiled) -> Iterator[str]:
    """Every attempt must have its time before Argo's budget for all of them ends (retries.py)."""
    for name, task in compiled.tasks.items():
        if not (policy := task.get("retryPolicy")):
            continue
        factor = float(policy.get("backoffFactor", 0))
        if factor < 1 or not factor.is_integer():
            yield f"task {name}: backoffFactor {factor:g}; Argo takes whole numbers from 1 on."
            continue
        label = compiled.components.get(task.get("componentRef", {}).get("name"), {}).get("executorLabel")
        deadline = int(compiled.platform.get(label, {}).get("activeDeadlineSeconds", 0))
        count, pause = policy.get("maxRetryCount", 0), _seconds(policy.get("backoffDuration"))
        needed = (count + 1) * deadline + retries.pauses_s(count, pause, int(factor))
        if count and (given := _seconds(policy.get("backoffMaxDuration"))) < needed:
            yield (
                f"task {name}: Argo stops trying {given:,} s after the first attempt began (backoffMaxDuration); "
                f"{count + 1} attempts may take {needed:,} s."
            )


def _seconds(duration: str | None) -> int:
    """A duration as protobuf writes it in JSON, in whole seconds; KFP's backend passes on no more."""
    return int(float((duration or "0s").removesuffix("s")))


# In the order in which they stand above.
CHECKS: tuple[Check, ...] = tuple(one for name, one in globals().items() if name.startswith("check_"))
