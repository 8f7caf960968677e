"""Run beside a live system (`python -m tests.benchmarks._electorate SLUG RATERS PROMPTS EDGE`): a study with real
pictures and copies, and raters who have begun, each with a session. Prints as JSON how they come in."""

import json
import sys

import django
import numpy as np
from PIL import Image

CONTESTANTS = 4


def main(slug: str, raters: int, prompts: int, edge: int) -> None:
    from django.test import Client

    from evalhub.studies.models import User
    from raters import services
    from tests.raters.conftest import make_desk

    desk = make_desk(slug=slug, prompts=prompts)
    for number in range(CONTESTANTS):
        desk.contestant(f"Contestant {number}", lambda place, contestant: picture(place, contestant, edge))
    services.prepare_presentation(study=desk.study)
    sessions = []
    for number in range(raters):
        desk.rater(f"{slug}-{number}")
        client = Client()
        client.force_login(User.objects.get(username=f"{slug}-{number}"))
        (cookie,) = client.cookies.values()
        sessions.append(cookie.value)
    print(json.dumps({"slug": slug, "sessions": sessions}))


def picture(place: int, contestant: int, edge: int) -> Image.Image:
    """Clouds with a little grain: like a photograph, neither flat nor pure noise."""
    random = np.random.default_rng([place, contestant])
    coarse = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize(
        (edge, edge), Image.Resampling.BICUBIC
    )
    grain = random.integers(-6, 7, (edge, edge, 1))
    return Image.fromarray(np.clip(np.asarray(coarse, dtype=np.int16) + grain, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1], *(int(each) for each in sys.argv[2:5]))
