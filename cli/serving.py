"""`trainyard serve`: hands over to the model server in its own environment."""

from __future__ import annotations

import argparse
import os

from cli.arguments import Commands
from spec import environment as env
from spec import home


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "serve",
        help="serve the released models (TensorFlow Serving's REST and gRPC APIs)",
        add_help=False,
    )
    command.set_defaults(handler=_serve)


def _serve(options: argparse.Namespace) -> int:
    python = home.environment_python("serving")
    arguments = list(options.rest)
    models = []
    while arguments and not arguments[0].startswith("-"):  # `serve taxi digits` names models
        models += ["--model", arguments.pop(0)]
    if "--store" not in arguments and "-h" not in arguments and "--help" not in arguments:
        arguments += ["--store", home.store_uri()]
    # So that its --help and errors name the command that was typed.
    os.environ[env.PROGRAM] = "trainyard serve"
    os.execv(python, [str(python), "-P", "-m", "serving", *models, *arguments])
