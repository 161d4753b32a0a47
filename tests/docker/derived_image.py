"""Images derived from the pipeline image, in seconds."""

from __future__ import annotations

import dataclasses
import io

from tests.docker.kubeflow_containers import client

REVISION = "TRAINYARD_CODE_REVISION"


@dataclasses.dataclass(frozen=True)
class Image:
    """Attributes:
    tag: its name.
    revision: the code revision that it says it holds.
    """

    tag: str
    revision: str

    @classmethod
    def of(cls, tag: str) -> Image:
        listed = client().images.get(tag).attrs["Config"]["Env"]
        return cls(tag, dict(one.split("=", 1) for one in listed)[REVISION])

    def with_revision(self, revision: str) -> Image:
        """The same image that names another revision."""
        tag = f"trainyard-test:{revision}"
        text = f"FROM {self.tag}\nENV {REVISION}={revision}\n"
        client().images.build(fileobj=io.BytesIO(text.encode()), tag=tag, rm=True)
        return Image(tag, revision)
