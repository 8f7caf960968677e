"""The drawings: names are whole, apart and text; what is drawn is what is downloaded."""

import csv
import io
from itertools import pairwise

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from evalhub.leaderboard.charts.labels import SIDES, sides, spread
from evalhub.leaderboard.pareto import front
from tests.leaderboard.conftest import Scene

places = st.lists(st.floats(0, 500, allow_subnormal=False), max_size=15)


@given(places)
def test_spread_places_are_apart_and_in_order(values: list[float]) -> None:
    found = spread(values, 13)
    order = sorted(range(len(values)), key=lambda at: values[at])
    assert all(found[b] - found[a] >= 13 - 1e-6 for a, b in pairwise(order))
    assert sum(found) == pytest.approx(sum(values))


def test_places_that_are_apart_already_stay() -> None:
    assert spread([100.0, 0.0, 50.0], 13) == [100.0, 0.0, 50.0]


def test_names_meet_neither_each_other_nor_points() -> None:
    points = [(50.0, 50.0), (55.0, 52.0), (60.0, 50.0), (300.0, 50.0)]
    found = sides(points, ["first", "second", "third", "far away"], 310)
    assert found[0] == 2  # to the left, since there are points to the right
    assert len({side for side in found[:3] if side is not None}) == len(
        [side for side in found[:3] if side is not None]
    )
    assert found[3] is not None
    assert SIDES[found[3]][0] == "right"  # else it would stand out of the plot


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_the_front_is_what_nobody_beats(points: list[tuple[int, int]]) -> None:
    def beaten(one: tuple[int, int]) -> bool:
        return any(cost <= one[0] and quality >= one[1] and (cost, quality) != one for cost, quality in points)

    assert front(points) == [not beaten(one) for one in points]


@pytest.fixture
def charted(scene: Scene, client: Client) -> Client:
    """Everybody rated, one family of two steps, prices and head-to-heads; names that are code somewhere."""
    fit = scene.fit()
    fit.ratings.filter(rating=None).update(rating=1480.0, low=1400.0, high=1560.0)
    fit.head_to_head = {
        "checkpoints": [str(checkpoint.pk) for checkpoint in scene.checkpoints],
        "wins": [[0, 20, 5], [10, 0, 4], [3, 2, 0]],
        "ties": [[0, 4, 2], [4, 0, 0], [2, 0, 0]],
        "both_bad": [[0, 2, 0], [2, 0, 0], [0, 0, 0]],
        "superiority": [[0.5, 0.98, None], [0.02, 0.5, 0.4], [None, 0.6, 0.5]],
    }
    fit.save()
    earlier = scene.fit(votes=60)
    earlier.created_at = fit.created_at.replace(year=2020)
    earlier.save()
    for step, checkpoint in enumerate(scene.checkpoints):
        checkpoint.family, checkpoint.step, checkpoint.price = "=family<b>", 1000 * step, 0.01 * step
        checkpoint.save()
        scene.score(checkpoint, "lpips", 0.1 * step)
    client.force_login(scene.vera)
    return client


SECTIONS = ["head-to-head", "training", "cost", "history"]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_a_page_a_picture_and_its_figures(charted: Client, section: str) -> None:
    address = f"/studies/photographs/leaderboard/{section}"
    page = charted.get(f"{address}/").content.decode()
    assert "<table" in page
    assert "<script>alert" not in page
    svg = charted.get(f"{address}.svg")
    assert svg["Content-Disposition"] == f'attachment; filename="photographs-{section}.svg"'
    assert "<script>" not in svg.content.decode()
    assert charted.get(f"{address}.png").content.startswith(b"\x89PNG")
    lines = list(csv.DictReader(io.StringIO(charted.get(f"{address}.csv").content.decode())))
    assert len(lines) > 1
    assert not any(value.startswith("=") for line in lines for value in line.values())


def test_the_matrix_says_shares_numbers_and_probabilities(charted: Client) -> None:
    page = charted.get("/studies/photographs/leaderboard/head-to-head/").content.decode()
    # 20 wins, 10 losses, 4 ties and 2 times both bad
    for expected in ("64%", "n = 36", "P 98%", "tint-10"):
        assert expected in page


@pytest.mark.parametrize("query", ["measure=lpips:aaaaaaaa", "measure=nonsense", "measure=rating&cost=price"])
def test_any_measure_can_be_set_against_steps_and_costs(charted: Client, query: str) -> None:
    for section in ("training", "cost"):
        assert "<svg" in charted.get(f"/studies/photographs/leaderboard/{section}/?{query}").content.decode()


@pytest.mark.parametrize("section", [*SECTIONS, "metrics"])
def test_before_anything_is_there_each_page_says_what_it_takes(scene: Scene, client: Client, section: str) -> None:
    client.force_login(scene.vera)
    page = client.get(f"/studies/photographs/leaderboard/{section}/").content.decode()
    assert 'class="empty"' in page
    assert client.get(f"/studies/photographs/leaderboard/{section}.svg").status_code == 404


def test_there_is_no_other_section(scene: Scene, client: Client) -> None:
    client.force_login(scene.vera)
    for address in ("nonsense/", "nonsense.csv"):
        assert client.get(f"/studies/photographs/leaderboard/{address}").status_code == 404
