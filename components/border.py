"""TFX's border: an execution parameter is a string there, and a typed value on either side."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import pydantic

from spec.errors import InputError

Value = TypeVar("Value")


def dump(value: Any) -> str:
    """A section of the workload, or another value that JSON can hold, as an execution parameter.

    Equal values give equal strings, because TFX's cache is keyed on them.
    """
    plain = pydantic.TypeAdapter(Any).dump_python(value, mode="json")
    return json.dumps(plain, sort_keys=True)


def load(kind: type[Value], text: str) -> Value:
    """The value that `dump` wrote.

    Args:
        kind: a section, or another type that pydantic can check, such as `list[str]`.
        text: the execution parameter.

    Raises:
        InputError: it is no such value; a pipeline compiled by another version may say so.
    """
    try:
        return pydantic.TypeAdapter(kind).validate_json(text)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        section = re.sub(r"\B(?=[A-Z])", "_", kind.__name__).lower()
        field = ".".join([section, *(str(part) for part in problem["loc"])])
        raise InputError(f"{field}: not a valid configuration: {problem['msg']}. Received: {text[:200]}") from None
