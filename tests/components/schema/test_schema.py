"""What read_schema says about a schema that it cannot use."""

from __future__ import annotations

import pathlib
import re

import pytest

from components.schema import read_schema
from spec.errors import InputError


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b'feature {\n  name: "a"\n  type: FLAOT\n}\n', ["schema.pbtxt, line 3: ", "FLAOT", "Mend the schema"]),
        (b'feature [\n  name: "a"\n}\n', ["schema.pbtxt, line", "Mend the schema"]),
        (b'feature { name: "caf\xe9" }\n', ["is not UTF-8 text", "Save it as UTF-8"]),
        (b"", ["names no feature"]),
        (None, ["there is no such file"]),
    ],
)
def test_a_schema_that_cannot_be_used_is_one_line(
    tmp_path: pathlib.Path, content: bytes | None, parts: list[str]
) -> None:
    if content is not None:
        (tmp_path / "schema.pbtxt").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_schema(str(tmp_path))
    message = str(caught.value)
    assert "\n" not in message and not re.search(r"[^.]\.\.([^.]|$)", message)
    for part in parts:
        assert part in message
