"""The names that a server may be called by, and the pages that may send to it.

A page of another site can make a browser send requests to this machine, also by a name of its own that leads here. So
a request must name this server in `Host`, and if it names a page in `Origin`, that page must be this server's.
"""

import ipaddress
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    return host in LOOPBACK


def name(address: str) -> str:
    """The name in a header `Host`, without its port and in small letters; "" if it is not a name with or without one.

    >>> name("LocalHost:8000")
    'localhost'
    >>> name("[::1]:8000")
    '::1'
    >>> name("evil.example/127.0.0.1")
    ''
    """
    try:
        found = urlsplit(f"http://{address}")
        found.port  # noqa: B018 (raises ValueError if it is none)
    except ValueError:
        return ""
    plain = found.path == found.query == found.fragment == "" and not set("@#?\\ ") & set(address)
    return found.hostname or "" if plain else ""


def is_number(host: str) -> bool:
    """Whether a name is an address in digits: nobody else can make such a one lead here."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_same_origin(origin: str, address: str) -> bool:
    """Whether a page of `origin` came from the server that was called by `address`, a header `Host`."""
    return origin in (f"http://{address}", f"https://{address}")
