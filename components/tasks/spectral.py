"""What links of queries and items say before anything is learnt: embeddings to begin at."""

from __future__ import annotations

import numpy as np
import scipy.sparse

# Of the randomised search: with six, recall on LastFM is that of the exact vectors.
_POWER_ITERATIONS = 6


def links_of(interactions: np.ndarray, shape: tuple[int, int]) -> scipy.sparse.csr_array:
    """1 where a query had an item, however often.

    Args:
        interactions: `ModelSchema.interactions`, whole numbers [N, 2].
        shape: how many queries and items there are.
    """
    pairs = np.unique(interactions, axis=0).T
    return scipy.sparse.csr_array((np.ones(pairs.shape[1], np.float32), pairs), shape=shape)


def normalised(links: scipy.sparse.csr_array, smoothing: float = 0.0) -> scipy.sparse.csr_array:
    """Each link over the roots of how many its query and its item have, so that spreading does not let embeddings grow.

    Args:
        links: of `links_of`, [queries, items].
        smoothing: how many links more each of them is taken to have.
    """
    of_queries, of_items = (
        scipy.sparse.diags_array(1 / np.sqrt(np.maximum(links.sum(axis) + np.float32(smoothing), 1))) for axis in (1, 0)
    )
    return (of_queries @ links @ of_items).tocsr()


def spectral(
    links: scipy.sparse.csr_array, size: int, scale: float, smoothing: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The leading singular vectors of the normalised links, each by the root of its value and of its node's number of links.

    Their dot products are a low-pass filter on the graph (Shen et al. 2021, "How Powerful is Graph Convolution for Recommendation?").
    The vectors are found by a randomised search (Halko et al. 2011, "Finding Structure with Randomness").

    Args:
        links: of `links_of`, [queries, items].
        size: d; fewer where there are fewer queries or items.
        scale: the mean length of all embeddings.
        smoothing: how many links more each query and item is taken to have; where most have few, what is known of one that has two
            does not count as much as of one that has fifty.

    Returns:
        Embeddings of queries [queries, d] and of items [items, d], float32; zero where there are no links.
    """
    from sklearn.utils.extmath import randomized_svd

    shares = scipy.sparse.csr_matrix(normalised(links, smoothing))
    queries, values, items = randomized_svd(
        shares, size, n_iter=_POWER_ITERATIONS, power_iteration_normalizer="QR", random_state=0
    )
    lengths = np.sqrt(np.concatenate([links.sum(1), links.sum(0)]) + np.float32(smoothing))
    vectors = np.concatenate([queries, items.T]) * np.sqrt(values) * lengths[:, np.newaxis]
    vectors *= scale / np.linalg.norm(vectors, axis=1).mean()
    return vectors[: links.shape[0]], vectors[links.shape[0] :]
