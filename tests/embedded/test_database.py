from __future__ import annotations

from pathlib import Path

import pytest

from embedded.database import Database, DatabaseError, choose, remember
from embedded.settings import Paths
from spec import environment as env

URL = "postgresql://airflow@db.internal:5433/airflow"
WITH_PASSWORD = "postgresql://airflow:hunter2@db.internal:5433/airflow?sslmode=require"


def test_sqlite_in_the_home_unless_told_otherwise(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert choose(paths, environment={}).url == f"sqlite:///{paths.database}"
    assert choose(paths, environment={env.AIRFLOW_DATABASE: WITH_PASSWORD}).url == WITH_PASSWORD
    assert choose(paths, "sqlite", {env.AIRFLOW_DATABASE: WITH_PASSWORD}).is_sqlite, "what is asked for goes first"


def test_home_remembers_its_database_without_the_password(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    remember(paths, Database(WITH_PASSWORD))
    assert choose(paths, environment={}).url == WITH_PASSWORD.replace(":hunter2", "")
    remember(paths, choose(paths, "sqlite"))
    assert choose(paths, environment={}).is_sqlite


@pytest.mark.parametrize("url", [WITH_PASSWORD, f"{URL}?password=hunter2"])
def test_password_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(DatabaseError, match="PGPASSWORD") as refused:
        choose(Paths(tmp_path), url, {})
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in Database(url).shown


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@h/d", "postgresql://h", "postgresql:///d", "postgresql://u:hunter2@h:x/d", "here", ""]
)
def test_what_is_no_postgres_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DatabaseError, match="postgresql://user@host:5432/database") as refused:
        choose(Paths(tmp_path), url, {})
    assert "hunter2" not in str(refused.value)


def test_tls_goes_by_the_variable_that_every_driver_reads() -> None:
    assert Database(WITH_PASSWORD).settings == {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": WITH_PASSWORD.removesuffix("?sslmode=require"),
        "PGSSLMODE": "require",
    }
    assert Database(URL).settings == {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": URL}
