"""One export in a process of its own, whose peak memory is then that of the export: STUDY TABLE KIND. Prints JSON."""

import json
import resource
import sys
import time

import django


def main(slug: str, name: str, kind: str) -> None:
    django.setup()
    from evalhub.studies.models import Study
    from raters import exports

    table = exports.TABLES[name](Study.objects.get(slug=slug), exports.Selection())
    began = time.perf_counter()
    written = sum(len(piece) for piece in exports.stream(table, kind))
    taken = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": taken, "bytes": written, "peak": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
