"""Whatever people type: never a traceback, one line on stderr, an exit code that says what to do."""

from __future__ import annotations

import contextlib
import copy
import io
import pathlib
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.main import main
from pipelines import parameters
from spec.workload import Workload, WorkloadError, load_workload, parse_yaml

COMMANDS = [
    ["list"],
    ["run"],
    ["predict"],
    ["compile"],
    ["submit"],
    ["runs"],
    ["runs", "show"],
    ["new"],
    ["data"],
    ["quality", "draft"],
    ["quality", "check"],
    ["reports", "build"],
    ["skew"],
    ["release"],
    ["release", "list"],
    ["release", "show"],
    ["release", "promote"],
    ["release", "rollback"],
    ["release", "history"],
    ["housekeeping"],
]
OPTIONS = [
    "--span",
    "--param",
    "--wait",
    "--until",
    "--data",
    "--out",
    "--release",
    "--keys",
    "--format",
    "--label",
    "--task",
    "--since",
    "--to",
    "--keep-days",
    "--keep-runs",
    "--workload",
    "--record",
    "--beam",
    "--json",
    "--query",
    "--reason",
    "--pool",
    "--site",
    "--limit",
    "--url",
    "-h",
    "--",
]
ODD = [
    "",
    " ",
    "-1",
    "0",
    "1",
    "1e400",
    "nan",
    "inf",
    "٣",
    "9" * 25,
    "1-20261128",
    "taxi",
    "w",
    "../..",
    "/",
    "/dev/null",
    "*",
    "[",
    "a[b]",
    "\udcff",
    "\0",
    "ü",
    "x=",
    "=x",
    "x=y",
    "data.label=3",
    "training.epochs=[",
    "epochs=1_0",
    "x" * 5000,
    "s3://",
    "://",
    "file:///nowhere",
    "postgresql://u:p@",
    "2026-02-31",
    "0001-01-01",
    "9999-12-31",
    "24h",
    "99999999d",
    "a,b",
    ",",
    "{SPAN}",
    "$HOME",
    "'",
    '"',
    "\n",
    "\t",
    "stable",
    "#",
    "&a",
    "!!python/object:os.system",
    "true",
    "null",
    "~",
]
WORDS = st.one_of(st.sampled_from(ODD), st.text(max_size=12))
# What a person must mend (2), what may be tried again (1), and --help and lists (0).
CODES = {0, 1, 2}


def arguments() -> st.SearchStrategy[list[str]]:
    option = st.tuples(st.sampled_from(OPTIONS), WORDS).map(list)
    rest = st.lists(st.one_of(WORDS.map(lambda word: [word]), option), max_size=4)
    return st.tuples(st.sampled_from(COMMANDS), rest).map(lambda both: both[0] + [w for part in both[1] for w in part])


