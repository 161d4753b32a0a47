"""`trainyard reports`: build the site, and look at it."""

from __future__ import annotations

import argparse
import pathlib

from components.errors import EXIT_OK
from pipelines import home


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `reports build` and `reports serve`."""
    command = commands.add_parser(
        "reports",
        help="the data-quality pages: what arrived, whether it can be trusted, what changed",
        description="Static pages made from the history of data quality: an overview, a page a workload, a page a "
        "validation (its address stays), a page a column over time. Every run adds to the history.",
        epilog="examples:\n  trainyard reports build\n  trainyard reports build --out /srv/www/data-quality\n"
        "  trainyard reports serve --port 8088",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="write the pages; those that are up to date are left alone")
    _add_places(build)
    build.set_defaults(handler=_build)
    serve = actions.add_parser("serve", help="build, then show the pages on this machine")
    _add_places(serve)
    serve.add_argument("--port", type=int, default=0, help="on 127.0.0.1; default: a free one")
    serve.set_defaults(handler=_serve)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=pathlib.Path, metavar="FOLDER", help="where the site lies (.trainyard/reports)")
    parser.add_argument(
        "--history",
        metavar="URL",
        help="SQLAlchemy URL; default: TRAINYARD_HISTORY, else .trainyard/quality.sqlite. A password belongs into the variable",
    )


def _build(options: argparse.Namespace) -> int:
    from pipelines.history import History
    from pipelines.reports import build

    with History.open(options.history) as history:
        built = build(history, _folder(options))
    print(f"{built.written} pages and files written, {built.kept} up to date: {built.index.absolute().as_uri()}")
    return EXIT_OK


def _serve(options: argparse.Namespace) -> int:
    from pipelines.reports._server import serve

    _build(options)
    return serve(_folder(options), options.port)


def _folder(options: argparse.Namespace) -> pathlib.Path:
    return (options.out or home.home() / "reports").absolute()
