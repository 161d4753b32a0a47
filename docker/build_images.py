"""Builds Trainyard's container images from this checkout; `docker/build` runs it.

Standard library only. The build sees the tracked files in their present state, with the commit's time: no stray file gets into an
image, and the same commit makes the same layers. See docs/guides/containers.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from typing import Sequence  # noqa: UP035 Python 3.8

import engine
import source
from source import BuildError


@dataclasses.dataclass(frozen=True)
class Image:
    """One image that can be built.

    Attributes:
        name: its repository name, unless --tag sets another.
        dockerfile: in docker/.
        target: stage of the Dockerfile.
        groups: its dependency groups in pyproject.toml.
        summary: one line for --help.
    """

    name: str
    dockerfile: str
    target: str
    groups: str
    summary: str


IMAGES = {
    "pipeline": Image("trainyard", "pipeline", "cpu", "pipelines", "TFX, the components, the CLI, Kubeflow's node"),
    "pipeline-gpu": Image("trainyard-gpu", "pipeline", "gpu", "pipelines gpu", "the same with CUDA's libraries"),
    "serving": Image("trainyard-serving", "serving", "image", "serving", "the model server"),
    "airflow": Image("trainyard-airflow", "airflow", "image", "airflow airflow-cluster", "Airflow with the DAGs"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    chosen = list(IMAGES) if options.image == "all" else [options.image]
    try:
        _check(options, chosen)
        builder = engine.find_builder()
        revision, epoch = source.revision(), source.commit_time()
        source.warn_of_untracked()
        with tempfile.TemporaryDirectory(prefix="trainyard-build-") as folder:
            context, secrets = pathlib.Path(folder, "context"), pathlib.Path(folder, "secrets")
            source.write_context(context, epoch)
            for key in chosen:
                _build(IMAGES[key], options, builder, revision, epoch, context, _secrets(options, secrets))
    except BuildError as error:
        print(f"docker/build: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {key:13} {image.name:18} {image.summary}" for key, image in IMAGES.items())
    parser = argparse.ArgumentParser(
        prog="docker/build",
        description="Builds Trainyard's container images from this checkout's tracked files.",
        epilog=f"images:\n{listed}\n  all           each of them",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("image", choices=[*IMAGES, "all"], metavar="IMAGE", help="one of the images below, or all")
    parser.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="NAME[:TAG]",
        help="instead of NAME:latest and NAME:REVISION; repeatable; not with all",
    )
    parser.add_argument(
        "--base",
        default="debian:trixie-slim",
        metavar="IMAGE",
        help="the base image, also by digest (default: %(default)s)",
    )
    parser.add_argument(
        "--ca",
        default=os.environ.get("SSL_CERT_FILE"),
        metavar="FILE",
        help="certificates for the downloads, as a build secret (default: $SSL_CERT_FILE)",
    )
    parser.add_argument(
        "--index",
        default=os.environ.get("UV_DEFAULT_INDEX"),
        metavar="URL",
        help="package index, as a build secret (default: $UV_DEFAULT_INDEX, else PyPI)",
    )
    parser.add_argument(
        "--network",
        metavar="MODE",
        help="network of the build's containers (default: the daemon's; host if it has no bridge)",
    )
    parser.add_argument(
        "--sbom",
        type=pathlib.Path,
        metavar="FOLDER",
        help="copy each image's bill of materials to FOLDER/NAME.cdx.json",
    )
    parser.add_argument("--no-cache", action="store_true", help="rebuild every step")
    return parser


def _check(options: argparse.Namespace, chosen: Sequence[str]) -> None:
    if options.tag and len(chosen) > 1:
        raise BuildError(
            f"--tag {options.tag[0]}: `all` makes {len(chosen)} images. Build them one by one, or leave --tag out."
        )
    if options.ca and not pathlib.Path(options.ca).is_file():
        raise BuildError(f"--ca {options.ca}: no such file")
    if options.index and not re.match(r"https?://[^/]", options.index):
        raise BuildError(f"--index: received {options.index!r}; expected a URL such as https://mirror.example/simple")


def _secrets(options: argparse.Namespace, folder: pathlib.Path) -> list[str]:
    """Options for files that are only mounted during the build, so that no layer and no history keeps them."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = ["--secret", f"id=ca,src={options.ca}"] if options.ca else []
    if options.index:
        (folder / "index").write_text(options.index, encoding="utf-8")
        found += ["--secret", f"id=index,src={folder / 'index'}"]
    return found


def _build(
    image: Image,
    options: argparse.Namespace,
    builder: engine.Builder,
    revision: str,
    epoch: int,
    context: pathlib.Path,
    secrets: Sequence[str],
) -> None:
    tags = options.tag or [f"{image.name}:latest", f"{image.name}:{revision}"]
    created = source.iso_time(epoch)
    values = {
        "BASE": options.base,
        "GROUPS": image.groups,
        "IMAGE": image.name,
        "TRAINYARD_CODE_REVISION": revision,
        "VERSION": source.version(),
        "CREATED": created,
        "SOURCE_DATE_EPOCH": str(epoch),
    }
    dockerfile = str(context / "docker" / f"{image.dockerfile}.Dockerfile")
    command = [*builder.command, "--file", dockerfile, "--target", image.target]
    for name, value in values.items():
        command += ["--build-arg", f"{name}={value}"]
    for tag in tags:
        command += ["--tag", tag]
    if url := source.url():
        command += ["--label", f"org.opencontainers.image.source={url}"]
    if network := options.network or engine.default_network(builder):
        command += ["--network", network]
    command += [*secrets, *(["--no-cache"] if options.no_cache else []), str(context)]
    started = time.monotonic()
    print(f"docker/build: {image.name}, code revision {revision}, on {options.base}", flush=True)
    if subprocess.run(command, env={**os.environ, **builder.environment}).returncode != 0:
        raise BuildError(f"{image.name} was not built; the messages of the failing step are above")
    size = engine.size(builder, tags[0])
    print(f"docker/build: {' '.join(tags)}: {size / 1e9:.2f} GB, {time.monotonic() - started:.0f} s", flush=True)
    if options.sbom:
        file = engine.copy_out(builder, tags[0], f"/usr/share/sbom/{image.name}.cdx.json", options.sbom)
        print(f"docker/build: {file}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
