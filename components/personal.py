"""Columns about persons. Their values may be learnt from, and are shown nowhere: no report, message or log quotes them.

The schema says which they are:

    feature { name: "passenger" type: BYTES annotation { tag: "personal" } }
"""

from __future__ import annotations

from typing import Any

TAG = "personal"
MASK = "[masked]"


def personal_columns(schema: Any) -> frozenset[str]:
    """The columns that a TFMD schema tags as personal."""
    return frozenset(feature.name for feature in schema.feature if TAG in feature.annotation.tag)
