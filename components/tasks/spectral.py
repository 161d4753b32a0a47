"""What links of queries and items say before anything is learnt: embeddings to begin at."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import scipy.sparse.linalg


def links_of(interactions: np.ndarray, shape: tuple[int, int]) -> scipy.sparse.csr_array:
    """1 where a query had an item, however often.

    Args:
        interactions: `ModelSchema.interactions`, whole numbers [N, 2].
        shape: how many queries and items there are.
    """
    pairs = np.unique(interactions, axis=0).T
    return scipy.sparse.csr_array((np.ones(pairs.shape[1], np.float32), pairs), shape=shape)


def normalised(links: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Each link over the roots of how many its query and its item have, so that spreading does not let embeddings grow."""
    of_queries, of_items = (scipy.sparse.diags_array(1 / np.sqrt(np.maximum(links.sum(axis), 1))) for axis in (1, 0))
    return (of_queries @ links @ of_items).tocsr()


def spectral(links: scipy.sparse.csr_array, size: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The leading singular vectors of the normalised links, each by the root of its value and of its node's number of links.

    Their dot products are a low-pass filter on the graph (Shen et al. 2021, "How Powerful is Graph Convolution for Recommendation?").

    Args:
        links: of `links_of`, [queries, items].
        size: d, below the number of queries and that of items.
        scale: the mean length of all embeddings.

    Returns:
        Embeddings of queries [queries, d] and of items [items, d]; zero where there are no links.
    """
    queries, values, items = scipy.sparse.linalg.svds(normalised(links).astype(np.float64), size, rng=0)
    lengths = np.sqrt(np.concatenate([links.sum(1), links.sum(0)]))
    vectors = np.concatenate([queries, items.T]) * np.sqrt(values) * lengths[:, np.newaxis]
    vectors *= scale / np.linalg.norm(vectors, axis=1).mean()
    return vectors[: links.shape[0]], vectors[links.shape[0] :]