def outcome(argv: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(argv)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, said.getvalue()


@pytest.fixture(scope="module", autouse=True)
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A home without anything in it, and no workloads: what is fuzzed is what comes before."""
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "WORKLOADS", "SCHEMAS", "DATA", "STORE"):
            patch.setenv(f"TRAINYARD_{name}", str(folder / name.lower()))
        patch.chdir(folder)
        yield folder


def check_arguments(argv: list[str]) -> None:
    code, said = outcome(argv)
    assert code in CODES, said
    assert "Traceback" not in said
    if code:
        lines = said.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("trainyard"), said
        assert "(--debug shows where)" not in said, said


def fuzzed(examples: int) -> Any:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, suppress_health_check=checks, derandomize=True, database=None)


@fuzzed(40)
@given(argv=arguments())
def test_arguments(argv: list[str]) -> None:
    check_arguments(argv)


@pytest.mark.slow
@fuzzed(2000)
@given(argv=arguments())
def test_many_arguments(argv: list[str]) -> None:
    check_arguments(argv)


TAXI = yaml.safe_load(
    (pathlib.Path(__file__).parents[2] / "pipelines" / "workloads" / "taxi" / "workload.yaml").read_text()
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.dates(),
        st.binary(max_size=3),
        st.sampled_from(
            [10**400, -1, 0, 2**63, "nan", float("nan"), float("inf"), "0 0 31 2 *", "{SPAN", "{X}", "a\0b"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers(), st.none()), inner, max_size=3),
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path, *(place for key, one in value.items() for place in places(one, (*path, key)))]
    return [path]


# Every field there is, so that each is given something odd.
PLACES = [path for path in places(Workload.model_validate({**TAXI, "name": "w"}).model_dump(mode="json")) if path]


def check_workload(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    raw = copy.deepcopy({**TAXI, "name": "w"})
    for path, value in changes:
        section = raw
        for part in path[:-1]:
            section = section.setdefault(part, {}) if isinstance(section, dict) else {}
        if isinstance(section, dict):
            section[path[-1]] = value
    folder = pathlib.Path("w")
    folder.mkdir(exist_ok=True)
    try:
        text = yaml.safe_dump(raw, allow_unicode=True)
    except (yaml.YAMLError, ValueError):
        return  # not to be written
    (folder / "workload.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(WorkloadError):
        workload = load_workload(folder)
        parameters.apply(workload, [], folder / "workload.yaml")
        Workload.model_validate_json(workload.model_dump_json())


@fuzzed(100)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_fields(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    check_workload(changes)


@pytest.mark.slow
@fuzzed(5000)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_many_fields(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    check_workload(changes)


@fuzzed(150)
@given(
    content=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
)
def test_bytes(content: bytes) -> None:
    folder = pathlib.Path("w")
    folder.mkdir(exist_ok=True)
    (folder / "workload.yaml").write_bytes(content)
    with pytest.raises(WorkloadError):
        load_workload(folder)


# Each line ten times the one before.
BOMB = "b0: &b0 [x, x]\n" + "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 10)}]\n" for n in range(1, 8))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 3000, "nested deeper than 20 levels|not valid|expected"),
        (BOMB, "more than 100,000 values, references counted"),
        ("a: &a [*a]", "nested deeper than 20 levels"),
        ("name: a\nname: b", "'name' is said twice; keep one of the two"),
        ("at: 2026-02-31", "day is out of range"),
        ("n: " + "9" * 5000, "Exceeds the limit"),
        ("? [a]\n: b", "unhashable|said"),
    ],
)
def test_yaml_that_is_none_of_ours(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_yaml(text)


def test_references_and_merges_are_yaml_too() -> None:
    assert parse_yaml("a: &x {psi: 1}\nb: {<<: *x, ks: 2}\nc: *x")["b"] == {"psi": 1, "ks": 2}


@pytest.mark.parametrize(
    "cron",
    [
        "0 0 31 2 *",
        "0 0 30,31 feb *",
        "61 * * * *",
        "* 24 * * *",
        "0 0 0 * *",
        "0 0 * 13 *",
        "*/0 * * * *",
        "5-1 * * * *",
        "* * * *",
    ],
)
def test_clocks_that_never_strike(cron: str) -> None:
    with pytest.raises(ValueError, match=r"cron"):
        Workload.model_validate({**TAXI, "schedule": {"cron": cron}})


@pytest.mark.parametrize(
    "cron",
    [
        "0 0 29 2 *",
        "0 0 31 2 mon",
        "*/15 0-6 * jan-mar mon-fri",
        "@daily",
        "0 0 L * *",
        "0 5 * * 7",
        "0 0 31 1-2 *",
        "5/10 * * * *",
    ],
)
def test_clocks_that_do(cron: str) -> None:
    assert Workload.model_validate({**TAXI, "schedule": {"cron": cron}}).schedule.cron == cron


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e400"])
def test_numbers_are_finite(number: str) -> None:
    for field in ("evaluation.champion.max_loss", "quality.drift.limits.psi", "serving.latency_budget_ms"):
        with pytest.raises(WorkloadError):
            parameters.apply(Workload.model_validate(TAXI), [f"{field}={number}"], pathlib.Path("workload.yaml"))
