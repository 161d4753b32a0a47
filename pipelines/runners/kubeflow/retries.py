"""How often and for how long a failed pod is retried, as Argo interprets what KFP passes on.

KFP's backend copies a task's retry policy into Argo's `retryStrategy` (backend/src/v2/compiler/argocompiler/container.go), and
Argo (workflow/controller/operator.go, processNodeRetries) interprets it like this:

- `backoff.maxDuration` is the time budget of all attempts, from the first one's start: an attempt that ends later is not followed by
  another, and one that is still running then is stopped. It is not the longest pause; if left out, KFP's backend writes "0".
- a pause is `duration x factor^(n-1)`, and `factor` must be a whole number. Argo's own limit of a pause (`cap`) has no
  place in KFP's file, so doubling pauses would reach months: all pauses have the same length.
- time spent waiting for a node counts as well.
"""

from __future__ import annotations

PAUSE_S = 60
FACTOR = 1


def pauses_s(retries: int, pause_s: int = PAUSE_S, factor: int = FACTOR) -> int:
    """Total length of all pauses, in seconds.

    Example:
        >>> pauses_s(3), pauses_s(3, 30, 2)
        (180, 210)
    """
    return sum(pause_s * factor**n for n in range(retries))


def budget_s(retries: int, deadline_s: int) -> int:
    """Time budget in seconds within which every attempt can take its full time.

    Each attempt may wait for a node as long as it may run: nodes of GPU and spot pools are scarce.

    Args:
        retries: after the first attempt.
        deadline_s: what one attempt may take, once it runs.
    """
    return 2 * (retries + 1) * deadline_s + pauses_s(retries)
