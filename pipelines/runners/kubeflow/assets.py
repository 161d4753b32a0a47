"""Files that a workload declares (`assets` of workload.yaml), put where its pods look for them: by hash, so each one once."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from components import assets as staging
from pipelines import datasets
from pipelines.runners.kubeflow.cluster.site import ClusterSite
from spec.workload import Asset


def stage(assets: Mapping[str, Asset], site: ClusterSite) -> list[str]:
    """Copies to `site.assets` what is not there yet, from this machine's dataset cache or the asset's address.

    Returns:
        What is left for a person to copy, in a line each: a volume's files, where this machine does not mount it.

    Raises:
        InputError: a file cannot be had here or is another content, or access to the store is refused.
    """
    if site.volume and "://" not in site.assets and not pathlib.Path(site.volume.mount_path).is_dir():
        return [
            f"asset {name}: this machine does not mount the volume. Copy {one.file} to {site.assets}/{one.sha256}."
            for name, one in assets.items()
        ]
    for one in assets.values():
        if not staging.is_staged(one, site.assets):
            datasets.fetch_asset(one)
            staging.stage(one, site.assets)
    return []
