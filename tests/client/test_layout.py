"""Which file answers which prompt."""

import pytest

from evalhub.client.layout import BadLayout, Output, arrange, top_folder


def arranged(*paths: str, manifest: str = "") -> list[Output]:
    return arrange(paths, lambda name: manifest.encode()).outputs


def test_names_are_keys_and_folders_are_keys_with_seeds() -> None:
    assert arranged("cat.png", "a.b.c.jpeg", "dog/7.webp", "dog/-1.PNG") == [
        Output("cat.png", "cat"),
        Output("a.b.c.jpeg", "a.b.c"),
        Output("dog/7.webp", "dog", 7),
        Output("dog/-1.PNG", "dog", -1),
    ]


def test_what_no_person_put_there_is_not_seen() -> None:
    found = arrange(
        ["cat.png", ".DS_Store", "__MACOSX/._cat.png", "Thumbs.db", ".git/x.png", "log.txt"], lambda name: b""
    )
    assert (found.outputs, found.left_out) == ([Output("cat.png", "cat")], ["log.txt"])


def test_a_manifest_comes_before_names() -> None:
    lines = "﻿path,prompt,seed\nx/y/z.bin,cat,5\ncat.png,dog,\n"
    assert arranged("manifest.csv", "cat.png", "x/y/z.bin", manifest=lines) == [
        Output("x/y/z.bin", "cat", 5),
        Output("cat.png", "dog"),
    ]


@pytest.mark.parametrize(
    ("paths", "manifest", "sentence"),
    [
        ([], "", "There are no pictures here; expected files such as <prompt key>.png, found nothing."),
        (["a.txt"], "", "found a.txt"),
        (["cat/one.png"], "", "“one” is no whole number"),
        (["a/b/1.png"], "", "these lie deeper: a/b/1.png"),
        (["manifest.csv"], "path,prompt\nx.png,cat\n", "lists files that are not there: x.png"),
        (["manifest.csv"], "file,prompt\nx.png,cat\n", "line 2: expected path, prompt"),
        (["manifest.csv", "x"], "path,prompt,speed\nx,cat,3\n", "it has speed"),
        (["manifest.csv", "x"], "path,prompt,seed\nx,cat,three\n", "“three” is none"),
        (["manifest.jsonl"], "{not json", "cannot be read"),
        (["manifest.jsonl"], "[" * 100_000, "cannot be read"),
        (["manifest.jsonl"], '{"path": "x", "prompt": "cat", "seed": Infinity}', "“inf” is none"),
        (["manifest.jsonl"], "[1, 2]", "line 1: expected path, prompt"),
    ],
)
def test_what_makes_no_sense_is_said(paths: list[str], manifest: str, sentence: str) -> None:
    with pytest.raises(BadLayout) as refused:
        arranged(*paths, manifest=manifest)
    assert sentence in str(refused.value)


def test_the_folder_around_everything() -> None:
    assert top_folder(["out/cat.png", "out/dog/1.png", "__MACOSX/x"]) == "out/"
    assert top_folder(["out/cat.png", "dog.png"]) == ""
    assert top_folder(["cat/1.png", "cat/2.png"], keep=["cat"]) == ""
    assert top_folder(["cat.png"]) == ""
