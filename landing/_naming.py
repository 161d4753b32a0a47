"""The name of a data set for lineage, by OpenLineage's rules (https://openlineage.io/docs/spec/naming)."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit


def dataset_name(uri: str) -> tuple[str, str]:
    """Namespace and name of files; file patterns and a URL's user and password are left out.

    Example:
        >>> dataset_name("s3://bucket/taxi/span-3/*.csv"), dataset_name("/data/taxi/span-3/*")
        (('s3://bucket', 'taxi/span-3'), ('file', '/data/taxi/span-3'))
    """
    folder = uri.partition("*")[0].rpartition("/")[0] if "*" in uri else uri.rstrip("/")
    parts = urlsplit(folder)
    if not parts.scheme:
        return "file", folder
    if parts.scheme == "file":
        return "file", unquote(parts.path)
    host = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    return f"{parts.scheme}://{host}", parts.path.strip("/") or "/"
