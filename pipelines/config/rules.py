"""The rules for a table, as a model's YAML declares them: with the names and arguments of Great Expectations.

The known expectations and their arguments are read from the text of the installed package, because importing it takes
4 s. So a misspelt rule is refused before anything runs.
"""

import ast
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from pipelines.config.section import Section
from pipelines.config.words import nearest
from pipelines.safety import syntax

COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")  # those that name columns
BY_ROW = {"ColumnMapExpectation", "ColumnPairMapExpectation", "MulticolumnMapExpectation"}
INTERNAL = {"Expectation", "BatchExpectation"}  # their fields are Great Expectations' own business, and so are ...
HIDDEN = {"catch_exceptions", "library_metadata"}


@dataclass(frozen=True)
class Kind:
    """One expectation of the installed Great Expectations."""

    class_name: str
    by_row: bool  # whether it finds the rows that fail
    arguments: frozenset[str]
    required: frozenset[str]


class Rule(Section):
    """One expectation of Great Expectations: its name, its arguments, and what happens to a row that breaks it."""

    model_config = ConfigDict(extra="allow")

    rule: str
    """The name of the expectation in Great Expectations. Its arguments are further keys."""
    level: Literal["stop", "quarantine", "warn"] = "stop"
    """What happens when a row breaks the rule. `stop` fails the run, `quarantine` sets the row aside, `warn` only
    reports it."""

    @field_validator("rule")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in exported():
            raise ValueError(f"Great Expectations has no {name!r}{nearest(name, list(exported()))}")
        return name

    @model_validator(mode="after")
    def _arguments_fit(self) -> "Rule":
        known = kind(self.rule)
        for key in self.arguments:
            if key not in known.arguments:
                raise ValueError(f"{self.rule} has no argument {key!r}{nearest(key, [*known.arguments, 'level'])}")
        if absent := sorted(known.required - set(self.arguments)):
            raise ValueError(f"{self.rule} needs the argument {absent[0]!r}")
        if self.level == "quarantine" and not known.by_row:
            raise ValueError(f"{self.rule} is about the whole table, so it cannot quarantine rows")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})

    @property
    def columns(self) -> list[str]:
        """The columns that the rule names."""
        named = [self.arguments.get(key, []) for key in COLUMN_ARGUMENTS]
        return [name for names in named for name in (names if isinstance(names, list) else [names])]

    @property
    def title(self) -> str:
        """The rule in one line: column, name and the other arguments."""
        shown = {key: value for key, value in self.arguments.items() if key != "column"}
        about = f"column {self.arguments['column']!r}: " if "column" in self.arguments else ""
        return about + self.rule + (f" {shown}" if shown else "")


class Rules(Section):
    rules: list[Rule] = []
    """The rules that the rows must keep."""
    examples: int = Field(20, ge=0, le=1000)
    """How many failing rows a report shows for each rule. Use 0 where values are private."""


def _core() -> Path:
    found = importlib.util.find_spec("great_expectations")  # finds the package without importing it
    if found is None or not found.submodule_search_locations:
        raise ImportError("great_expectations is not installed")
    return Path(found.submodule_search_locations[0]) / "expectations" / "core"


@cache
def exported() -> dict[str, str]:
    """The name of every expectation, and its class."""
    tree = syntax.tree((_core() / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    return {str(node.module): node.names[0].name for node in imports if str(node.module).startswith("expect_")}


@cache
def kind(name: str) -> Kind:
    """The arguments of an expectation: the fields of its class and of the classes it extends."""
    classes = _bases() | _classes(_core() / f"{name}.py")
    line, current = [], exported()[name]
    while current in classes and current not in INTERNAL:
        line.append(classes[current])
        current = next((base.id for base in classes[current].bases if isinstance(base, ast.Name)), "")
    fields = {field: item for node in reversed(line) for field, item in _fields(node).items()}
    return Kind(
        class_name=exported()[name],
        by_row=any(node.name in BY_ROW for node in line),
        arguments=frozenset(fields),
        required=frozenset(field for field, item in fields.items() if _is_required(item)),
    )


@cache
def _bases() -> dict[str, ast.ClassDef]:
    return _classes(_core().parent / "expectation.py")


def _classes(path: Path) -> dict[str, ast.ClassDef]:
    tree = syntax.tree(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _fields(node: ast.ClassDef) -> dict[str, ast.AnnAssign]:
    items = [item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
    found = {ast.unparse(item.target): item for item in items}
    return {
        name: item
        for name, item in found.items()
        if name not in HIDDEN and not ast.unparse(item.annotation).startswith("ClassVar")
    }


def _is_required(item: ast.AnnAssign) -> bool:
    """A field without a default, as pydantic 1 sees it: `Optional` has one, `Field(...)` may have one."""
    if "Optional" in ast.unparse(item.annotation) or "None" in ast.unparse(item.annotation):
        return False
    if isinstance(item.value, ast.Call):
        return not item.value.args and all(word.arg != "default" for word in item.value.keywords)
    return item.value is None
