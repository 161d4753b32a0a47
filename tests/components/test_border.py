import pytest

from components import border
from spec.errors import InputError
from spec.workload import DriftLimits, InfraValidation, Read


@pytest.mark.parametrize("value", [Read(names=("a", "b"), numbers={"price": "1,234.5"}), DriftLimits(psi=0.1)])
def test_a_section_comes_back_as_it_went(value: Read | DriftLimits) -> None:
    assert border.load(type(value), border.dump(value)) == value


def test_equal_values_are_one_cache_key_in_whatever_order_they_were_said() -> None:
    one = Read(na_values_by_column={"a": ("?",), "b": ()})
    other = Read(na_values_by_column={"b": (), "a": ("?",)})
    assert border.dump(one) == border.dump(other)


def test_lists_cross_the_border_too() -> None:
    assert border.load(list[str], border.dump(("fare", "tip"))) == ["fare", "tip"]


def test_a_wrong_parameter_names_the_field_and_what_was_received() -> None:
    with pytest.raises(InputError, match=r'infra_validation\.requests: .*Received: \{"requests": 0\}'):
        border.load(InfraValidation, '{"requests": 0}')
