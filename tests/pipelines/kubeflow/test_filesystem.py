from __future__ import annotations

import fsspec
import pytest


def test_the_remote_filesystem_is_plugged_into_tfx(s3: str) -> None:
    from tfx.dsl.io import fileio

    from pipelines.runners.kubeflow.pod import filesystem

    filesystem.register()
    fileio.makedirs(f"{s3}/made")
    assert not fileio.exists(f"{s3}/made")  # an object store has no empty folders
    with fileio.open(f"{s3}/made/file", "wb") as file:
        file.write(b"x")
    assert fileio.exists(f"{s3}/made") and fileio.isdir(f"{s3}/made") and fileio.listdir(f"{s3}/made") == ["file"]
    fileio.rmtree(f"{s3}/made")
    fileio.remove(f"{s3}/made")
    assert not fsspec.filesystem("s3", use_listings_cache=False).exists(f"{s3}/made")
    with pytest.raises(fileio.NotFoundError):
        fileio.open(f"{s3}/gone", "rb").read()
