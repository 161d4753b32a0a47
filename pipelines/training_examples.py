"""The Examples that a release was trained on, as this machine's metadata knows them."""

from __future__ import annotations

import pathlib
from typing import Any

import storage
from components import lazy_imports
from model_store import Release
from quality.monitoring import Examples
from spec import home
from spec.errors import InputError


def training_examples(workload: str, release: Release, folder: pathlib.Path) -> Examples:
    """The Examples of the run that published a release, as files of this machine.

    Args:
        folder: where to put those that a run on Kubeflow left in an object store.

    Raises:
        InputError: the run, or its Examples, are gone or out of reach.
    """
    artifact = _artifact(workload, release)
    uri = str(artifact.uri)
    if storage.is_remote(uri):
        storage.download(uri, folder)
        uri = str(folder)
    return Examples(uri, artifact.split_names)


def _artifact(workload: str, release: Release) -> Any:
    lazy_imports.install()
    from pipelines.metadata.opening import connection, open_store
    from pipelines.metadata.upkeep import tfx_outputs_of

    with connection(open_store(home.pipeline_root(workload))) as handle:
        store = handle.store
        run = store.get_context_by_type_and_name("pipeline_run", release.run_id)
        for execution in store.get_executions_by_context(run.id) if run else ():
            found = tfx_outputs_of(store, execution.id).get("examples")
            if found and _is_there(str(found[0].uri)):
                return found[0]
    raise InputError(
        f"what release {release.version} of {workload} was trained on is out of reach: the Examples of run {release.run_id} "
        "are not where this machine's metadata looks for them, or were swept. Check with the run's TRAINYARD_HOME (on Kubeflow: its "
        "TRAINYARD_METADATA), or once a newer release serves."
    )


def _is_there(uri: str) -> bool:
    return storage.is_whole(uri) if storage.is_remote(uri) else pathlib.Path(uri).is_dir()
