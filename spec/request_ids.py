"""Which ids of requests are kept: by the model server in its record, and in the labels that come later."""

from __future__ import annotations

REQUEST_ID = r"[A-Za-z0-9_.:/+=@-]{1,128}"
"""A pattern for the whole id. No comma, quote or space: it goes through CSV and headers as it is."""
WORDS = "1 to 128 of the characters A-Z a-z 0-9 _ . : / + = @ -"
