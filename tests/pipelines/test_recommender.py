"""The recommender workload through the whole pipeline, on a stand-in for ml-100k.zip: laid out as that is, its content made up.

Figures found here say nothing about MovieLens.
"""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import zipfile
from typing import Any

import numpy as np
import pytest

from pipelines.datasets import movielens_100k
from pipelines.datasets._download import CachedFile
from pipelines.run import Display, RunRequest, RunResult, run
from spec import home

pytestmark = pytest.mark.slow

USERS, FILMS, RATINGS = 943, 1_682, 100_000
GENRES = (  # as u.genre names them
    *(
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
    ),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
LIKED = 3  # genres by each of the six ages of features.py


def archive() -> bytes:
    """People of an age watch films of the age's genres, and frequent films more often."""
    random = np.random.default_rng(0)
    ages = random.integers(10, 70, USERS)
    taste = np.searchsorted((18, 25, 35, 45, 55), ages, side="right")
    genre = random.integers(1, len(GENRES), FILMS)
    chances = np.where((genre - 1) // LIKED == taste[:, np.newaxis], 10.0, 1.0) / (10 + random.permutation(FILMS))
    # The k films of the greatest keys are drawn without replacement, each by its chance.
    keys = np.log(chances) + random.gumbel(size=chances.shape)
    each = np.full(USERS, RATINGS // USERS) + (np.arange(USERS) < RATINGS % USERS)
    watched = [(user, film) for user, count in enumerate(each) for film in np.argsort(-keys[user])[:count]]
    rated = [
        f"{user + 1}\t{film + 1}\t{random.integers(1, 6)}\t{random.integers(874_724_710, 893_286_638)}"
        for user, film in random.permutation(watched)
    ]
    films = [
        f"{n}|Café {n} ({1930 + n % 69})|01-Jan-{1930 + n % 69}||http://us.imdb.com/M/title-exact?Caf%E9%20{n}|"
        + flags(one)
        for n, one in enumerate(genre, 1)
    ]
    films[266] = "267|unknown||||" + flags(0)
    jobs, codes = ("technician", "writer", "student", "other"), ("85711", "94043", "T8H1N", "05201")
    people = [f"{n}|{age}|{'MF'[n % 2]}|{jobs[n % 4]}|{codes[n % 4]}" for n, age in enumerate(ages, 1)]
    names = [f"{name}|{n}" for n, name in enumerate(GENRES)]
    files = {"u.data": rated, "u.user": people, "u.item": films, "u.genre": [*names, ""]}
    with zipfile.ZipFile(made := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, lines in files.items():
            zipped.writestr(f"ml-100k/{name}", "\n".join([*lines, ""]).encode("latin-1"))
    return made.getvalue()


def flags(genre: int) -> str:
    return "|".join("1" if n == genre else "0" for n in range(len(GENRES)))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root, content = tmp_path_factory.mktemp("recommender"), archive()
    (root / "cache" / "movielens_100k").mkdir(parents=True)
    (root / "cache" / "movielens_100k" / "ml-100k.zip").write_bytes(content)
    file = CachedFile("ml-100k.zip", len(content), hashlib.sha256(content).hexdigest())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(movielens_100k, "_FILE", file)
        patch.setenv("TRAINYARD_HOME", str(root / "home"))
        patch.setenv("TRAINYARD_DATASETS", str(root / "cache"))
        for name in ("WORKLOADS", "SCHEMAS", "DATA", "STORE", "METADATA", "HISTORY"):
            patch.delenv(f"TRAINYARD_{name}", raising=False)
        yield run(RunRequest("recommender", None, ("training.epochs=3",), 5), Display())


@pytest.fixture(scope="module")
def metrics(result: RunResult) -> Any:
    (found,) = home.home().glob("**/Evaluator/**/metrics.json")
    return json.loads(pathlib.Path(found).read_text())


def test_it_reaches_a_release(result: RunResult) -> None:
    assert (result.error, result.status, result.blessed) == (None, "succeeded", True)


def test_new_users_are_answered_by_their_profile(result: RunResult, metrics: Any) -> None:
    """Every twentieth user is unknown to train: better than what is frequent is only what the age tells."""
    by_method = {one["name"]: one["overall"] for one in metrics["baseline"]["methods"]}
    assert set(by_method) == {"popularity", "ease"}
    assert result.metrics["cold_ndcg_10"] > by_method["popularity"]["cold_ndcg_10"] + 0.15
    assert by_method["ease"]["cold_ndcg_10"] == pytest.approx(by_method["popularity"]["cold_ndcg_10"]), (
        "it knows no profiles"
    )
