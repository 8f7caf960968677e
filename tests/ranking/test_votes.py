"""Columns of labels become codes, whatever the labels are."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raters.ranking import OUTCOMES, MalformedVotes, UnknownContestant, UnknownOutcome, Votes


@given(
    st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3), st.sampled_from(OUTCOMES), st.integers())).map(
        lambda rows: [row for row in rows if row[0] != row[1]]
    )
)
@settings(deadline=None, derandomize=True, max_examples=60)
def test_codes_stand_for_the_labels(rows: list[tuple[str, str, str, int]]) -> None:
    left, right, outcome, rater = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    votes, names = Votes.from_labels(left, right, outcome, rater=rater)
    assert list(names) == sorted({*left, *right})
    assert [names[code] for code in votes.left] == left
    assert [names[code] for code in votes.right] == right
    assert [OUTCOMES[code] for code in votes.outcome] == outcome
    assert votes.rater is not None
    assert list(votes.rater) == [list(dict.fromkeys(rater)).index(one) for one in rater]


def columns(labels: Sequence[object]) -> tuple[Sequence[object], Sequence[object], Sequence[str]]:
    return labels, [*labels[1:], labels[0]], np.resize(OUTCOMES, len(labels)).tolist()


@pytest.mark.parametrize("count", [1, 2, 256, 257, 3000])
def test_any_number_of_labels(count: int) -> None:
    labels = [f"c{number:04}" for number in range(count)]
    right = [f"d{number:04}" for number in range(count)]
    votes, names = Votes.from_labels(labels, right, ["left"] * count, rater=labels)
    assert [names[code] for code in votes.left] == labels
    assert [names[code] for code in votes.right] == right
    assert votes.rater is not None
    assert votes.rater.tolist() == list(range(count))


@pytest.mark.parametrize(
    "labels", [[7, 10, 9], np.array(["x", "y", "z"]), ("x", "y", "z")], ids=["int", "numpy", "tuple"]
)
@pytest.mark.parametrize("named", [False, True])
def test_labels_need_not_be_a_list_of_words(labels: Sequence[object], named: bool) -> None:
    left, right, outcome = columns(list(labels))
    given_names = [*reversed([str(label) for label in labels]), "extra"] if named else None
    votes, names = Votes.from_labels(left, right, outcome, names=given_names)
    assert names == (tuple(given_names) if given_names else tuple(sorted(str(label) for label in labels)))
    assert [names[code] for code in votes.left] == [str(label) for label in left]


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(UnknownOutcome, match="left, right, tie, both_bad, got 'draw'"):
        Votes.from_labels(["a", "b"], ["b", "a"], ["left", "draw"])
    with pytest.raises(UnknownContestant, match="among the 1 names given, got 'b'"):
        Votes.from_labels(["a"], ["b"], ["left"], names=["a"])
    with pytest.raises(MalformedVotes, match="one entry per vote, got 1 in left and 2 in outcome"):
        Votes.from_labels(["a"], ["b"], ["left", "left"])
    with pytest.raises(MalformedVotes, match="two different contestants"):
        Votes.from_labels(["a"], ["a"], ["left"])
