"""Requests that the site makes to addresses which its users have named: never to the network it stands in itself.

A name is resolved once, every address behind it is looked at, and the connection goes to the very address that was
looked at; redirections are not followed. So no name can say one thing to the check and another to the connection.
"""

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

import httpx

SECONDS = 10.0
HEARD = 2_000  # bytes of an answer that are read

Address = IPv4Address | IPv6Address


class NotAllowed(Exception):
    """The site does not send anything there; the message is a sentence."""


@dataclass(frozen=True)
class Answer:
    """What came back: HTTP's status, or None with the reason, the beginning of the body, and how long it took."""

    status: int | None
    said: str
    seconds: float

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def check(url: str, allowed: Sequence[str] = ()) -> tuple[str, Address]:
    """The host of the URL and the address to connect to.

    Args: allowed: hosts and networks of our own that may be reached nevertheless, over http too.
    Raises: NotAllowed.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise NotAllowed(f"A port is a number up to 65,535; “{url[:100]}” has another one.") from None
    if parts.scheme not in {"https", "http"} or not host or parts.username is not None:
        raise NotAllowed("An address begins with https:// and a host, and holds no name or password.")
    addresses = _addresses(host, port)
    if not all(_is_ours(host, address, allowed) for address in addresses):
        if parts.scheme != "https":
            raise NotAllowed("An address outside the site's own network begins with https://.")
        if private := [address for address in addresses if not is_public(address)]:
            raise NotAllowed(
                f"{host} is {private[0]}, which is not an address of the public internet. Should it be reached, an "
                "operator adds its host or network to WEBHOOKS_MAY_REACH."
            )
    return host, addresses[0]


def is_public(address: Address) -> bool:
    """Whether it is one of the public internet, also behind what wraps an older kind of address in a newer one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return is_public(inner)
        if address in ip_network("64:ff9b::/96"):
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast


def post(url: str, body: bytes, headers: Mapping[str, str], allowed: Sequence[str] = ()) -> Answer:
    """Send the body; whatever happens is an answer."""
    began = time.monotonic()
    try:
        host, address = check(url, allowed)
        status, said = _post(url, host, address, body, headers)
    except NotAllowed as reason:
        return Answer(None, str(reason), time.monotonic() - began)
    except httpx.HTTPError as error:
        return Answer(None, f"{type(error).__name__}: {error}", time.monotonic() - began)
    return Answer(status, said, time.monotonic() - began)


def _post(url: str, host: str, address: Address, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    place = httpx.URL(url).copy_with(host=str(address))
    named = httpx.URL(url)
    with (
        httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
        client.stream(
            "POST",
            place,
            content=body,
            headers={**headers, "Host": named.netloc.decode()},
            extensions={"sni_hostname": host},
        ) as answer,
    ):
        heard = b""
        for piece in answer.iter_bytes(HEARD):
            heard += piece
            if len(heard) >= HEARD:
                break
        return answer.status_code, heard[:HEARD].decode(errors="replace").replace("\0", "")


def _addresses(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotAllowed(f"No address is known for the host {host[:200]}; check its spelling.") from None
    return [ip_address(str(info[4][0]).split("%")[0]) for info in found]


def _is_ours(host: str, address: Address, allowed: Sequence[str]) -> bool:
    for one in allowed:
        try:
            if address in ip_network(one, strict=False):
                return True
        except ValueError:  # a host, then
            if one.casefold() == host.casefold():
                return True
    return False
