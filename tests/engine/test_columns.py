"""What the registry, the columns and the extractors say of one metric is the same."""

import pytest

from metrics.engine.catalogue import WEIGHTS
from metrics.engine.columns import COLUMNS, Role
from metrics.engine.extractors import MAKERS
from metrics.engine.extractors.pairs import PairExtractor
from metrics.engine.reducers import WITHOUT_REFERENCE
from metrics.engine.registry import METRICS, MetricSpec, Need
from metrics.engine.set_distances import AGAINST_REFERENCE

NEED_OF = {
    Role.REFERENCE: Need.PAIRED_REFERENCE,
    Role.SOURCE: Need.SOURCE,
    Role.MASK: Need.MASK,
    Role.CAPTION: Need.CAPTION,
    Role.SOURCE_CAPTION: Need.SOURCE_CAPTION,
}


@pytest.mark.parametrize("spec", METRICS.values(), ids=METRICS)
def test_a_metric_needs_what_its_columns_are_made_of(spec: MetricSpec) -> None:
    assert spec.needs - {Need.REFERENCE_SET} == {NEED_OF[role] for role in spec.roles}
    assert set(spec.weights) == {name for column in spec.columns for name in COLUMNS[column].weights}
    assert set(spec.weights) <= set(WEIGHTS)
    assert (spec.name in AGAINST_REFERENCE) == (Need.REFERENCE_SET in spec.needs)
    assert (spec.name in WITHOUT_REFERENCE) != (spec.name in AGAINST_REFERENCE)
    assert spec.modalities


def test_every_maker_fills_a_column_and_columns_of_one_maker_differ_in_roles_alone() -> None:
    assert {column.maker for column in COLUMNS.values()} == set(MAKERS)
    for column in COLUMNS.values():
        twins = [other for other in COLUMNS.values() if other.maker == column.maker]
        assert len({(twin.version, twin.weights, twin.minimum_side, len(twin.roles)) for twin in twins}) == 1
        assert len({twin.roles for twin in twins}) == len(twins)


def test_the_least_side_is_the_extractors_own() -> None:
    for column in COLUMNS.values():
        maker = MAKERS[column.maker].extractor
        assert column.minimum_side == (maker.minimum_side if issubclass(maker, PairExtractor) else 1)
