"""`trainyard quality`: the suite on files and databases, from the command line."""

from __future__ import annotations

import json
import pathlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
import pytest

from cli import main as cli
from quality.contracts import _sources
from spec import environment as env
from spec.errors import InputError
from tests.servers import PASSWORD, Postgres, postgres_server

WORKLOAD = """
name: shop
task: binary
data:
  uri: "{DATA}/{WORKLOAD}/span-{SPAN}/*"
  label: {column: returned}
  split: {key: order}
  ignore: [comment]
"""
SCHEMA = """
feature { name: "order" type: BYTES presence { min_fraction: 1.0 } shape {} }
feature { name: "net" type: FLOAT presence { min_fraction: 0.5 } value_count { min: 1 max: 1 } }
feature { name: "buyer" type: BYTES presence {} annotation { tag: "personal" } }
feature { name: "returned" type: INT presence { min_fraction: 1.0 } shape {} int_domain { min: 0 max: 1 } }
"""
ROWS = [(f"o{i}", i * 37 % 200 + 0.5, f"Anna Personal {i}", i % 2, "so so") for i in range(200)]
NAMES = ("order", "net", "buyer", "returned", "comment")


@pytest.fixture
def shop(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    for name in ("HOME", "WORKLOADS", "SCHEMAS", "DATA"):
        monkeypatch.setenv(f"TRAINYARD_{name}", str(tmp_path / name.lower()))
    monkeypatch.delenv("TRAINYARD_HISTORY", raising=False)
    monkeypatch.delenv(env.SOURCE_PASSWORD, raising=False)
    monkeypatch.setattr(_sources, "_WAIT_S", 0.01)
    for name, text in (("workloads/shop/workload.yaml", WORKLOAD), ("schemas/shop/schema.pbtxt", SCHEMA)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    write(tmp_path / "data" / "shop" / "span-1" / "orders.csv", ROWS)
    yield tmp_path


def write(path: pathlib.Path, rows: list[tuple[Any, ...]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join("" if value is None else str(value) for value in row) for row in (NAMES, *rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def table() -> pa.Table:
    return pa.table({name: [row[n] for row in ROWS] for n, name in enumerate(NAMES)})


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["quality", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_draft_diff_and_check(shop: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = shop / "schemas" / "shop" / "expectations.json"
    assert run(capsys, "diff", "shop")[0] == 2 and not suite.exists()
    code, out, _ = run(capsys, "draft", "shop")
    assert code == 0 and "+ unique(order)" in out and "Read them, then commit." in out
    assert [one.name for one in suite.parent.iterdir() if one.name.startswith(".")] == []
    before = suite.read_bytes()
    code, out, _ = run(capsys, "diff", "shop")
    assert code == 0 and "up to date" in out
    assert run(capsys, "draft", "shop")[0] == 0 and suite.read_bytes() == before
    code, out, _ = run(capsys, "check", "shop")
    assert code == 0 and "It can be trusted" in out and "200 rows" in out
    cents = write(shop / "cents.csv", [(o, n * 100, b, r, c) for o, n, b, r, c in ROWS])
    code, out, _ = run(capsys, "diff", "shop", "--data", cents, "--json")
    assert code == 2
    changes = {one["what"]: one for one in json.loads(out)["changes"]}
    assert changes["range(net)"]["was"]["kwargs"]["max_value"] == 250 and changes["range(net)"]["kind"] == "changed"
    code, out, _ = run(capsys, "check", "shop", "--data", cents)
    assert code == 2 and "critical: net median must be" in out and "another unit" in out


def test_what_fails_is_told_with_its_keys_and_kept(shop: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "draft", "shop")
    twice = write(shop / "twice.csv", [*ROWS, ROWS[3]])
    code, out, _ = run(capsys, "check", "shop", "--data", twice, "--out", str(shop / "kept"))
    assert code == 2 and "Do not use it: 1 of" in out
    assert "'o3' (data row 3, order 'o3'), 'o3' (data row 200, order 'o3')" not in out  # each value once
    assert "critical: order values must be unique" in out and "order 'o3'" in out
    assert (shop / "kept" / "gate.json").is_file() and (shop / "kept" / "data_docs" / "index.html").is_file()
    code, out, _ = run(capsys, "check", "shop", "--data", twice, "--json")
    assert code == 2 and json.loads(out)["passes"] is False and json.loads(out)["rows"] == 201
    _, _, err = run(capsys, "check", "shop", "--data", twice, "--out", str(shop / "kept"))
    assert "is not empty" in err


def test_what_a_run_s_schema_gate_would_refuse_is_refused(
    shop: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "draft", "shop")
    odd = write(shop / "odd.csv", [*ROWS, *((f"p{i}", 1.5, f"Anna Personal {i}", 2, "") for i in range(40))])
    code, out, _ = run(capsys, "check", "shop", "--data", odd)
    assert code == 2 and "critical: returned (train): Unexpectedly large value" in out and "data row 200 has 2" in out
    assert "drift was not judged" in out and "Anna" not in out
    code, out, _ = run(capsys, "check", "shop", "--data", write(shop / "two.csv", ROWS[:2]))
    assert code == 2 and "no row falls into the" in out


def test_a_waiver_forgives(shop: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "draft", "shop")
    twice = write(shop / "twice.csv", [*ROWS, ROWS[3]])
    waiver = (
        "{expectation: expect_column_values_to_be_unique, column: order, spans: 7, reason: r, owner: o, expires: %s}"
    )
    (shop / "schemas" / "shop" / "waivers.yaml").write_text(f"waivers: [{waiver % '2999-01-01'}]")
    assert run(capsys, "check", "shop", "--data", twice)[0] == 2  # no span, no waiver
    code, out, _ = run(capsys, "check", "shop", "--data", twice, "--span", "7")
    assert code == 0 and "1 failed under a waiver" in out and "waived: order values" in out
    (shop / "schemas" / "shop" / "waivers.yaml").write_text(f"waivers: [{waiver % '2020-01-01'}]")
    code, out, _ = run(capsys, "check", "shop", "--data", twice, "--span", "7")
    assert code == 2 and "expired on 2020-01-01" in out


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv.gz", "file://", "memory://", "glob", "folder"])
def test_sources_of_files(shop: pathlib.Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    run(capsys, "draft", "shop")
    csv = shop / "data" / "shop" / "span-1" / "orders.csv"
    if kind == "parquet":
        pq.write_table(table(), shop / "orders.parquet")
        uri = str(shop / "orders.parquet")
    elif kind == "jsonl":
        (shop / "orders.jsonl").write_text("\n".join(json.dumps(row) for row in table().to_pylist()))
        uri = str(shop / "orders.jsonl")
    elif kind == "csv.gz":
        import gzip

        (shop / "orders.csv.gz").write_bytes(gzip.compress(csv.read_bytes()))
        uri = str(shop / "orders.csv.gz")
    elif kind == "memory://":
        import fsspec

        uri = "memory://landing/orders.csv"
        with fsspec.open(uri, "wb") as file:
            file.write(csv.read_bytes())
    else:
        uri = {"file://": f"file://{csv}", "glob": str(csv.parent / "*.csv"), "folder": str(csv.parent)}[kind]
    code, out, err = run(capsys, "check", "shop", "--data", uri)
    assert code == 0 and "200 rows" in out, (out, err)


def test_rows_that_do_not_fit_are_a_finding_and_stay_private(
    shop: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "draft", "shop")
    odd = write(shop / "odd.csv", [*ROWS, ("o900", "much", "Anna Personal", 1, ""), ("o901", 1.5, "x", "", "")])
    code, out, _ = run(capsys, "check", "shop", "--data", odd)
    assert code == 2 and "2 of 202 rows do not fit schema.pbtxt" in out and "'much'" in out
    assert "Anna" not in out
    _, _, err = run(capsys, "draft", "shop", "--data", odd)
    assert "2 rows do not fit schema.pbtxt" in err


def test_sqlite(shop: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "draft", "shop")
    with sqlite3.connect(shop / "lake.db") as base:
        base.execute('create table orders ("order" text, net numeric, buyer text, returned int, comment text)')
        base.executemany("insert into orders values (?, ?, ?, ?, ?)", ROWS)
    url = f"sqlite:///{shop / 'lake.db'}"
    code, out, err = run(capsys, "check", "shop", "--data", url, "--query", "select * from orders")
    assert code == 0 and "200 rows" in out, (out, err)
    code, out, _ = run(capsys, "check", "shop", "--data", url, "--query", "select * from orders where net < 0")
    assert code == 2 and "Do not use it" in out and "on 0 rows" in out
    for query, why in (
        ("select * from order_s", "no such table"),
        ("delete from orders", "readonly database"),
        ("select 1 as x where 1 = 2; drop table orders", "one statement"),
        ("pragma query_only", "'order' is missing"),
        ('select "order", net from orders', "'returned' is missing"),
        ("select *, 1 as extra from orders", "'extra' is not in the schema"),
        ("select 'x' as returned, \"order\", net from orders", "must be int64"),
    ):
        code, _, err = run(capsys, "check", "shop", "--data", url, "--query", query)
        assert code == 2 and why in err and err.count("\n") == 1, err
    with sqlite3.connect(shop / "lake.db") as base:
        assert base.execute("select count(*) from orders").fetchone() == (200,)
    code, _, err = run(capsys, "check", "shop", "--data", f"{url}.gone", "--query", "select 1")
    assert code == 2 and "no such file" in err and not (shop / "lake.db.gone").exists()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


def test_postgresql(
    shop: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, postgres: Postgres
) -> None:
    import sqlalchemy as sa

    run(capsys, "draft", "shop")
    url = postgres.url()
    secret = sa.make_url(url).set(drivername="postgresql+psycopg", password=PASSWORD)
    engine = sa.create_engine(secret)
    with engine.begin() as base:
        base.execute(sa.text('create table orders ("order" text, net numeric(10, 2), buyer text, returned boolean)'))
        rows = [{"o": o, "n": n, "b": b, "r": bool(r)} for o, n, b, r, _ in ROWS]
        base.execute(sa.text("insert into orders values (:o, :n, :b, :r)"), rows)
    engine.dispose()
    query = ("--query", "select * from orders order by net")
    code, _, err = run(capsys, "check", "shop", "--data", url, *query)
    assert code == 2 and env.SOURCE_PASSWORD in err and PASSWORD not in err
    monkeypatch.setenv(env.SOURCE_PASSWORD, PASSWORD)
    code, out, err = run(capsys, "check", "shop", "--data", url, *query, "--json")
    assert code == 0 and json.loads(out)["rows"] == 200, err
    assert PASSWORD not in out + err
    for query_text in ("delete from orders", "create table x (a int)", "set transaction read write"):
        code, _, err = run(capsys, "check", "shop", "--data", url, "--query", query_text)
        assert code == 2 and err.count("\n") == 1, err
    code, out, _ = run(capsys, "check", "shop", "--data", url, *query, "--json")
    assert json.loads(out)["rows"] == 200
    code, _, err = run(capsys, "check", "shop", "--data", secret.render_as_string(False), *query)
    assert code == 2 and "holds a password" in err and PASSWORD not in err


def test_a_source_that_is_away_may_be_tried_again(shop: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "draft", "shop")
    away = "postgresql://reader@127.0.0.1:1/lake"
    code, _, err = run(capsys, "check", "shop", "--data", away, "--query", "select 1")
    assert code == 1 and "did not answer 3 times" in err and err.count("\n") == 1 and "--debug" not in err
    code, _, err = run(capsys, "check", "shop", "--data", "http://127.0.0.1:1/orders.csv")
    assert code == 1 and "did not answer 3 times" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("check", "shop", "--query", "select 1"), "needs --data"),
        (("check", "shop", "--data", "orders", "--query", "select 1"), "must be an SQLAlchemy URL"),
        (("check", "shop", "--data", "nosuchdb://host/x", "--query", "select 1"), "driver"),
        (("check", "shop", "--data", "/gone.csv"), "no file found"),
        (("check", "shop", "--span", "9"), "span 9 is not there"),
        (("check", "nobody"), "no workload"),
    ],
)
def test_a_bad_request_is_refused(
    shop: pathlib.Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    (shop / "schemas" / "shop" / "expectations.json").write_text('{"name": "shop", "expectations": []}')
    code, _, err = run(capsys, *arguments)
    assert code == 2 and why in err and err.count("\n") == 1


def test_help_does_not_load_arrow() -> None:
    code = (
        "import sys\nfrom cli import main\n"
        "try:\n    main.main(['quality', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(any(name in sys.modules for name in ('pyarrow', 'sqlalchemy', 'great_expectations', 'tfx')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.DEVNULL)


def test_what_a_store_refuses_is_the_users_to_mend() -> None:
    from botocore.exceptions import NoCredentialsError

    def without_credentials() -> None:
        raise NoCredentialsError

    def without_bucket() -> None:
        raise FileNotFoundError("The specified bucket does not exist")

    for attempt, why in ((without_credentials, "AWS_ACCESS_KEY_ID"), (without_bucket, "no such file or bucket")):
        with pytest.raises(InputError, match=why):
            _sources._insistently("s3://lake/orders.csv", attempt)
