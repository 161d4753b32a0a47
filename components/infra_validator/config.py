"""What the InfraValidator is told, parsed once from its exec property."""

from __future__ import annotations

import dataclasses
import json

from spec.errors import InputError


@dataclasses.dataclass(frozen=True)
class InfraConfig:
    """Limits of the validating process.

    Attributes:
        requests: rows of the test split to replay.
        timeout_s: wall-clock limit for start, load and replay, in seconds.
        memory_mb: limit of its resident memory, in MiB; TensorFlow alone takes about 400.
    """

    requests: int = 16
    timeout_s: float = 120
    memory_mb: int = 4096

    @classmethod
    def from_json(cls, text: str) -> InfraConfig:
        """Parses the `infra_validation` section of workload.yaml.

        Raises:
            InputError: a field is unknown or not a positive number.
        """
        try:
            found = cls(**json.loads(text))
            if min(found.requests, found.timeout_s, found.memory_mb) <= 0:
                raise ValueError("requests, timeout_s and memory_mb must be above 0")
            return found
        except (ValueError, TypeError) as error:
            raise InputError(f"infra_validation: not a valid configuration: {error}. Received: {text[:200]}") from None
