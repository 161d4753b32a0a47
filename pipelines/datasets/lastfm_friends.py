"""LastFM's listens with each user's friends, some users wholly in test: train knows nothing of these but who their friends are."""

from __future__ import annotations

import pathlib

from pipelines.datasets import lastfm
from pipelines.datasets._dataset import Dataset
from spec.splits import TEST

_COLD = 20  # one in twenty users is test with all listens


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pa.concat_tables(lastfm.listens().values())
    pairs = lastfm.friendships().sort_by([("user", "ascending"), ("friend", "ascending")])
    friends: dict[int, list[str]] = {}
    for user, friend in zip(pairs["user"].to_pylist(), pairs["friend"].to_pylist(), strict=True):
        friends.setdefault(user, []).append(str(friend))
    users = rows["user"].to_pylist()
    is_cold = pa.array([user % _COLD == 0 for user in users])
    split = pc.if_else(is_cold, TEST, rows["split"].combine_chunks())
    table = rows.select(["user", "artist", "plays"])
    table = table.append_column("friends", pa.array([" ".join(friends.get(user, ())) for user in users]))
    table = table.append_column("cold_user", pc.cast(is_cold, pa.int64())).append_column("split", split)
    pq.write_table(table, folder / "lastfm_friends.parquet", compression="zstd")


DATASET = Dataset(
    name="lastfm_friends",
    description="LastFM's 52,668 pairs of a user and an artist, with the numbers of the user's friends. Test is LightGCN's, and all "
    "of every twentieth user's (`cold_user` 1), whom train does not know.",
    source=lastfm.DATASET.source,
    licence=lastfm.DATASET.licence,
    spans=range(1, 2),
    write=_write,
)
