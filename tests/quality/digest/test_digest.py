"""The digest: what it says, what it leaves out, and how it reaches people."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import socket
from collections.abc import Iterator

import pytest

from cli import main as cli
from quality.digest import _layout, _sending, digest
from quality.history import SERVING, Check, History, Outcome, Validation

NOW = datetime.datetime(2026, 11, 21, 8, tzinfo=datetime.UTC)
DAY_BEFORE = NOW - datetime.timedelta(days=1)
EVIL = "<!channel> <script>alert(1)</script> & *bold*\nsecond line"


def one(workload: str, outcome: Outcome, hours_ago: float = 1, span: int = 4, failed: int = 0) -> Validation:
    severities = ("warning", "critical", "info", "critical", "warning")
    checks = tuple(
        Check("DataQuality", f"check {i}", False, severities[i % 5], f"{i} of 400 values do not, e.g. *** {EVIL}")
        for i in range(failed)
    )
    return Validation(
        f"{workload}-{span}", workload, span, (NOW - datetime.timedelta(hours=hours_ago)).isoformat(), outcome,
        f"Verdict of {workload} {EVIL}", rows=400, owner="data-team", checks=checks,
    )  # fmt: skip


@pytest.fixture
def history(tmp_path: pathlib.Path) -> Iterator[History]:
    with History.open(f"sqlite:///{tmp_path}/quality.sqlite") as opened:
        opened.record(one("fine", Outcome.PASSED))
        opened.record(one("taxi", Outcome.PASSED, hours_ago=30, span=3))
        opened.record(one("taxi", Outcome.FAILED, failed=5))
        opened.record(one("churn", Outcome.WARNED, failed=1))
        opened.record(one("quiet", Outcome.FAILED, hours_ago=100, failed=1))
        asked = dataclasses.replace(one("fine", Outcome.WARNED), id="asked", span=None, source=SERVING)
        opened.record(asked)
        yield opened


def test_the_gravest_comes_first_with_its_three_worst_findings(history: History) -> None:
    found = digest(history, DAY_BEFORE)
    assert [(item.workload, item.label) for item in found.items] == [
        ("taxi", "span 4"),
        ("churn", "span 4"),
        ("fine", "requests until 2026-11-21"),
        ("fine", "span 4"),
    ]
    assert [finding.severity for finding in found.items[0].findings] == ["critical", "critical", "warning"]
    assert found.items[0].more == 2 and found.outcome is Outcome.FAILED
    assert [name for name, _ in found.quiet] == ["quiet"]
    assert found.title == "Stopped: taxi; look at churn, fine."


def test_as_text_every_finding_is_one_line(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_REPORTS_URL", "https://reports.example.com/quality/")
    text = _layout.text(digest(history, DAY_BEFORE))
    assert "\n    critical: 1 of 400 values do not, e.g. *** <!channel>" in text and "To act: data-team" in text
    assert "\nsecond line" not in text and "Nothing new: quiet (last 17 November 2026, 04:00 UTC)" in text
    assert "https://reports.example.com/quality/taxi/validations/taxi-4/index.html" in text


def test_in_slack_data_is_text(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_REPORTS_URL", "https://reports.example.com")
    for nth in range(80):
        history.record(one(f"w{nth}", Outcome.FAILED, failed=4))
    message = _layout.slack(digest(history, DAY_BEFORE))
    shown = json.dumps(message)
    assert "<!channel>" not in shown and "<script>" not in shown and "&lt;!channel&gt; &lt;script&gt;" in shown
    assert "<https://reports.example.com/taxi/validations/taxi-4/index.html|taxi>" in shown
    assert len(message["blocks"]) <= 50 and len(message["blocks"][0]["text"]["text"]) <= 150
    assert all(len(block["text"]["text"]) <= 3000 for block in message["blocks"] if "text" in block)
    assert "and 37 more" in shown  # 84 items, of which 47 have room


def test_an_empty_history_says_so(tmp_path: pathlib.Path) -> None:
    with History.open(f"sqlite:///{tmp_path}/quality.sqlite") as empty:
        found = digest(empty, DAY_BEFORE)
    assert found.title == "No data has been validated yet." and _layout.text(found).strip() == found.title
    assert _layout.slack(found)["blocks"]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sending, "_PAUSE_S", 0.0)


def test_a_busy_webhook_is_asked_again(history: History, webhook, at_once, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MY_HOOK", webhook.url)
    webhook.answers = [503, 429]
    _sending.to_webhook("MY_HOOK", _layout.slack(digest(history, DAY_BEFORE)))
    assert len(webhook.got) == 3 and webhook.got[2]["blocks"][1]["text"]["type"] == "mrkdwn"


def test_what_goes_wrong_is_one_line_without_the_secret(webhook, at_once, monkeypatch, tmp_path, capsys) -> None:
    url = f"sqlite:///{tmp_path}/quality.sqlite"
    command = ["reports", "digest", "--history", url, "--slack-webhook-env", "MY_HOOK"]
    free = socket.socket()
    free.bind(("127.0.0.1", 0))  # nobody listens
    for hook, code, said in (
        ("", 2, "holds no http(s) URL"),
        ("https://[bad", 2, "MY_HOOK"),
        (webhook.url, 2, "refused the digest with 404"),
        (f"http://127.0.0.1:{free.getsockname()[1]}/secret-token", 1, "cannot be reached (ConnectError), 4 times"),
    ):
        webhook.answers = [404]
        monkeypatch.setenv("MY_HOOK", hook)
        assert cli.main(command) == code, hook
        errors = capsys.readouterr().err
        assert said in errors and errors.count("\n") == 1 and "secret-token" not in errors
    free.close()


def test_an_e_mail_has_text_and_markup_that_is_not_the_datas(history: History, mail_server, monkeypatch) -> None:
    monkeypatch.setenv("TRAINYARD_SMTP", f"smtp://127.0.0.1:{mail_server.port}")
    message = _layout.email(digest(history, DAY_BEFORE), "yard@example.com", ["a@example.com", "b@example.com"])
    _sending.to_mailboxes(message)
    (got,) = mail_server.got
    assert got["Subject"] == "Data quality: Stopped: taxi; look at churn, fine."
    assert got["To"] == "a@example.com, b@example.com"
    plain, html = (got.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "check" in plain or "400 values" in plain
    assert "<script>" not in html and "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("server", "to", "code", "said"),
    [
        ("", "a@example.com", 2, "holds no SMTP URL"),
        ("smtp://host:notaport", "a@example.com", 2, "holds no SMTP URL"),
        ("smtp://127.0.0.1:{port}", "nobody@example.com", 2, "refuses the digest: SMTPRecipientsRefused"),
        ("smtp://me:secret@127.0.0.1:{port}", "a@example.com", 2, "offers no log-in"),
        ("smtp://me:secret@127.0.0.1:1", "a@example.com", 1, "cannot be reached (ConnectionRefusedError), 4 times"),
    ],
)
def test_a_mail_server_that_does_not_take_it(
    server, to, code, said, mail_server, at_once, monkeypatch, tmp_path, capsys
) -> None:
    monkeypatch.setenv("TRAINYARD_SMTP", server.format(port=mail_server.port))
    command = ["reports", "digest", "--history", f"sqlite:///{tmp_path}/quality.sqlite", "--email", to]
    assert cli.main(command) == code
    errors = capsys.readouterr().err
    assert said in errors and errors.count("\n") == 1 and "secret" not in errors
