"""TLS for REST and gRPC: the server's certificate, and the authority that clients' certificates are checked against."""

from __future__ import annotations

import argparse
import pathlib
import ssl

import grpc

from spec.errors import InputError
from spec.private_files import read_private


class Tls:
    """A certificate with its key.

    Args:
        certificate: PEM file, the server's first, then those between it and the root.
        key: PEM file of its private key, which nobody else may read.
        client_authority: PEM file; only clients with a certificate of it are answered. None: those without are.

    Raises:
        InputError: a file cannot be read, the key is open to others, or the two do not belong together.
    """

    def __init__(self, certificate: pathlib.Path, key: pathlib.Path, client_authority: pathlib.Path | None) -> None:
        self._key = read_private(key)
        self._certificate = _read(certificate)
        self._authority = None if client_authority is None else _read(client_authority)
        self.context = _context(certificate, key, client_authority)

    def grpc_credentials(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials(
            [(self._key, self._certificate)], self._authority, require_client_auth=self._authority is not None
        )


def tls_of(options: argparse.Namespace) -> Tls | None:
    """TLS as `--tls-...` says.

    Raises:
        InputError: a file is not fit for use.
    """
    return Tls(options.tls_cert, options.tls_key, options.tls_client_ca) if options.tls_cert else None


def _context(certificate: pathlib.Path, key: pathlib.Path, client_authority: pathlib.Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate, key, password="")  # not one that OpenSSL asks the terminal for
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            raise InputError(f"is not the key of the certificate in {certificate}.", file=key) from None
        raise InputError(
            f"expected a certificate in PEM, and its unencrypted key in {key}. OpenSSL says: {error.reason}",
            file=certificate,
        ) from None
    if client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(client_authority)
        except ssl.SSLError as error:
            raise InputError(
                f"expected certificates in PEM. OpenSSL says: {error.reason}", file=client_authority
            ) from None
    return context


def _read(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}.", file=path) from None
