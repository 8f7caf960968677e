"""Make a contestant for the demo study: `python -m evalhub.studies.demo hamming FOLDER [--facts FILE]`.

`hamming` is no contestant of the demo yet, so that a newcomer has a sixth one to submit.
"""

import argparse
import json
import sys
from pathlib import Path

from PIL import Image

from evalhub.studies.demo.methods import METHODS, Method, enlarge, facts, write_outputs
from evalhub.studies.demo.packages import MaterialUnavailable

NEWCOMER = Method(
    "Hamming",
    "A windowed kernel as narrow as the bilinear one, but sharper.",
    lambda image: enlarge(image, Image.Resampling.HAMMING),
)


def main() -> int:
    methods = {**METHODS, "hamming": NEWCOMER}
    parser = argparse.ArgumentParser(prog="python -m evalhub.studies.demo", description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=methods)
    parser.add_argument("folder", type=Path, help="where <prompt key>.png goes; made if need be")
    parser.add_argument("--facts", type=Path, metavar="FILE", help="also write the measured latency, for --facts")
    asked = parser.parse_args()
    try:
        seconds = write_outputs(methods[asked.method], asked.folder)
        if asked.facts:
            asked.facts.write_text(json.dumps(facts(seconds), indent=2) + "\n")
    except (MaterialUnavailable, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(seconds)} outputs of {asked.method} are in {asked.folder}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
