"""Hashes of rows: the same for the same values, whatever types hold them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.columnar import add_column, hash_rows, spread_bits

VALUES = ["card", None, "", "cash", "card"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_text_hashes_by_its_bytes(kind: pa.DataType) -> None:
    texts = [None if v is None else v.encode() for v in VALUES]
    found = hash_rows([pa.array(texts, pa.binary()).cast(kind)])
    assert found.tolist() == hash_rows([pa.array(VALUES)]).tolist()
    assert found[0] == found[4] != found[3] and found[1] == found[2]  # a missing text is an empty one


def test_rows_differ_where_any_column_does() -> None:
    numbers, flags = pa.array([1, None, 3, 1]), pa.array([True, False, None, False])
    found = hash_rows([numbers, flags, pa.array([0.1, 0.2, 0.3, 0.1])])
    assert len(set(found.tolist())) == 4
    assert hash_rows([flags, numbers]).tolist() != hash_rows([numbers, flags]).tolist()


def test_columns_may_come_one_after_the_other() -> None:
    first, second = pa.array([1.5, 2.5]), pa.array(["a", "b"])
    total = add_column(add_column(np.zeros(2, np.uint64), first), second)
    assert spread_bits(total).tolist() == hash_rows([first, second]).tolist()
