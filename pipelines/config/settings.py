"""A model's settings: models/<model>.yaml, one section per stage.

This module reads sections. The stage that owns a section declares its keys, as a subclass of `Section`. YAML is read as
version 1.2, as DVC does: `1e-5` is a number and `no` is a word.
"""

import difflib
import keyword
import os
import re
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from ruamel.yaml.error import YAMLError

from pipelines.config import words, yaml_text
from pipelines.config.section import Section
from pipelines.errors import DataError, RequestError, SettingsError
from pipelines.safety import regular_files

FORMAT = 1
FOLDER = Path("models")  # relative to the project, which is every stage's working directory
RESERVED = {"incoming", "champion", "latest", "all", "model", "models"}  # folders and words of the command line
LONGEST_NAME = 100  # letters of a model's name: it becomes the name of files
MOST_BYTES = 1_000_000  # of one YAML file


S = TypeVar("S", bound=Section)


def is_name(word: str) -> bool:
    """Whether it can be a model's name: it becomes the name of files, refs and locks, and part of queries."""
    taken = word in RESERVED or keyword.iskeyword(word)
    return bool(re.fullmatch(r"[a-z][a-z0-9_]*", word)) and len(word) <= LONGEST_NAME and not taken


def check_name(model: str) -> str:
    """The name, if it may be a model's. Raises RequestError."""
    if is_name(model):
        return model
    raise RequestError(
        f"{_shown(model)} cannot be a model's name.",
        f"{suggestion(model)}Use at most {LONGEST_NAME} lower-case letters, digits and underscores, with a letter "
        f"first, and none of the names {', '.join(sorted(RESERVED))}.",
    )


def suggestion(model: str) -> str:
    """ "Did you mean 'digits'? ", if a model here has a similar name and none has this one; else ""."""
    near = difflib.get_close_matches(model[:LONGEST_NAME].lower(), models(), n=1)
    return f"Did you mean {near[0]!r}? " if near and near[0] != model else ""


def models() -> list[str]:
    """The names of the models with a YAML file here; a file with another kind of name is not a model's."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml") if is_name(path.stem))


def read(model: str) -> dict[str, Any]:
    """The whole of models/<model>.yaml, unchecked. Raises RequestError if it does not exist."""
    path = FOLDER / f"{check_name(model)}.yaml"
    if not os.path.lexists(path):
        known = ", ".join(models()) or "none"
        near = difflib.get_close_matches(model, models(), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Models here: {known}."
        raise RequestError(f"There is no model {model!r}: {path} does not exist.", hint)
    try:
        with regular_files.opened(path, [Path.cwd()]) as file:
            text = file.read(MOST_BYTES + 1)
    except DataError as error:
        raise SettingsError(error.what, error.do) from error
    if len(text) > MOST_BYTES:
        raise SettingsError(f"{path} is larger than {MOST_BYTES:,} bytes, so it is not a settings file.")
    try:
        content = yaml_text.plain(text.decode())
    except (YAMLError, ValueError, RecursionError) as error:  # text that is not UTF-8 is a ValueError
        detail = " ".join(str(error).split()).rstrip(".")
        raise SettingsError(f"{path} is not valid YAML: {detail}.", "Correct the file and run again.") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must be a mapping of sections, but is a {type(content).__name__}.")
    if content.get("format") != FORMAT:
        raise SettingsError(
            f"{path}: this version cannot read format {content.get('format')!r}.",
            f"Write `format: {FORMAT}` at the top. FORMATS.md explains it.",
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
    owner, path = _follow(kind, problem["loc"])
    key = ".".join([section, *path])
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{words.nearest(path[-1], list(owner.model_fields))}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "union_tag_not_found":
        return f"{key} needs the key {problem['ctx']['discriminator']}"
    if problem["type"] == "union_tag_invalid":
        known = [_tag(form) for form in _forms(owner.model_fields[path[-1]].annotation)]
        return f"{key}.by: no {problem['ctx']['tag']!r}{words.nearest(problem['ctx']['tag'], known)}"
    if problem["type"] == "model_type":
        return f"{key} should be a mapping, got {_shown(problem['input'])}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{key}: {message}"
    hint = " (write it in quotes)" if isinstance(problem["input"], date) else ""
    return f"{key}: {message[0].lower()}{message[1:]}, got {_shown(problem['input'])}{hint}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _follow(kind: type[Section], place: tuple[Any, ...]) -> tuple[type[Section], list[str]]:
    """The settings class with the last key of pydantic's `place`, and the keys as in the YAML.

    If a section has several forms, the place also contains the form's name, which is no key.
    """
    path: list[str] = []
    for part in place:
        forms = _forms(kind.model_fields[path[-1]].annotation) if path and path[-1] in kind.model_fields else []
        chosen = [form for form in forms if len(forms) == 1 or _tag(form) == part]
        kind = chosen[0] if chosen else kind
        if not (len(forms) > 1 and chosen):
            path.append(str(part))
    return kind, path


def _forms(annotation: Any) -> list[type[Section]]:
    """The settings classes that an annotation names: itself, or the members of a union or a list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [form for part in get_args(annotation) for form in _forms(part)]


def _tag(form: type[Section]) -> str:
    return str(get_args(form.model_fields["by"].annotation)[0])
