"""A model's settings: models/<model>.yaml, one section per stage.

This file reads sections; what a section may hold is declared by the stage that owns it, as a subclass
of `Section`. YAML is read as version 1.2, as DVC does: `1e-5` is a number and `no` is a word.
"""

import difflib
import keyword
import re
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipelines.errors import RequestError, SettingsError

FORMAT = 1
FOLDER = Path("models")  # relative to the project, which is every stage's working directory
RESERVED = {"incoming", "champion", "latest", "all", "model", "models"}  # folders and words of the command line
MOST_BYTES = 1_000_000  # of one YAML file


class Section(BaseModel):
    """One section: unknown keys, wrong types and impossible values are refused; it cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(Section):
    """What the rows are: a parameter of every stage.

    A table's columns are numbers (stored as double), categories (stored as text) or carried along (text that
    no model sees, such as the column that names a split). An image is one binary column `image` of
    height x width x channels bytes, with carried columns beside it if there are any.
    """

    kind: Literal["table", "image"]
    task: Literal["classification", "regression"]
    target: str = Field(min_length=1)
    label: Literal["integer", "text"] = "text"  # of a class; a regression's target is a double
    columns: dict[str, Literal["number", "category", "carried"]] = {}
    shape: list[int] = []  # [height, width, channels]

    @model_validator(mode="after")
    def _kinds_match(self) -> "Data":
        if self.kind == "table" and not self.features:
            raise ValueError("a table needs `columns`: {name: number or category, ...}")
        if self.kind == "table" and self.shape:
            raise ValueError("`shape` belongs to images, not to a table")
        if self.kind == "image" and (len(self.shape) != 3 or min(self.shape) < 1):
            raise ValueError("an image needs `shape`: [height, width, channels]")
        if self.kind == "image" and set(self.columns.values()) - {"carried"}:
            raise ValueError("an image's `columns` can only be carried along: its feature is the image")
        if self.target in (*self.features, *self.columns) or "row_id" in (self.target, *self.columns):
            raise ValueError("the target cannot be a feature, and `row_id` is Ratchet's own column")
        return self

    @property
    def features(self) -> list[str]:
        """The names of the columns that a model may see."""
        return ["image"] if self.kind == "image" else [*self.numbers, *self.categories]

    @property
    def numbers(self) -> list[str]:
        return self._of("number")

    @property
    def categories(self) -> list[str]:
        return self._of("category")

    @property
    def carried(self) -> list[str]:
        return self._of("carried")

    def _of(self, wanted: str) -> list[str]:
        return [name for name, role in self.columns.items() if role == wanted]


S = TypeVar("S", bound=Section)


def check_name(model: str) -> str:
    """The name, if it may be a model's. Raises RequestError."""
    if re.fullmatch(r"[a-z][a-z0-9_]*", model) and model not in RESERVED and not keyword.iskeyword(model):
        return model
    raise RequestError(
        f"{model!r} cannot be a model's name.",
        "A name is lower-case letters, digits and underscores, begins with a letter, and is not one of "
        f"{', '.join(sorted(RESERVED))}.",
    )


def models() -> list[str]:
    """The names of the models that have a YAML file here."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read(model: str) -> dict[str, Any]:
    """The whole of models/<model>.yaml, unchecked. Raises RequestError if there is none to read."""
    path = FOLDER / f"{check_name(model)}.yaml"
    if not path.is_file():
        known = ", ".join(models()) or "none"
        near = difflib.get_close_matches(model, models(), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Models here: {known}."
        raise RequestError(f"There is no model {model!r}: {path} does not exist.", hint)
    if path.stat().st_size > MOST_BYTES:
        raise SettingsError(f"{path} is larger than {MOST_BYTES:,} bytes: that is not a settings file.")
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        detail = " ".join(str(error).split())
        raise SettingsError(f"{path} is not valid YAML: {detail}", "Correct the file and run again.") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must be a mapping of sections, and is a {type(content).__name__}.")
    if content.get("format") != FORMAT:
        raise SettingsError(
            f"{path}: format: {content.get('format')!r} is not one this version reads.",
            f"Write `format: {FORMAT}` at the top; FORMATS.md says what it means.",
        )
    return content


def load(model: str, section: str, kind: type[S]) -> S:
    """One section of a model's YAML. Raises SettingsError naming file, key, value and nearest key."""
    return parse(model, section, read(model).get(section), kind)


def parse(model: str, section: str, content: Any, kind: type[S]) -> S:
    if content is None:
        raise SettingsError(
            f"{FOLDER / model}.yaml has no section {section!r}.", f"Add it; `{section}: {{}}` if it is empty."
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_explain(section, problem, kind) for problem in error.errors())
        raise SettingsError(f"{FOLDER / model}.yaml: {problems}.", "Correct the file and run again.") from error


def _explain(section: str, problem: Any, kind: type[Section]) -> str:
    key = ".".join([section, *(str(part) for part in problem["loc"])])
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{nearest(str(problem['loc'][-1]), _known(kind, problem['loc'][:-1]))}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{key}: {message}"
    return f"{key}: {message[0].lower()}{message[1:]}, got {problem['input']!r}"


def nearest(word: str, known: list[str]) -> str:
    """The end of a sentence about an unknown word: what was probably meant."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(sorted(known))})"


def _known(kind: Any, path: tuple[Any, ...]) -> list[str]:
    """The keys that the settings class at `path` inside `kind` has."""
    for part in path:
        field = getattr(kind, "model_fields", {}).get(part)
        kind = field.annotation if field else kind
    return list(getattr(kind, "model_fields", {}))
