"""Certificates as `openssl` makes them: two authorities, a server's, a client's."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Sequence

_DAYS = "2"


def openssl(*arguments: str | pathlib.Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_authority(folder: pathlib.Path, name: str) -> pathlib.Path:
    """`<name>.pem` and `<name>.key`; the path of the certificate."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    openssl("req", "-x509", *_new_key(key), "-days", _DAYS, "-subj", f"/CN={name}", "-out", certificate)
    return certificate


def make_certificate(authority: pathlib.Path, name: str) -> tuple[pathlib.Path, pathlib.Path]:
    """Certificate, for this machine's address too, and key; the key is of mode 600."""
    certificate, key = authority.with_name(f"{name}.pem"), authority.with_name(f"{name}.key")
    request, more = authority.with_name(f"{name}.csr"), authority.with_name(f"{name}.ext")
    more.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("req", *_new_key(key), "-subj", f"/CN={name}", "-out", request)
    signed_by: Sequence[str | pathlib.Path] = ("-CA", authority, "-CAkey", authority.with_suffix(".key"))
    openssl("x509", "-req", "-in", request, *signed_by, "-days", _DAYS, "-extfile", more, "-out", certificate)
    key.chmod(0o600)
    return certificate, key


def _new_key(path: pathlib.Path) -> tuple[str | pathlib.Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)
