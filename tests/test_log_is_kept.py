"""Whatever changes a result leaves a line in the log, in the same transaction: every verb of the services is looked at.

The source is read, so that a verb added tomorrow is found without a test of its own.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from evalhub.studies.log_lines import SENTENCES
from tests.systems import SOURCE

WRITES = {"create", "save", "update", "delete", "bulk_create", "bulk_update", "get_or_create", "update_or_create"}
WRITES |= {"_raw_delete", "execute"}
FILES = (
    "evalhub/studies/services/*.py",
    "raters/services/*.py",
    "metrics/services/*.py",
    "evalhub/leaderboard/services.py",
    "evalhub/leaderboard/archive/*.py",
)

# Verbs that write and leave no line, by the reason.
UNLOGGED = {
    "a row of its own says who, what and when, and is never changed": """
        cast_vote undo_last skip reopen keep_remark put show_gold draw_control next_comparison comparisons_ahead
        next_lesson mark_shown arrive leave start enrol agree_to_see settle go_on try_again
    """,
    "a name has no place beside a rater's number; the visit says by which way in she came": "create_nameless_rater",
    "measured of a rater's window, beside her comparisons": "measure",
    "follows from what is logged or voted, and is frozen with all that it rests on": """
        freeze fit_slice judge_margins judge_raters compare find_agreement prepare_presentation
    """,
    "counts again what the rows say": "recount",
    "the run's own rows say when, where and how often; whoever started or stopped it is logged": """
        claim_shard finish_shard fail_attempt expire_lease renew_lease release_dead_worker stop_shards fail_run
        start_merge_if_due claim_merge finish_merge fail_merge expire_merge renew_merge tell_end wait_for_weights
        default_reference keep_reference_statistics
    """,
    "a cache, which changes no number": "begin_file keep_file keep_rows drop_file note_use evict collect_orphans",
    "a file changes nothing until a manifest or a prompt, which are logged, names it": """
        store_media keep put_away record take_all drop_files receive_reference_image
    """,
    "waits to be looked at; keeping it is logged": "read_prompts discard_prompts",
    "locks or reads only": "require_room usage",
    "calls have a log of their own, and change no result": "announce attempt ping send_again forget_old_calls",
    "a search changes no result, and its own row says who asked for it and when": """
        ask_for_duplicates claim_search renew_search keep_duplicates fail_search
    """,
    "part of erasing a rater, which is logged": "forget_visits",
    "a file of votes is looked at in a table that goes with its transaction": "look_at_votes stage totals faults",
    "part of importing votes, which is logged": "place write",
    "a file of votes waits; that its votes are added is logged": """
        receive_vote_file add_vote_file cancel_vote_file forget_vote_files forget_progress
    """,
}
REASONS = {verb: reason for reason, verbs in UNLOGGED.items() for verb in verbs.split()}
# Its lines stand alone: the archive is a file, and no transaction holds it.
ALONE = {"pack"}

Key = tuple[str, str]


@dataclass(frozen=True)
class Verb:
    """A function, and what it does itself: `calls` are (what, whether inside a transaction)."""

    key: Key
    is_public: bool
    writes: bool
    logs: bool
    calls: tuple[tuple[Key, bool], ...]


@cache
def verbs() -> dict[Key, Verb]:
    files = chain.from_iterable(SOURCE.glob(pattern) for pattern in FILES)
    return {verb.key: verb for file in sorted(files) for verb in _verbs_in(file)}


def _verbs_in(file: Path) -> Iterator[Verb]:
    module = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            calls = list(_calls(node, is_atomic=any("atomic" in ast.unparse(one) for one in node.decorator_list)))
            yield Verb(
                (module, node.name),
                is_public=node in tree.body and not node.name.startswith("_"),
                writes=any(_is_write(call) for call, _ in calls),
                logs=any(_is_entry(call) for call, _ in calls),
                calls=tuple((_called(call, module, imported), is_atomic) for call, is_atomic in calls),
            )


def _calls(node: ast.AST, is_atomic: bool) -> Iterator[tuple[ast.Call, bool]]:
    """The calls below a node, and whether a transaction is open around each."""
    if isinstance(node, ast.With):
        is_atomic |= any("atomic" in ast.unparse(item.context_expr) for item in node.items)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, is_atomic
        yield from _calls(child, is_atomic)


def _is_write(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in WRITES:
        return False
    return not (call.func.attr == "update" and call.args)  # of a hash or a dictionary; a table's takes names


def _is_entry(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "LogEntry.write"


def _called(call: ast.Call, module: str, imported: dict[str, Key]) -> Key:
    if _is_entry(call):
        return "", "LogEntry.write"
    if isinstance(call.func, ast.Name):
        return imported.get(call.func.id, (module, call.func.id))
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        holder = call.func.value.id
        if holder in imported:
            return ".".join(imported[holder]), call.func.attr
        if holder in {"self", "cls"}:
            return module, call.func.attr
    return "", ""


def _reaches(key: Key, what: str, seen: frozenset[Key] = frozenset()) -> bool:
    verb = verbs().get(key)
    if verb is None or key in seen:
        return False
    return getattr(verb, what) or any(_reaches(called, what, seen | {key}) for called, _ in verb.calls)


def test_every_verb_that_writes_is_logged_or_says_why_not() -> None:
    writing = {verb.key[1]: verb.key for verb in verbs().values() if verb.is_public and _reaches(verb.key, "writes")}
    logged = {name for name, key in writing.items() if _reaches(key, "logs")}
    assert len(logged) > 40  # or else nothing was found
    silent = {name: ".".join(key) for name, key in writing.items() if name not in logged}
    assert set(silent) - set(REASONS) == set(), "log these, or say in UNLOGGED why not"
    assert set(REASONS) - set(silent) == set(), "these are logged, or gone: take them out of UNLOGGED"


def test_a_line_is_written_in_the_transaction_of_its_deed() -> None:
    entry = ("", "LogEntry.write")
    outside = [
        ".".join(caller.key)
        for caller, is_atomic in _calls_of(entry)
        if not is_atomic and caller.key[1] not in ALONE and not _runs_in_a_transaction(caller.key)
    ]
    assert outside == []


def _runs_in_a_transaction(key: Key, seen: frozenset[Key] = frozenset()) -> bool:
    """Whether whoever calls this function has a transaction open."""
    calls = _calls_of(key)
    return bool(calls) and all(
        is_atomic or (caller.key not in seen and _runs_in_a_transaction(caller.key, seen | {key}))
        for caller, is_atomic in calls
    )


def _calls_of(key: Key) -> list[tuple[Verb, bool]]:
    return [(verb, atomic) for verb in verbs().values() for called, atomic in verb.calls if called == key]


def test_every_verb_of_the_log_has_a_sentence_and_every_sentence_a_verb() -> None:
    files = [file for room in ("evalhub", "raters", "metrics") for file in (SOURCE / room).rglob("*.py")]
    sources = [file.read_text(encoding="utf-8") for file in files if file.name != "log_lines.py"]
    said = {text for source in sources if "LogEntry.write" in source for text in _said_in(ast.parse(source))}
    assert said == set(SENTENCES)


def _said_in(tree: ast.Module) -> Iterator[str]:
    """The texts that become verbs of the log: given to it, or to a function of the same file that hands them on."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    handing = {name: node for name, node in functions.items() if "verb" in _parameters(node) and _logs(node, functions)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "verb":
            yield from _texts(node.value)
        if not isinstance(node, ast.Call):
            continue
        if _is_entry(node):
            yield from (text for given in node.keywords if given.arg == "verb" for text in _texts(given.value))
        elif isinstance(node.func, ast.Name) and node.func.id in handing:
            place = _parameters(handing[node.func.id]).index("verb")
            yield from _texts(node.args[place])


def _parameters(node: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in node.args.args]


def _logs(node: ast.FunctionDef, functions: dict[str, ast.FunctionDef]) -> bool:
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
    return any(_is_entry(call) or (isinstance(call.func, ast.Name) and "verb" in ast.unparse(call)) for call in calls)


def _texts(node: ast.AST) -> list[str]:
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
