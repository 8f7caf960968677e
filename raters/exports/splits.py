"""Train, validation and test, divided by prompt: what is tested on was not trained on."""

import hashlib

import numpy as np
import scipy  # its parts take long to load, and load when they are used

from evalhub.studies.models import Study
from raters.exports.selection import Selection


def splits(study: Study, selection: Selection) -> dict[int, str]:
    """By prompt id: its split.

    Prompts with the same words or the same source picture stay together, whatever joins them. Which split a group
    falls into hangs on its words and pictures alone, so that prompts added later move none from one split to another,
    unless they join two groups.
    """
    prompts = list(study.prompts.order_by("id").values_list("id", "key", "text", "source__sha256"))
    names = [_names(*prompt) for prompt in prompts]
    codes = {name: code for code, name in enumerate(dict.fromkeys(name for own in names for name in own))}
    rows = [row for row, own in enumerate(names) for _ in own]
    columns = [len(prompts) + codes[name] for own in names for name in own]
    size = len(prompts) + len(codes)
    shared = scipy.sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    _, group = scipy.sparse.csgraph.connected_components(shared, directed=False)
    first: dict[int, str] = {}
    for row, own in enumerate(names):
        label = min(own)
        first[group[row]] = min(first.get(group[row], label), label)
    return {prompt[0]: _split(first[group[row]], selection) for row, prompt in enumerate(prompts)}


def _names(prompt: int, key: str, text: str, source: str | None) -> list[str]:
    """What a prompt shares with those that belong to the same split."""
    words = " ".join(text.casefold().split())
    return [f"words {words}" if words else f"key {key}", *([f"source {source}"] if source else [])]


def _split(name: str, selection: Selection) -> str:
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    if place < selection.test_share:
        return "test"
    return "validation" if place < selection.test_share + selection.validation_share else "train"
