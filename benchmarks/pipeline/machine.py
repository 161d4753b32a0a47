"""What the measurements were made on: the machine, the libraries and the code."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import pathlib
import platform

from quality.provenance import git

_LIBRARIES = (
    "tfx",
    "tensorflow",
    "keras",
    "tensorflow-data-validation",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "apache-beam",
    "pyarrow",
    "numpy",
)


@dataclasses.dataclass(frozen=True)
class Machine:
    """The machine and the software that were measured.

    Attributes:
        cpu: its model, as named by the kernel.
        cores: how many this process may use.
        memory_mb: of the machine, MiB.
        kernel: system and release.
        python: version.
        versions: distribution -> version.
        revision: of the code, with `-dirty` if files differ from it; "unknown" outside a checkout.
    """

    cpu: str
    cores: int
    memory_mb: int
    kernel: str
    python: str
    versions: dict[str, str]
    revision: str

    def __str__(self) -> str:
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_mb / 1024:.0f} GiB, {self.kernel}, revision {self.revision}"
        )


def this_machine() -> Machine:
    """Describes the machine that runs this."""
    return Machine(
        cpu=_field("/proc/cpuinfo", "model name") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=int(_field("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions={name: importlib.metadata.version(name) for name in _LIBRARIES},
        revision=git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").strip() or "unknown",
    )


def _field(path: str, name: str) -> str:
    for line in pathlib.Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
