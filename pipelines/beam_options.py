"""`--beam key=value` and the section `beam` of workload.yaml: where a pipeline's Beam work runs.

Without either, everything runs in the pipeline's own process. docs/guides/scaling.md says when to change that.
"""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from spec.words import one_line
from spec.workload import BeamValue, Workload, WorkloadError

_GUIDE = "docs/guides/scaling.md says more."
_RUNNERS = ("DirectRunner", "FlinkRunner", "SparkRunner", "PortableRunner", "DataflowRunner", "PrismRunner")
# Their job servers have options of their own, e.g. Flink's parallelism, which Beam's Python side passes on unread.
_PORTABLE = ("FlinkRunner", "SparkRunner", "PortableRunner", "PrismRunner")
_NEEDED = {
    "PortableRunner": {"job_endpoint": "the job server, host:port"},
    "DataflowRunner": {
        "project": "the Google Cloud project",
        "region": "e.g. europe-west1",
        "temp_location": "a gs:// folder",
    },
}


def beam_arguments(workload: Workload, given: Sequence[str]) -> tuple[str, ...]:
    """Beam's arguments for one run: those given override those of workload.yaml, key by key.

    Loads Beam, to check the options, only if there are any.

    Args:
        workload: its `beam` holds the permanent ones.
        given: `key=value`, or `key` alone for a switch.

    Raises:
        WorkloadError: an option or runner is unknown, or lacks something that it needs; says what would work.
    """
    options: dict[str, list[str | None]] = {key: _texts(value) for key, value in workload.beam.items()}
    options |= _parsed(given)
    if not any(options.values()):
        return ()
    runner = _check_runner(options)
    arguments = [f"--{key}" if text is None else f"--{key}={text}" for key, texts in options.items() for text in texts]
    _ask_beam(arguments, runner)
    return tuple(arguments)


def _parsed(given: Sequence[str]) -> dict[str, list[str | None]]:
    options: dict[str, list[str | None]] = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not re.fullmatch(r"[A-Za-z]\w*", key) or (separator and not value):
            raise WorkloadError(
                f"--beam {text!r}: expected key=value, or a key alone for a switch, without dashes, e.g. runner=FlinkRunner"
            )
        options.setdefault(key, []).append(value if separator else None)
    return options


def _texts(value: BeamValue) -> list[str | None]:
    if isinstance(value, bool):
        return [None] if value else []
    return list(value) if isinstance(value, tuple) else [str(value)]


def _check_runner(options: Mapping[str, list[str | None]]) -> str:
    """The runner's name; checks what can be checked before Beam is loaded."""
    name = _one(options, "runner") or "DirectRunner"
    if name not in _RUNNERS:
        near = difflib.get_close_matches(name, _RUNNERS, 1, 0.5)
        raise WorkloadError(
            f"beam runner: unknown runner {name!r}; {f'did you mean {near[0]}? ' if near else ''}Known: {', '.join(_RUNNERS)}"
        )
    for key, meaning in _NEEDED.get(name, {}).items():
        if not options.get(key):
            raise WorkloadError(f"beam runner={name}: needs {key} too ({meaning}), e.g. --beam {key}=... {_GUIDE}")
    if name in ("FlinkRunner", "SparkRunner") and not options.get("job_endpoint") and shutil.which("java") is None:
        raise WorkloadError(
            f"beam runner={name}: Beam starts its job server with java, which is not on PATH. Install Java 11 or newer, or name "
            f"a running one: --beam job_endpoint=host:8099. {_GUIDE}"
        )
    if name in (*_PORTABLE, "DataflowRunner") and not (
        options.get("sdk_container_image") or options.get("environment_type")
    ):
        raise WorkloadError(
            f"beam runner={name}: its workers need Trainyard's packages, which Beam's own image lacks. Name an image that has "
            f"them, --beam sdk_container_image=..., or how workers start, --beam environment_type=EXTERNAL. {_GUIDE}"
        )
    if name == "DirectRunner":
        _check_direct(options)
    place = _one(options, "temp_location")
    if name == "DataflowRunner" and not (place or "").startswith("gs://"):
        raise WorkloadError(
            f"beam temp_location: Dataflow needs a folder of Cloud Storage, gs://BUCKET/FOLDER. Received: {place!r}"
        )
    return name


def _check_direct(options: Mapping[str, list[str | None]]) -> None:
    mode = _one(options, "direct_running_mode") or "in_memory"
    workers = _one(options, "direct_num_workers") or "1"
    if mode == "multi_threading":
        raise WorkloadError(
            "beam direct_running_mode=multi_threading: TensorFlow Transform has lost rows with it. Leave it out, or use "
            f"multi_processing. {_GUIDE}"
        )
    if mode == "in_memory" and workers != "1":
        raise WorkloadError(
            f"beam direct_num_workers={workers}: in_memory works in one process. Add --beam direct_running_mode=multi_processing."
        )


def _one(options: Mapping[str, list[str | None]], key: str) -> str | None:
    texts = options.get(key) or [None]
    return texts[-1]


def _ask_beam(arguments: Sequence[str], runner: str) -> None:
    """Has Beam's own parsers, its runner and its validator check the arguments. Takes a second or two to load."""
    from apache_beam.options import pipeline_options
    from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
    from apache_beam.runners.runner import create_runner

    class Parser(pipeline_options._BeamArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise WorkloadError(f"beam {message.removeprefix('argument ').replace('--', '', 1)}. {_GUIDE}")

    try:
        made = create_runner(runner)
    except ImportError as error:
        raise WorkloadError(f"beam runner={runner}: {one_line(error)}") from None
    parser = Parser(allow_abbrev=False, add_help=False)
    for options in pipeline_options.PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(arguments))
    if unknown and runner not in _PORTABLE:
        raise WorkloadError(_unknown_option(unknown[0], parser))
    if runner == "DataflowRunner":
        return  # the validator asks Google's servers, and retries for minutes where it cannot reach them
    problems: list[Any] = PipelineOptionsValidator(pipeline_options.PipelineOptions(list(arguments)), made).validate()
    if problems:
        raise WorkloadError(f"beam runner={runner}: {one_line(problems[0])}")


def _unknown_option(argument: str, parser: argparse.ArgumentParser) -> str:
    key = argument.removeprefix("--").partition("=")[0]
    known = [name.removeprefix("--") for action in parser._actions for name in action.option_strings]
    near = difflib.get_close_matches(key, known, 1)
    if key in known:  # a switch that was given a value, or the other way round
        return f"beam {key}: does not take what was given. Received: {argument.removeprefix('--')!r}"
    return f"beam {key}: Beam has no such option. " + (f"Did you mean {near[0]}?" if near else _GUIDE)
