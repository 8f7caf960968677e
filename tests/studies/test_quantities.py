"""How long and how dear, in the unit that suits."""

import pytest

from evalhub.studies.templatetags.quantities import dollars, seconds


@pytest.mark.parametrize(("value", "text"), [(0.00003, "30 µs"), (0.0031, "3.1 ms"), (0.9, "900 ms"), (2.4, "2.4 s")])
def test_a_duration_has_the_unit_that_suits_it(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "$0"), (0.04, "$0.04"), (0.0002, "$0.2 / 1,000")])
def test_a_small_price_is_given_by_the_thousand(value: float, text: str) -> None:
    assert dollars(value) == text
