"""Where the site is and with which token, from options, the environment, or what `evalhub login` has kept."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import typer


@dataclass(frozen=True)
class Site:
    url: str
    token: str


def kept_in() -> Path:
    return Path(typer.get_app_dir("evalhub")) / "site.json"


def find(url: str | None, token: str | None) -> Site:
    """The site to talk to. A kept token is only ever sent to the site that gave it.

    Raises: typer.BadParameter, with a sentence, when there is no address or no token.
    """
    kept = _kept()
    url = (url or (kept.url if kept else "")).rstrip("/")
    if not url:
        raise typer.BadParameter("No site is known; run `evalhub login --url URL`, or set EVALHUB_URL.")
    token = token or (kept.token if kept and kept.url == url else "")
    if not token:
        raise typer.BadParameter(f"No token for {url} is known; run `evalhub login --url {url}`, or set EVALHUB_TOKEN.")
    return Site(url, token)


def keep(site: Site) -> Path:
    """Write the site down where only its owner can read it."""
    file = kept_in()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump({"url": site.url, "token": site.token}, out)
    unfinished.replace(file)
    return file


def _kept() -> Site | None:
    file = kept_in()
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text())
        return Site(content["url"], content["token"])
    except (ValueError, KeyError, TypeError):
        raise typer.BadParameter(f"{file} is damaged; run `evalhub login` again.") from None
