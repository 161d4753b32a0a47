"""What is asked of a queue. To add one, write a class of these methods and name its scheme in opening.py."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Protocol

LEASE_S = 60.0
"""How long a consumer that gave no sign of life is waited for, where the queue cannot know that it died."""
WAIT_S = 1.0
"""How long `take` waits where there is nothing."""


@dataclasses.dataclass(frozen=True)
class Delivery:
    """What a queue hands over; the item is in `document` or in `file`.

    Attributes:
        key: the queue's own name for it, which is the item's id where it has no other.
        attempt: how often it was handed over, this time included.
    """

    key: str
    attempt: int
    document: bytes = b""
    file: pathlib.Path | None = None


class Queue(Protocol):
    """One consumer's view of a queue. What it took stays its own until it is done, set aside or given back, or until it dies.

    Attributes:
        uri: for people; holds no secret.
    """

    uri: str

    def take(self, most: int) -> list[Delivery]:
        """Up to `most` items that nobody has tried, or one that was tried before, alone: should it be what kills its consumers, no
        other is blamed. Waits up to WAIT_S; empty where nothing came. To be called with nothing at hand.

        Raises:
            TryAgainError: the queue does not answer.
            InputError: it refuses.
        """

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        """Gives a sign of life; to be called every third of LEASE_S, from any thread, while items are at hand."""

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Takes items off that have their results."""

    def set_aside(self, delivery: Delivery, reason: str) -> None:
        """Takes an item off that cannot be answered, and keeps it beside the queue with the reason."""

    def give_back(self, delivery: Delivery, tried: bool) -> None:
        """Lets an item be tried again; not `tried`: this time does not count."""

    def is_empty(self) -> bool:
        """Whether nothing is left, and no consumer has anything at hand."""

    def close(self) -> None:
        """Leaves the queue, with nothing at hand."""


def without_secrets(uri: str) -> str:
    """A URI without its user and password, to be shown; a password may hold any character, a `/` too."""
    scheme, separator, rest = uri.partition("://")
    return scheme + separator + rest.rpartition("@")[2]
