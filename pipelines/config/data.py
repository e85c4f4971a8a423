"""The section `data` of a model's YAML: what the rows are."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.config import words
from pipelines.config.section import Section

MOST_ROWS = 100_000  # of one window
MOST_PIXELS = 100_000_000  # of one image, all channels
Word = Literal["day", "week", "business day", "month", "quarter", "year"]  # a step of a series by the calendar
PIXELS = ("pixel_min", "pixel_max", "pixel_mean")  # the columns of an image for rules


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
                raise ValueError(f"`sensitive`: there is no column {name!r}{words.nearest(name, list(self.columns))}")
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
