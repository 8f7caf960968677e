"""The log as people read it: what each verb says in a sentence, and which kind of deed it is."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from evalhub.sheets import harmless
from evalhub.studies.models import LogEntry

# A sentence begins with who did it; names between braces are the entry's own: its subject and its details.
STUDY = {
    "created study": "made the study",
    "changed study": "changed {changed}",
    "opened study": "opened the study",
    "paused study": "paused the study",
    "closed study": "closed the study",
    "set quota": "set the quota",
    "set up site": "set this site up",
    "deleted study": "deleted the study {subject}, with all it owned",
    "packed study": "packed the study into an archive of {rows} rows",
    "unpacked study": "made the study out of an archive",
}
PROMPTS = {
    "added prompt": "added the prompt {subject}",
    "added prompts": "added prompts: {subject}",
    "removed prompts": "removed prompts: {subject}",
    "set questions": "changed what raters are asked",
}
PEOPLE = {
    "added member": "made {subject} a member, as {role}",
    "changed role": "made {subject} {role}, before that {before}",
    "removed member": "ended the membership of {subject}, {role}",
    "created invite": "made {subject}, for the role {role}",
    "accepted invite": "came by {subject}, as {role}",
    "revoked invite": "revoked {subject}",
    "came by single sign-on": "came by single sign-on for the first time",
    "made token": "made the API token “{subject}”, scope {scope}",
    "revoked token": "revoked the API token “{subject}”, scope {scope}",
}
SUBMISSIONS = {
    "began submission": "began the submission of {subject}",
    "received manifest": "promised {files} files of {subject}",
    "completed submission": "completed the submission of {subject}, {samples} samples",
    "changed facts": "changed facts about {subject}: {changed}",
    "withdrew checkpoint": "withdrew {subject} from the running: {reason}",
    "restored checkpoint": "restored {subject} to the running",
    "registered contestants": "registered the contestants: {contestants}",
    "lifted registration": "lifted the registration of contestants; joining: {contestants}",
}
RATERS = {
    "changed rater rules": "changed the rater rules: {changed}",
    "excluded rater": "left the answers of {subject} out: {reason}",
    "readmitted rater": "let the answers of {subject} in again",
    "grouped rater": "put {subject} into the group “{group}”",
    "withdrew consent": "{subject} took her consent back",
    "consented again": "{subject} consented again",
    "erased rater": "{subject} had herself erased",
    "added known answer": "added a known answer for {use}: {subject}",
    "retired known answer": "retired a known answer for {use}: {subject}",
    "opened recruitment": "opened the way in “{subject}” ({platform})",
    "changed recruitment": "changed the way in “{subject}”: {changed}",
    "closed recruitment": "closed the way in “{subject}”",
    "imported votes": "imported {votes} votes of {raters} raters as {subject}",
    "took import back": "took the imported votes {subject} back, of {raters} raters: {reason}",
    "put import back": "had the imported votes {subject} count again, of {raters} raters",
    "simulated raters": "had {raters} simulated raters answer {votes} pairs",
}
RESULTS = {
    "asked for ranking": "asked for a ranking of some of the votes on {subject}",
    "registered ship test": "registered the ship test {subject}",
    "withdrew ship test": "withdrew the ship test {subject}: {reason}",
    "started run": "started to score {subject}",
    "cancelled run": "cancelled the scoring of {subject}",
    "retried run": "took the scoring of {subject} up again",
    "imported references": "imported {images} pictures as the reference “{subject}”",
    "took weights": "took the weights {subject}",
}
OUTSIDE = {
    "took export": "took {subject} home",
    "added webhook": "had {subject} told of {events}",
    "paused webhook": "paused the webhook to {subject}",
    "resumed webhook": "resumed the webhook to {subject}",
    "removed webhook": "removed the webhook to {subject}",
}
# By the name of a kind in addresses: what people call it, and its verbs.
KINDS = {
    "study": ("The study", STUDY),
    "prompts": ("Prompts and questions", PROMPTS),
    "people": ("Members and tokens", PEOPLE),
    "submissions": ("Submissions", SUBMISSIONS),
    "raters": ("Raters", RATERS),
    "results": ("Rankings and scores", RESULTS),
    "outside": ("Exports and webhooks", OUTSIDE),
}
SENTENCES = {verb: sentence for _, verbs in KINDS.values() for verb, sentence in verbs.items()}
COLUMNS = ("at", "who", "verb", "subject", "sentence", "details")
NOTHING = "none"


@dataclass(frozen=True)
class Line:
    """One entry: what was done, in a sentence; what became what; and whatever else it says.

    Attributes:
        who: the account's name; empty for what the site did by itself, for commands on its machine, and for raters,
            whose names the log leaves out.
        changes: (what, before, after); notes: (what, how much).
    """

    entry: LogEntry
    who: str
    sentence: str
    changes: tuple[tuple[str, str, str], ...]
    notes: tuple[tuple[str, str], ...]


def line_of(entry: LogEntry) -> Line:
    """An entry for people. A verb without a sentence of its own is said as it stands, with its subject."""
    details = dict(entry.details)
    changes = _changes(details)
    named = {"subject": entry.subject, "changed": ", ".join(words(name) for name, *_ in changes if name)}
    template = SENTENCES.get(entry.verb, f"{entry.verb} {{subject}}")
    sentence = template.format_map(_Said({name: said(value) for name, value in details.items()} | named))
    notes = [(words(name), said(value)) for name, value in details.items() if f"{{{name}}}" not in template]
    return Line(
        entry,
        who=entry.actor.username if entry.actor else "",
        sentence=sentence,
        changes=tuple((words(name), said(old), said(new)) for name, old, new in changes),
        notes=tuple((name, value) for name, value in notes if value != NOTHING),
    )


def as_csv(entries: Iterable[LogEntry]) -> Iterator[str]:
    """The log as a sheet, line by line."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for entry in entries:
        line = line_of(entry)
        texts = (line.who, entry.verb, entry.subject, line.sentence, json.dumps(entry.details, ensure_ascii=False))
        yield writer.writerow([entry.at.isoformat(), *map(harmless, texts)])


def said(value: Any) -> str:
    """A detail for people."""
    if isinstance(value, dict):
        return ", ".join(f"{words(name)} {said(one)}" for name, one in value.items()) or NOTHING
    if isinstance(value, list):
        return ", ".join(said(one) for one in value) or NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return NOTHING if value is None else str(value) or NOTHING


def words(name: str) -> str:
    return name.replace("_", " ")


def _changes(details: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What became what, taken out of the details where a verb keeps its texts, numbers or rules before and after."""
    if "changed" in details:
        return [(name, old, new) for name, (old, new) in details.pop("changed").items()]
    if not {"before", "after"} <= details.keys():
        return []
    before, after = details.pop("before"), details.pop("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [("", before, after)]
    return [(name, before.get(name), value) for name, value in after.items() if before.get(name) != value]


class _Said(dict[str, str]):
    """What an older entry does not say."""

    def __missing__(self, name: str) -> str:
        return "?"


class _Echo:
    """A file for `csv` that gives back what is written."""

    def write(self, text: str) -> str:
        return text
