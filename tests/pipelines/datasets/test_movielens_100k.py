"""MovieLens 100k as it is laid out in its archive, with people and films made up: the real one may not be passed on."""

from __future__ import annotations

import io
import zipfile

from pipelines.datasets.movielens_100k import table_of

_FILM = "|01-Jan-1995||http://us.imdb.com/|"


def _archive() -> bytes:
    """Users 7 and 20 rate twelve films each; the later a film's number, the later the rating."""
    films = [f"{n}|Film {n} (1995){_FILM}0|1|1" for n in range(1, 12)] + ["12|unknown||||1|0|0"]
    ratings = [f"{user}\t{film}\t{film % 5 + 1}\t{880_000_000 + film}" for film in range(12, 0, -1) for user in (20, 7)]
    files = {
        "u.data": ratings,
        "u.user": ["7|24|M|technician|85711", "20|53|F|other|T8H1N"],
        "u.genre": ["unknown|0", "Action|1", "Children's|2", ""],
        "u.item": films,
    }
    with zipfile.ZipFile(made := io.BytesIO(), "w") as archive:
        for name, lines in files.items():
            archive.writestr(f"ml-100k/{name}", "\n".join([*lines, ""]).encode("latin-1"))
    return made.getvalue()


def test_a_rating_has_its_users_profile_and_its_film() -> None:
    rows = table_of(_archive()).to_pylist()
    assert len(rows) == 24
    assert rows[0] == {
        "user": 7,
        "item": 1,
        "rating": 2,
        "timestamp": 880_000_001,
        "age": 24,
        "gender": "M",
        "occupation": "technician",
        "zip_region": "8",
        "title": "Film 1",
        "year": 1995,
        "genres": "Action|Children's",
        "cold_user": 0,
        "split": "train",
    }
    assert rows[11]["title"] == "unknown" and rows[11]["year"] is None
    assert rows[12]["zip_region"] == "other"


def test_the_newest_fifth_is_test_and_so_is_all_of_every_twentieth_user() -> None:
    rows = table_of(_archive()).to_pylist()
    assert [row["item"] for row in rows if row["user"] == 7 and row["split"] == "test"] == [11, 12]
    assert {(row["cold_user"], row["split"]) for row in rows if row["user"] == 20} == {(1, "test")}
