"""Methods that learn nothing step by step. A new listener is whatever the friends are."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse

from components.tasks import collaborative


def popularity(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """What most listeners of train have, for everybody."""
    known = _known(train, test)
    return known.lists(np.broadcast_to(known.links.sum(0), known.links.shape), test, task)


def friends_favourites(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """What most of the friends have."""
    known = _known(train, test)
    return known.lists(known.of_friends, test, task)


def ease(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Each artist regressed on all others (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

    A new listener is taken to have what the friends have.
    """
    known = _known(train, test)
    weights = collaborative.ease_weights(scipy.sparse.csr_array(known.links), ridge=50.0)
    is_new = ~known.links.any(axis=1, keepdims=True)
    return known.lists(np.where(is_new, known.of_friends, known.links) @ weights, test, task)


@dataclasses.dataclass(frozen=True)
class _Known:
    """Who has what in train, and how many of the friends do.

    Attributes:
        users: their numbers, rising, [U].
        artists: their numbers, the most frequent first, so that of equal scores that one wins, [A].
        links: 1 where somebody has an artist, [U, A].
        of_friends: how many of somebody's friends have it, [U, A].
    """

    users: np.ndarray
    artists: np.ndarray
    links: np.ndarray
    of_friends: np.ndarray

    def lists(self, scores: np.ndarray, test: pa.Table, task: Any) -> np.ndarray:
        """The artists of the highest scores among those that a row's user has not had, [N, top_k]."""
        left = np.where(self.links > 0, -np.inf, scores)
        best = np.argsort(-left, axis=1, kind="stable")[:, : task.options.top_k]
        return self.artists[best][np.searchsorted(self.users, test["user"].to_numpy())]


def _known(train: pa.Table, test: pa.Table) -> _Known:
    rows = pa.concat_tables([train.select(["user", "friends"]), test.select(["user", "friends"])])
    users, firsts, user = np.unique(rows["user"].to_numpy(), return_index=True, return_inverse=True)
    artists, artist = collaborative.by_frequency(train["artist"].to_numpy())
    links = np.zeros((len(users), len(artists)), np.float32)
    links[user[: len(artist)], artist] = 1
    are_friends = np.zeros((len(users), len(users)), np.float32)
    for row, friends in enumerate(rows["friends"].take(pa.array(firsts)).to_pylist()):
        are_friends[row] = np.isin(users, np.array(friends.split(), np.int64))
    return _Known(users, artists, links, are_friends @ links)
