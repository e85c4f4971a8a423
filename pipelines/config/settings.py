"""A model's settings: models/<model>.yaml, one section per stage.

This module reads sections. The stage that owns a section declares its keys, as a subclass of `Section`. YAML is read as
version 1.2, as DVC does: `1e-5` is a number and `no` is a word.
"""

import difflib
import keyword
import math
import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipelines.errors import DataError, RequestError, SettingsError
from pipelines.safety import regular_files

FORMAT = 1
FOLDER = Path("models")  # relative to the project, which is every stage's working directory
RESERVED = {"incoming", "champion", "latest", "all", "model", "models"}  # folders and words of the command line
LONGEST_NAME = 100  # letters of a model's name: it becomes the name of files
MOST_BYTES = 1_000_000  # of one YAML file
MOST_VALUES = 1_000_000  # of one YAML file, its aliases written out,
MOST_DEPTH = 50  # and so deep
MOST_ROWS = 100_000  # of one window
MOST_PIXELS = 100_000_000  # of one image, all channels
Word = Literal["day", "week", "business day", "month", "quarter", "year"]  # a step of a series by the calendar
PIXELS = ("pixel_min", "pixel_max", "pixel_mean")  # the columns of an image for rules


class Section(BaseModel):
    """One section: unknown keys, wrong types and impossible values are refused; it cannot be changed.

    The text below a key is its description in docs/reference/model-yaml.md, which `make docs` writes.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Data(Section):
    """What the rows are. Every stage reads this section.

    A table's columns are numbers (stored as double), categories (stored as text), dates (stored as ISO text in UTC)
    or carried along (text that no model sees, such as the column that names a split). An image is one binary column
    `image` of height x width x channels bytes, with carried columns beside it if there are any. A sequence's rows are
    observations at instants a `step` apart; a model sees `window` of them, and predicts the target `horizon` rows
    after the last of these.
    """

    kind: Literal["table", "image", "sequence"]
    """`table` has a row of values for each case, `image` one picture, `sequence` observations over time."""
    task: Literal["classification", "regression"]
    """`classification` predicts a class, `regression` a number."""
    target: str = Field(min_length=1)
    """The column to predict."""
    label: Literal["integer", "text"] = "text"
    """The type of a class. Only for a classification."""
    columns: dict[str, Literal["number", "category", "date", "carried"]] = {}
    """The columns to read, by name. `number`, `category` and `date` are features. A `carried` column is kept, but no
    model sees it."""
    shape: list[int] = []
    """Height, width and channels of an image."""
    sensitive: list[str] = []
    """Columns whose values appear in no report, message, page or kept row. The target cannot be one."""
    time: str = ""
    """The date column of a sequence."""
    series: list[str] = []
    """The category or carried columns that tell the series of a sequence apart."""
    step: Annotated[float, Field(ge=0)] | Word = 0.0
    """Seconds from one row of a sequence to the next; or `day`, `week`, `business day` (Monday to Friday), `month`,
    `quarter` or `year`, each of which has one row, at whatever day and time within it. Steps may lack their row."""
    window: int = Field(0, ge=0, le=MOST_ROWS)
    """How many rows of a sequence the model sees for one prediction."""
    horizon: int = Field(1, ge=1)
    """How many rows after the last one of the window the predicted row comes."""
    seasons: list[int] = []
    """After how many steps a series repeats itself, such as `[24, 168]` for hours. The model also sees the target that
    was known one season before the predicted row. The first one is that of `baseline`."""
    baseline: Literal["last", "mean", "season", "season_and_change"] | None = None
    """The forecast without a model, which a network begins with and adds a change to, and which `skill` compares with.
    `last`: the last known value. `mean`: the mean of the window. `season`: the value one season before.
    `season_and_change`: that value, and the change since then of the last known one. Without the key it is `last`, and
    the network begins anywhere."""

    @model_validator(mode="after")
    def _kinds_match(self) -> "Data":
        if self.kind == "table" and not self.features:
            raise ValueError("a table needs `columns`: {name: number or category, ...}")
        if self.kind != "image" and self.shape:
            raise ValueError(f"`shape` belongs to images, not to a {self.kind}")
        if self.kind == "image" and (len(self.shape) != 3 or min(self.shape) < 1):
            raise ValueError("an image needs `shape`: [height, width, channels]")
        if math.prod(self.shape) > MOST_PIXELS:
            raise ValueError(f"an image of shape {self.shape} is larger than {MOST_PIXELS:,} bytes")
        if self.kind == "image" and set(self.columns.values()) - {"carried"}:
            raise ValueError("an image's `columns` can only be carried: its only feature is the image")
        return self

    @model_validator(mode="after")
    def _sequence_fits(self) -> "Data":
        if self.kind != "sequence":
            own = {"time", "series", "step", "window", "horizon", "seasons", "baseline"}
            if used := own & self.model_fields_set:
                raise ValueError(f"`{min(used)}` belongs to a sequence, not to a {self.kind}")
            return self
        if self.task != "regression":
            raise ValueError("a sequence forecasts a number, so its task must be regression")
        if not (self.time and self.step and self.window):
            raise ValueError("a sequence needs `time`: its date column, `step`: seconds, and `window`: rows")
        if not isinstance(self.step, str) and round(self.step * 1e6) < 1:
            raise ValueError(f"`step` must be a microsecond or more, got {self.step} seconds")
        if self.dates != [self.time]:
            raise ValueError(f"a sequence must have one column of role date, that of `time`, got {self.dates}")
        if wrong := [name for name in self.series if self.columns.get(name) not in ("category", "carried")]:
            raise ValueError(f"`series` must name columns of role category or carried, but {wrong[0]!r} is not")
        if taken := [name for name in (self.past_target, *self.lags) if name in self.columns]:
            raise ValueError(f"{taken[0]!r} cannot be a column: it is the history of the target")
        return self

    @model_validator(mode="after")
    def _seasons_fit(self) -> "Data":
        if wrong := [season for season in self.seasons if not 2 <= season <= MOST_ROWS]:
            raise ValueError(f"`seasons` must have from 2 to {MOST_ROWS:,} steps each, got {wrong[0]}")
        if len(set(self.seasons)) < len(self.seasons):
            raise ValueError("`seasons` names a season twice")
        if (self.baseline or "").startswith("season") and not self.seasons:
            raise ValueError(f"`baseline: {self.baseline}` needs `seasons`: [steps of a season]")
        return self

    @model_validator(mode="after")
    def _names_are_free(self) -> "Data":
        if self.target in (*self.shown, *self.columns):
            raise ValueError(f"the target {self.target!r} cannot be one of the `columns` too")
        own = {"row_id", ""} | ({"image", *PIXELS} if self.kind == "image" else set())
        if taken := sorted(own & {self.target, *self.columns}):
            raise ValueError(f"{taken[0]!r} cannot be the name of a column: Ratchet uses it for something else")
        return self

    @model_validator(mode="after")
    def _sensitive_ones_are_columns(self) -> "Data":
        for name in self.sensitive:
            if name == self.target:
                raise ValueError(f"the target {name!r} cannot be sensitive: every report shows its values")
            if name not in self.columns:
                raise ValueError(f"`sensitive`: there is no column {name!r}{nearest(name, list(self.columns))}")
        return self

    @model_validator(mode="after")
    def _label_is_used(self) -> "Data":
        if self.task == "regression" and "label" in self.model_fields_set:
            raise ValueError("`label` belongs to a classification: the target of a regression is a number")
        return self

    @property
    def features(self) -> list[str]:
        """The names of the columns that a model may see."""
        if self.kind == "sequence":
            return [*self.past_numbers, *self.past_categories, *self.lags, *self.fixed, *self.dates]
        return self.shown

    @property
    def shown(self) -> list[str]:
        """The same with their names in raw.parquet."""
        return ["image"] if self.kind == "image" else [*self.numbers, *self.categories, *self.dates]

    @property
    def kept(self) -> list[str]:
        """The features whose values may be kept with a model."""
        return [name for name in self.features if name not in self.sensitive]

    @property
    def numbers(self) -> list[str]:
        return self._of("number")

    @property
    def categories(self) -> list[str]:
        return self._of("category")

    @property
    def dates(self) -> list[str]:
        return self._of("date")

    @property
    def past_target(self) -> str:
        """The column of a sequence's windows with the past values of the target."""
        return f"past_{self.target}"

    @property
    def lags(self) -> dict[str, int]:
        """The columns of a sequence's windows with single values of the target, and how many steps these come before
        the predicted row: for each season the value one season before that row, or as many as it takes for it to be
        known, and the value one season before the last row of the window."""
        found: dict[str, int] = {}
        for season in self.seasons:
            before = season * -(-self.horizon // season)
            found |= {f"{self.target}_{steps}_before": steps for steps in (before, before + self.horizon)}
        return found

    @property
    def past_numbers(self) -> list[str]:
        """The numbers in the windows of a sequence."""
        return [*self.numbers, self.past_target]

    @property
    def past_categories(self) -> list[str]:
        """The categories in the windows of a sequence."""
        return [name for name in self.categories if name not in self.series]

    @property
    def fixed(self) -> list[str]:
        """The categories that name the series of a sequence. They are constant in a window."""
        return [name for name in self.categories if name in self.series]

    @property
    def carried(self) -> list[str]:
        return self._of("carried")

    def _of(self, wanted: str) -> list[str]:
        return [name for name, role in self.columns.items() if role == wanted]


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
        content = plain_yaml(text.decode())
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


def plain_yaml(text: str) -> Any:
    """The content of a YAML text. Raises YAMLError or RecursionError, ValueError if it is too deep or too large."""
    depth = deepest = 0
    for found in re.finditer(r"[\[{\]}]", text):  # the parser takes seconds to give up
        depth = max(0, depth + (1 if found[0] in "[{" else -1))
        deepest = max(deepest, depth)
    if deepest > 4 * MOST_DEPTH:  # some may stand in words
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
    content = YAML(typ="safe", pure=True).load(text)
    _size(content)
    return content


def _size(content: Any, depth: int = 0, known: dict[int, int] | None = None) -> int:
    """The number of values once every alias is expanded. Raises ValueError for too many, or too deep.

    A few lines of aliases of aliases can expand to billions of values, and an alias that contains itself has no end.
    """
    known = {} if known is None else known
    if depth > MOST_DEPTH:
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        parts = [*content, *content.values()] if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_size(part, depth + 1, known) for part in parts)
    if known[id(content)] > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES:,} values once its aliases are expanded")
    return known[id(content)]


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
        return f"{key}: unknown key{nearest(path[-1], list(owner.model_fields))}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "union_tag_not_found":
        return f"{key} needs the key {problem['ctx']['discriminator']}"
    if problem["type"] == "union_tag_invalid":
        known = [_tag(form) for form in _forms(owner.model_fields[path[-1]].annotation)]
        return f"{key}.by: no {problem['ctx']['tag']!r}{nearest(problem['ctx']['tag'], known)}"
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


def nearest(word: str, known: list[str]) -> str:
    """The end of a sentence about an unknown word: a similar known word, or all known ones."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(sorted(known))})"


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
