"""`trainyard keys`: who may ask the model server."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import math
import pathlib
import re
import sys
from collections.abc import Iterator

from cli import terminal
from cli.arguments import Commands
from spec import environment as env
from spec import exit_codes, home
from spec.api_keys import NAME, ApiKey, digest, new_key, read_keys, write_keys
from spec.errors import InputError, TryAgainError


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "keys",
        help="make, list and revoke keys for those who ask the model server",
        description="API keys of the model server. `trainyard serve --api-keys FILE` then answers only who sends one. The file has "
        "their hashes; the server follows it within a second.",
        epilog="examples:\n  trainyard keys create shop --rate 50/s --burst 100\n  trainyard keys list\n  trainyard keys revoke shop\n"
        "a client sends its key as `Authorization: Bearer KEY` or `X-API-Key: KEY`, over gRPC as metadata of these names "
        "(docs/guides/serving-in-public.md).",
    )
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)

    command = actions.add_parser("create", help="make a key, and print it: this once, it is kept nowhere")
    command.add_argument("name", type=_name, help="whose it is; the access log says it")
    command.add_argument("--rate", type=_rate, metavar="R/s", help="requests a second, e.g. 50/s (default: no limit)")
    command.add_argument(
        "--burst", type=_count, metavar="N", help="requests at once after a pause (default: those of one second)"
    )
    _add_file(command)
    command.set_defaults(handler=_create)

    command = actions.add_parser("list", help="names, when they were made, limits")
    _add_file(command)
    command.set_defaults(handler=_list)

    command = actions.add_parser("revoke", help="take a key back: within a second it gets 401")
    command.add_argument("name")
    _add_file(command)
    command.set_defaults(handler=_revoke)


def _add_file(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--api-keys",
        type=pathlib.Path,
        metavar="FILE",
        help=f"the file of keys (default: {env.API_KEYS}, else api-keys.json in .trainyard/)",
    )


def _create(options: argparse.Namespace) -> int:
    path = options.api_keys or home.api_keys()
    if options.burst is not None and options.rate is None:
        raise InputError("--burst says how many requests come at once within a --rate. Received no --rate.")
    burst = options.burst or (math.ceil(options.rate) if options.rate else None)
    with _changing(path) as keys:
        if any(one.name == options.name for one in keys):
            raise InputError(
                f"{options.name}: there is a key of this name. `trainyard keys revoke {options.name}` first, or choose another.",
                file=path,
            )
        key = new_key()
        made = ApiKey(name=options.name, sha256=digest(key), created=_now(), rate=options.rate, burst=burst)
        write_keys(path, (*keys, made))
    print(f"{options.name}: in {path}. This is the key; it is not shown again:", file=sys.stderr)
    print(key)
    return exit_codes.OK


def _list(options: argparse.Namespace) -> int:
    path = options.api_keys or home.api_keys()
    keys = read_keys(path) if path.exists() else ()
    if not keys:
        print(f"no keys in {path} yet; `trainyard keys create NAME` makes one")
        return exit_codes.OK
    terminal.print_table([("NAME", "CREATED", "LIMIT"), *((one.name, one.created, _limit(one)) for one in keys)])
    return exit_codes.OK


def _revoke(options: argparse.Namespace) -> int:
    path = options.api_keys or home.api_keys()
    with _changing(path) as keys:
        left = tuple(one for one in keys if one.name != options.name)
        if len(left) == len(keys):
            known = ", ".join(one.name for one in keys) or "none"
            raise InputError(f"there is no key {options.name!r}. Known: {known}.", file=path)
        write_keys(path, left)
    print(f"{options.name}: revoked. A server with this file refuses it within a second.")
    return exit_codes.OK


@contextlib.contextmanager
def _changing(path: pathlib.Path) -> Iterator[tuple[ApiKey, ...]]:
    """The keys there are, while nobody else changes the file."""
    from storage import Busy, exclusive

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with exclusive(path.with_name(f".{path.name}.lock")):
            yield read_keys(path) if path.exists() else ()
    except Busy as error:
        raise TryAgainError(str(error)) from None


def _limit(key: ApiKey) -> str:
    return f"{key.rate:g}/s, {key.burst or math.ceil(key.rate)} at once" if key.rate else "none"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(f"1 to 63 of A-Z a-z 0-9 _ . @ - are a name. Received: {text!r}")
    return text


def _rate(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (rate := float(text.removesuffix("/s"))) <= 1e6:
            return rate
    raise argparse.ArgumentTypeError(f"expected requests a second, above 0, such as 50/s or 0.5/s. Received: {text!r}")


def _count(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 1 <= (count := int(text)) <= 1_000_000:
            return count
    raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 1000000. Received: {text!r}")
