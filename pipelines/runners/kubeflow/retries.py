"""How often and for how long a failed pod starts again, as Argo reads what KFP passes on.

KFP's backend copies a task's retry policy into Argo's `retryStrategy` (backend/src/v2/compiler/argocompiler/container.go), and
Argo (workflow/controller/operator.go, processNodeRetries) reads it so:

- `backoff.maxDuration` is the whole budget, from the first attempt's start: an attempt that ends later is not followed by
  another, and one that still runs then is stopped. It is not the longest pause; left out, KFP's backend writes "0".
- a pause is `duration x factor^(n-1)`, and `factor` must be a whole number. Argo's own limit of a pause (`cap`) has no
  place in KFP's file, so pauses that double would reach months: they are all alike.
- time spent waiting for a node counts, too.
"""

from __future__ import annotations

PAUSE_S = 60
FACTOR = 1


def pauses_s(retries: int, pause_s: int = PAUSE_S, factor: int = FACTOR) -> int:
    """Seconds that all pauses take together.

    Example:
        >>> pauses_s(3), pauses_s(3, 30, 2)
        (180, 210)
    """
    return sum(pause_s * factor**n for n in range(retries))


def budget_s(retries: int, deadline_s: int) -> int:
    """Seconds within which every attempt can be made, and can take all of its time.

    An attempt may wait for its node for as long as it may then work: nodes of GPU and spot pools are scarce.

    Args:
        retries: after the first attempt.
        deadline_s: what one attempt may take, once it runs.
    """
    return 2 * (retries + 1) * deadline_s + pauses_s(retries)
