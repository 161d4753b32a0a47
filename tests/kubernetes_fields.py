"""What Kubernetes would refuse: objects checked against the models of the `kubernetes` package."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

from kubernetes import client


def unknown_fields(value: Any, type_name: str, where: str) -> Iterator[str]:
    """Fields that a type of Kubernetes' API does not have, or that have the wrong shape."""
    if listed := re.fullmatch(r"list\[(.+)\]", type_name):
        if not isinstance(value, list):
            yield f"{where}: expected a list"
            return
        for index, one in enumerate(value):
            yield from unknown_fields(one, listed[1], f"{where}[{index}]")
    elif mapped := re.fullmatch(r"dict\(str, (.+)\)", type_name):
        if not isinstance(value, dict):
            yield f"{where}: expected a mapping"
            return
        for key, one in value.items():
            yield from unknown_fields(one, mapped[1], f"{where}.{key}")
    elif hasattr(client.models, type_name):
        model = getattr(client.models, type_name)
        if not isinstance(value, dict):
            yield f"{where}: expected {type_name}"
            return
        by_key = {key: model.openapi_types[name] for name, key in model.attribute_map.items()}
        for key, one in value.items():
            if key not in by_key:
                yield f"{where}.{key}: {type_name} has no such field"
            else:
                yield from unknown_fields(one, by_key[key], f"{where}.{key}")
    else:
        simple = {"str": str, "int": int, "bool": bool, "object": object, "datetime": (str, datetime.datetime)}
        if not isinstance(value, simple[type_name]) or (type_name == "int" and isinstance(value, bool)):
            yield f"{where}: expected {type_name}, received {value!r}"
