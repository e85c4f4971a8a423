"""A part of requirements.lock: some libraries and all that they need, with the pins and hashes of the whole."""

import re
from collections.abc import Collection, Iterator
from importlib import metadata
from itertools import product

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipelines.errors import RequestError

PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = (("linux", "Linux"), ("darwin", "Darwin"))
ENTRY = re.compile(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", re.MULTILINE | re.DOTALL)  # to the next line without a blank
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def distributions(libraries: Collection[str]) -> set[str]:
    """The installed distributions that bring these top-level names, such as Pillow for PIL.

    Raises RequestError for a library that is not installed.
    """
    brought = metadata.packages_distributions()
    if absent := sorted(set(libraries) - brought.keys()):
        raise RequestError(f"{absent[0]} is not installed, and serving needs it.", "`make run` installs it.")
    return {canonicalize_name(name) for library in libraries for name in brought[library][:1]}


def closure(names: Collection[str]) -> set[str]:
    """The distributions of these names and all that they require on Linux or macOS, with any Python of PYTHONS."""
    found: set[str] = set()
    waiting = {(str(canonicalize_name(name)), "") for name in names}
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = one = waiting.pop()
        seen.add(one)
        found.add(name)
        waiting |= set(_required(name, extra)) - seen
    return found


def _required(name: str, extra: str) -> Iterator[tuple[str, str]]:
    """What a distribution requires, with each extra it asks for. One that is only for other machines is not installed
    here, and nothing is known of what it requires."""
    try:
        texts = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for wanted in map(Requirement, texts):
        if wanted.marker is None or any(wanted.marker.evaluate(one) for one in _environments(extra)):
            yield from ((str(canonicalize_name(wanted.name)), more) for more in {"", *wanted.extras})


def _environments(extra: str) -> Iterator[dict[str, str]]:
    for python, (system, platform) in product(PYTHONS, SYSTEMS):
        yield {
            "python_version": python,
            "python_full_version": f"{python}.9",
            "sys_platform": system,
            "platform_system": platform,
            "extra": extra,
        }


def text(whole: str, names: Collection[str]) -> str:
    """The entries of these distributions, in their order, each with its marker and its hashes.

    Raises RequestError for a name that the whole does not pin.
    """
    kept = [one for one in ENTRY.findall(whole) if _name(one) in names]
    if absent := sorted(set(names) - {_name(one) for one in kept}):
        raise RequestError(f"requirements.lock does not pin {absent[0]}, which serving needs.", "`make lock` pins it.")
    return "".join(kept)


def _name(entry: str) -> str:
    found = NAME.match(entry)
    return str(canonicalize_name(found[0])) if found else ""
