"""`trainyard reports`: build the site, and look at it."""

from __future__ import annotations

import argparse
import datetime
import pathlib

from cli import arguments
from cli.arguments import Commands
from spec import exit_codes, home


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "reports",
        help="the data-quality pages: what arrived, whether it can be trusted, what changed",
        description="Static pages made from the history of data quality: an overview, a page a workload, a page a "
        "validation (its address stays), a page a column over time. Every run adds to the history.",
        epilog="examples:\n  trainyard reports build\n  trainyard reports build --out /srv/www/data-quality\n"
        "  trainyard reports serve --port 8088",
    )
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="write the pages; those that are up to date are left alone")
    _add_places(build)
    build.set_defaults(handler=_build)
    serve = actions.add_parser("serve", help="build, then show the pages on this machine")
    _add_places(serve)
    serve.add_argument(
        "--port", type=arguments.whole_number(0, 65_535), default=0, help="on 127.0.0.1; default: a free one"
    )
    serve.set_defaults(handler=_serve)
    message = actions.add_parser(
        "digest",
        help="one message: each workload's verdict and its three worst findings",
        description="Prints what was found in the data lately, gravest first; sends it to a Slack-compatible webhook or by e-mail. "
        "Links lead to TRAINYARD_REPORTS_URL. TRAINYARD_SMTP names the mail server, e.g. smtp://user:password@mail.example.com:587.",
        epilog="examples:\n  trainyard reports digest\n  trainyard reports digest --since 7d --slack-webhook-env SLACK_WEBHOOK\n"
        "  trainyard reports digest --email data-team@example.com",
    )
    message.add_argument(
        "--since", type=arguments.period, default="24h", metavar="PERIOD", help="45m, 24h (default) or 7d"
    )
    message.add_argument(
        "--slack-webhook-env",
        metavar="NAME",
        help="environment variable that holds the webhook's URL, which is a secret",
    )
    message.add_argument("--email", action="append", default=[], metavar="ADDRESS", help="may be given several times")
    _add_history(message)
    message.set_defaults(handler=_digest)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=pathlib.Path, metavar="FOLDER", help="where the site lies (.trainyard/reports)")
    _add_history(parser)


def _add_history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--history",
        metavar="URL",
        help="SQLAlchemy URL; default: TRAINYARD_HISTORY, else .trainyard/quality.sqlite. A password belongs into the variable",
    )


def _build(options: argparse.Namespace) -> int:
    from quality.history import History
    from quality.reports import build

    with History.open(options.history) as history:
        built = build(history, _folder(options))
    print(f"{built.written} pages and files written, {built.kept} up to date: {built.index.absolute().as_uri()}")
    return exit_codes.OK


def _serve(options: argparse.Namespace) -> int:
    from quality.reports import serve

    _build(options)
    return serve(_folder(options), options.port)


def _digest(options: argparse.Namespace) -> int:
    from quality import digest
    from quality.history import History

    with History.open(options.history) as history:
        found = digest.digest(history, datetime.datetime.now(datetime.UTC) - options.since)
    print(digest.text(found))
    if options.slack_webhook_env:
        digest.to_webhook(options.slack_webhook_env, digest.slack(found))
    if options.email:
        digest.to_mailboxes(digest.email(found, digest.sender(), options.email))
    return exit_codes.OK


def _folder(options: argparse.Namespace) -> pathlib.Path:
    return (options.out or home.home() / "reports").absolute()
