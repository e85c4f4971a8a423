"""Plug-ins: what the modules of a folder declare, so that a new file adds a thing and no list is edited."""

import importlib
import pkgutil
from types import ModuleType
from typing import Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> str: ...


P = TypeVar("P", bound=Named)


def found(package: ModuleType, kind: type[P]) -> dict[str, P]:
    """What the modules of a package declare of a kind, by name; modules in the order of their names.

    Raises ValueError if two have one name.
    """
    known: dict[str, P] = {}
    for name in sorted(one.name for one in pkgutil.iter_modules(package.__path__)):
        module = importlib.import_module(f"{package.__name__}.{name}")
        for one in vars(module).values():
            if not isinstance(one, kind):
                continue
            if known.setdefault(one.name, one) is not one:
                raise ValueError(f"{module.__name__} declares a second {kind.__name__} of the name {one.name!r}")
    return known
