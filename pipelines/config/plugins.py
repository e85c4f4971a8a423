"""Plug-ins: objects that the modules of a folder declare. A new file adds one without a list to edit."""

import importlib
import pkgutil
from types import ModuleType
from typing import Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> str: ...


P = TypeVar("P", bound=Named)


def found(package: ModuleType, kind: type[P]) -> dict[str, P]:
    """The objects of a kind that the modules of a package declare, by name; modules in the order of their names.

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
