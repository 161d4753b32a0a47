"""Signatures of releases and labels (Ed25519): who said so, where digests only say that a file is whole."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import pathlib
import stat
from typing import TYPE_CHECKING, Any

from model_store._errors import StoreError
from spec import environment as env

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ALGORITHM = "ed25519"
# What is signed begins with its kind, so that a signature made for anything else never fits.
RELEASE, LABELS = b"trainyard release 1\n", b"trainyard labels 1\n"
_END = b"-----END PUBLIC KEY-----"
_MAKE = "Make one with: openssl genpkey -algorithm ed25519 -out signing.pem && openssl pkey -in signing.pem -pubout"


@dataclasses.dataclass(frozen=True)
class Keys:
    """What a process signs releases and labels with, and which signatures it trusts.

    Attributes:
        private: signs what is published, and where labels point; None: nothing is signed.
        trusted: key id -> public key. Unless empty, a release that none of them signed is refused, and so are such labels.
    """

    private: Ed25519PrivateKey | None = None
    trusted: dict[str, Ed25519PublicKey] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> Keys:
        """The keys that TRAINYARD_SIGNING_KEY and TRAINYARD_PUBLIC_KEYS name; none by default.

        Raises:
            StoreError: a key cannot be read, is of another kind, or others may read the private one.
        """
        signing, public = os.environ.get(env.SIGNING_KEY), os.environ.get(env.PUBLIC_KEYS)
        return cls(_private(signing) if signing else None, _public(public) if public else {})

    @property
    def public_pem(self) -> str:
        """The trusted keys as PEM, as TRAINYARD_PUBLIC_KEYS takes them; empty without any."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return "".join(key.public_bytes(*form).decode() for _, key in sorted(self.trusted.items()))

    def sign(self, message: str, kind: bytes = RELEASE) -> dict[str, str] | None:
        """The signature of a canonical text; None without a private key."""
        if self.private is None:
            return None
        value = base64.b64encode(self.private.sign(kind + message.encode())).decode()
        return {"algorithm": _ALGORITHM, "key": key_id(self.private.public_key()), "value": value}

    def problem(self, message: str, signature: Any, kind: bytes = RELEASE) -> str | None:
        """Why a text is not to be trusted, in words; None if it is, or if no key is configured."""
        if not self.trusted:
            return None
        from cryptography.exceptions import InvalidSignature

        known = f"Trusted keys ({env.PUBLIC_KEYS}): {', '.join(sorted(self.trusted))}"
        if signature is None:
            return f"it is not signed. {known}"
        if not isinstance(signature, dict) or signature.get("algorithm") != _ALGORITHM:
            return f"its signature is not {_ALGORITHM}. Received: {signature!r:.80}"
        key = self.trusted.get(str(signature.get("key")))
        if key is None:
            return f"it is signed by a key that is not trusted, {signature.get('key')!r:.40}. {known}"
        try:
            key.verify(base64.b64decode(str(signature.get("value")), validate=True), kind + message.encode())
        except (InvalidSignature, ValueError):
            return f"its signature by key {signature['key']} does not fit: it was changed after signing"
        return None


def key_id(key: Ed25519PublicKey) -> str:
    """A short name of a public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _private(named: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_text(env.SIGNING_KEY, named, private=True), password=None)
    except (ValueError, TypeError):  # what it says may quote the key: keep it out of the message
        raise StoreError(f"{env.SIGNING_KEY}: not an unencrypted private key in PEM. {_MAKE}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{env.SIGNING_KEY}: expected an Ed25519 key. Received: {type(key).__name__}. {_MAKE}")
    return key


def _public(named: str) -> dict[str, Ed25519PublicKey]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    blocks = [block.strip() + b"\n" + _END + b"\n" for block in _text(env.PUBLIC_KEYS, named).split(_END)[:-1]]
    try:
        keys = [load_pem_public_key(block) for block in blocks]
    except ValueError as error:
        raise StoreError(f"{env.PUBLIC_KEYS}: not a public key in PEM ({error}). {_MAKE}") from None
    if not keys:
        raise StoreError(f"{env.PUBLIC_KEYS}: holds no public key in PEM. {_MAKE}")
    trusted = {}
    for key in keys:
        if not isinstance(key, Ed25519PublicKey):
            raise StoreError(f"{env.PUBLIC_KEYS}: expected Ed25519 keys. Received: {type(key).__name__}. {_MAKE}")
        trusted[key_id(key)] = key
    return trusted


def _text(variable: str, named: str, private: bool = False) -> bytes:
    if named.lstrip().startswith("-----BEGIN"):
        return named.encode()
    path = pathlib.Path(named).expanduser()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if private and mode & 0o077:
            raise StoreError(f"{variable}: others may read {path} (mode {mode:o}). Run: chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{variable}: cannot read {path}: {error.strerror or error}.") from None
