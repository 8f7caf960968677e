"""The cache of features: how large it is, and making room by hand."""

import argparse
import re
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.db.models import Count, Min, Sum
from django.template.defaultfilters import filesizeformat, pluralize

from metrics import services
from metrics.models import CachedFile, FileState

_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def bytes_of(text: str) -> int:
    """A number of bytes as people write them: 500M, 20GiB, 1073741824."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"expected a size such as 500M or 20G, got “{text}”")
    return int(float(found[1]) * 1024 ** _UNITS[found[2].upper()])


class Command(BaseCommand):
    help = "Shows the cache of features, study by study (list), and deletes what was not used for longest (evict)."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="Sizes by study, against the limit.")
        evict = verbs.add_parser("evict", help="Delete until it fits, and files that nothing names.")
        evict.add_argument(
            "--to", type=bytes_of, metavar="SIZE", help="What may stay, such as 20G; else the setting's."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        kept = CachedFile.objects.filter(state=FileState.KEPT).values("study__slug").order_by("study__slug")
        for row in kept.annotate(files=Count("pk"), bytes=Sum("size"), oldest=Min("used_at")):
            self.stdout.write(
                f"{row['study__slug']}: {row['files']:,} file{pluralize(row['files'])}, "
                f"{_size(row['bytes'])}; "
                f"the longest unused since {row['oldest']:%Y-%m-%d %H:%M}"
            )
        self.stdout.write(
            f"In all {_size(services.cache_size())} of {_size(settings.FEATURE_CACHE_BYTES)} "
            "(EVALHUB_FEATURE_CACHE_BYTES)."
        )

    def _evict(self, options: dict[str, Any]) -> None:
        files = size = 0
        for step in (lambda: services.evict(limit=options["to"]), services.collect_orphans):
            while (evicted := step()).files:
                files, size = files + evicted.files, size + evicted.size
        if not files:
            self.stdout.write(f"Nothing to delete; the cache holds {_size(services.cache_size())}.")
            return
        self.stdout.write(
            f"Deleted {files:,} file{pluralize(files)}, {_size(size)}; {_size(services.cache_size())} stay."
        )
        if options["to"] is not None and services.cache_size() > options["to"]:
            raise CommandError("Unfinished runs need what is left above the limit; it goes once they have ended.")


def _size(size: int) -> str:
    return filesizeformat(size).replace("\xa0", " ")
