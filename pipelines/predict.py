"""`trainyard predict`: everything around the graph of batch inference."""

from __future__ import annotations

import dataclasses
import errno
import os
import pathlib
import secrets
import shutil

from components import lazy_imports
from model_store import ModelStore
from pipelines import beam_options
from pipelines.run import Display, logged, make_site, recorded, traced
from pipelines.runners import run_lock
from pipelines.runners.results import RunResult
from spec import home
from spec.errors import InputError
from spec.run_ids import new_run_id
from spec.workload import BatchInput, Format, find_workload

_INDEX = "index.json"


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """What to predict for, and where to put it.

    Attributes:
        data: file, folder, glob pattern or fsspec URL.
        out: folder that appears once everything is written.
        release: a label (stable, canary) or a version.
        keys: columns that say which row a prediction is for; empty: file and row number.
        format: of the files; None: the workload's.
        wait_s: seconds to wait for another prediction run of the same workload.
        beam: Beam's options, `key=value` or `key`, as given; they win over the workload's.
    """

    workload: str
    data: str
    out: pathlib.Path
    release: str = "stable"
    keys: tuple[str, ...] = ()
    format: Format | None = None
    overwrite: bool = False
    wait_s: float = 600.0
    beam: tuple[str, ...] = ()


def predict(request: PredictRequest, display: Display) -> RunResult:
    """Predicts for raw files with a release, on this machine.

    Returns:
        The result, even if the run failed; it is kept as run.json beside the log.

    Raises:
        WorkloadError, InputError, StoreError: the request is wrong; nothing was started.
    """
    workload, folder = find_workload(request.workload)
    beam = beam_options.beam_arguments(workload, request.beam)
    out = request.out.expanduser().absolute()
    _check_out(out, request.overwrite)
    ModelStore(home.store_uri()).resolve(workload.name, request.release)
    result = RunResult(workload.name, new_run_id())
    # No workload's name has a dot, so these folders cannot be another's.
    place = f"{workload.name}.predict"
    with logged(result, home.runs_root(place), display), traced(result), recorded(result):
        root, owner = home.pipeline_root(place), f"prediction run {result.run_id} of {workload.name}"
        with run_lock.exclusive(root / ".lock", owner, request.wait_s, display.said):
            display.said("loading TensorFlow and TFX")
            lazy_imports.install()
            from pipelines.batch_inference import batch_inference_pipeline
            from pipelines.runners import local

            site = make_site(workload, folder, root, beam)
            data = request.data if "://" in request.data else str(pathlib.Path(request.data).expanduser().absolute())
            format = request.format or workload.data.format
            config = BatchInput(uri=data, format=format, keys=request.keys, read=workload.data.read)
            graph = batch_inference_pipeline(workload.name, request.release, config, site)
            outputs = local.run_pipeline(graph, site, result, display.changed)
            if result.status == "succeeded":
                _deliver(pathlib.Path(outputs["BatchInference"]["predictions"][0].uri), out, request.overwrite)
                assert result.predictions is not None
                result.predictions["folder"] = str(out)
    return result


def _check_out(out: pathlib.Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"--out {out}: is a file. Name a folder.")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise InputError(f"--out {out}: exists already. Name another folder, or add --overwrite.")
    if not (out / _INDEX).is_file():
        raise InputError(f"--out {out}: holds no {_INDEX}, so it is no folder of predictions; it is not overwritten.")


def _deliver(source: pathlib.Path, out: pathlib.Path, overwrite: bool) -> None:
    """Copies the artifact beside `out` and renames it, so that it appears whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    try:
        shutil.copytree(source, aside / "new")
        _check_out(out, overwrite)  # it may have appeared since the start
        if out.exists() and any(out.iterdir()):
            out.rename(aside / "old")
        try:
            (aside / "new").rename(out)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            raise InputError(f"--out {out}: appeared while predicting. Name another folder.") from None
    except PermissionError as error:
        raise InputError(f"--out {out}: {os.strerror(error.errno or 0)}: {error.filename}.") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
