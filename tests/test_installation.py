"""What is true of an installation as a whole."""

import os
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import call_command

from tests.systems import SOURCE


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    said = StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=said)
    assert "No changes detected" in said.getvalue()


def test_a_deployed_site_passes_djangos_checks() -> None:
    """As in production: https, a host name, a long key."""
    environment = {
        # Set by Playwright's tests, for themselves.
        **{name: value for name, value in os.environ.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"},
        "SITE_URL": "https://evalhub.example",
        "ALLOWED_HOSTS": "evalhub.example",
        "SECRET_KEY": "".join(chr(33 + number % 90) for number in range(7, 80)),
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING", "--database", "default"]
    done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# What few pages need and takes long to load. A web server that was killed is away while it loads, and visitors wait.
HEAVY = ["torch", "torchvision", "open_clip", "altair", "vl_convert", "pandas", "pyarrow", "datasets", "av", "boto3"]
HEAVY += ["scipy.linalg", "scipy.optimize", "scipy.sparse", "scipy.special", "imageio", "huggingface_hub"]


def test_the_web_server_starts_without_what_few_pages_need() -> None:
    loaded = python(
        "import sys; from evalhub import wsgi; from django.urls import get_resolver; get_resolver().url_patterns;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_what_the_web_server_has_loaded_is_not_looked_through_for_garbage() -> None:
    """It is shared with the processes that the server forks for as long as nobody writes to it."""
    said = python("import gc; from evalhub import wsgi; print(gc.isenabled(), gc.get_freeze_count() > 100_000)")
    assert said.split() == ["True", "True"]


def test_a_worker_loads_no_torch_before_it_forks() -> None:
    loaded = python(
        "import sys; from evalhub.celery import app; app.loader.import_default_modules();"
        "assert 'metrics.score_shard' in app.tasks; print('torch' in sys.modules)"
    )
    assert loaded.strip() == "False"


def test_the_client_loads_nothing_heavy() -> None:
    loaded = python(
        "import sys; import evalhub.client, evalhub.client.command;"
        "print([name for name in ('django', 'celery', 'torch', 'numpy', 'PIL', 'redis') if name in sys.modules])"
    )
    assert loaded.strip() == "[]"
