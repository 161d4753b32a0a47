from __future__ import annotations

import errno

import pytest

from components.store_errors import store_errors
from model_store import StoreError
from spec.errors import InputError
from storage import Busy, Conflict, LeaseLost, NoConditionalWrites


def raised(origin: Exception) -> Exception:
    with pytest.raises((StoreError, InputError)) as caught, store_errors():
        raise StoreError("publishing taxi") from origin
    return caught.value


@pytest.mark.parametrize("origin", [Busy("held"), LeaseLost("lost"), Conflict("faster"), ConnectionResetError("away")])
def test_what_passes_may_be_tried_again(origin: Exception) -> None:
    assert isinstance(raised(origin), StoreError)


@pytest.mark.parametrize("origin", [NoConditionalWrites("none"), OSError(errno.ENOSPC, "full"), KeyError("damaged")])
def test_what_stays_is_the_users_to_mend(origin: Exception) -> None:
    assert isinstance(raised(origin), InputError)
