"""Draft: the sections of a new model's YAML, each value with its reason.

Nothing here knows the name of a file or a column. docs/reference/model-yaml.md says what the numbers mean; those
with a rule of thumb in them say so beside the rule.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from flows.new import column_types, recipe
from flows.new.column_types import Column
from flows.new.rehearsal import Rehearsed
from flows.new.relations.find import Relations
from flows.new.relations.problem import Judged
from flows.new.target import FEWEST_OF_CLASS, Target
from flows.new.text_files.dialect import Reading
from flows.new.yaml_comments import Said
from pipelines.readers.meaning.values import READER
from pipelines.table import time_edges
from pipelines.table.rows import MISSING
from pipelines.table.time_edges import Moving
from pipelines.validate import Validate

MOST_RULES = 100  # columns that get a rule of their own
MOST_WORDS = 20  # of a category that gets a rule,
MOST_LETTERS = 2000  # and letters of them all
ROOM = 0.5  # how far beyond the range that was seen a number may lie, as a share of that range
FAR = 0.3  # of the range: a number whose least is so far above 0 will hardly pass it
EVEN = 0.2  # the share of the rarest class times the number of classes, below which accuracy tells too little
UNEVEN = 0.6  # the same, below which the YAML says how classes are weighted: of two the rarer has less than 30 %
ROOM_FOR_EQUAL = 0.01  # of the rows of a split, where rows repeat, and none yet has another target
WIDEST_MARGIN = 0.2  # that few rows of a class lead to
METRICS = {
    "two": ["roc_auc", "accuracy", "balanced_accuracy", "log_loss", "f1_macro"],
    "several": ["accuracy", "balanced_accuracy", "log_loss", "f1_macro"],
    "regression": ["mean_absolute_error", "root_mean_squared_error", "r2"],
}
DAILY = {"cron": "0 4 * * *", "timezone": "UTC"}


@dataclass(frozen=True)
class Draft:
    """What is known of a table, from which the sections are made."""

    source: str
    reading: Reading
    columns: list[Column]  # without the target
    target: Target
    rows: int  # that were looked at
    more: bool = False  # whether the file has others
    group: list[str] = field(default_factory=list)  # columns whose equal rows stay together
    seed: int = 0
    moments: pd.Series | None = None  # of each row, where the split is by time: later rows are predicted from earlier
    found: Rehearsed | None = None
    judged: Judged | None = None  # what a constant answer and a quick fit reach
    relations: Relations | None = None  # what the columns say of each other

    def sections(self) -> dict[str, Any]:
        """All of the YAML, in order."""
        return {
            "format": 1,
            "data": self.data(),
            "ingest": self.ingest(),
            "validate": {"rules": self.rules()} | self.quarantine(),
            "clean": self.clean(),
            "check": self.check(),
            "train": self.train(),
            "evaluate": {"metrics": self.metrics},
            "promote": self.promote(),
            "schedule": Said(DAILY, "at four in the morning, where there are new rows; {} for never"),
        }

    @property
    def seen(self) -> list[Column]:
        """What the model sees."""
        return [column for column in self.columns if column.role != "ignore" and column.name not in self.group]

    def data(self) -> dict[str, Any]:
        label = {"label": "integer"} if self.target.label == "integer" else {}
        columns = {column.name: Said(column.role, column.why) for column in self.seen}
        together = Said("carried", "rows equal in it stay together; the model does not see it")
        told = Said("carried", "tells copies of a row from other rows that are equal; the model does not see it")
        return {
            "kind": "table",
            "task": Said(self.target.task, self.target.why),
            "target": self.target.name,
            **label,
            "columns": columns | dict.fromkeys(self.group, together) | dict.fromkeys(self.carried, told),
        }

    @property
    def carried(self) -> list[str]:
        """An identifier that is kept beside the rows."""
        return [name for name in self.relations.carried if name not in self.group] if self.relations else []

    @property
    def left_out(self) -> list[Column]:
        kept = {*self.group, *self.carried}
        return [column for column in self.columns if column.role == "ignore" and column.name not in kept]

    def ingest(self) -> dict[str, Any]:
        found: dict[str, Any] = {"source": self.source, "reader": Said(READER, "the rules for what a value means")}
        found |= {key: Said(value, self.reading.why.get(key, "")) for key, value in self.reading.keys.items()}
        known = self.reading.keys.get("missing", MISSING)
        marks = column_types.marks(
            [*self.columns, Column(self.target.name, "target", "", marks=self.target.marks)], known
        )
        if more := marks[len(MISSING) :]:
            found["missing"] = Said(marks, f"{', '.join(map(repr, more))}: where a value is missing")
        dates = [column for column in self.seen if column.role == "date"]
        if forms := {column.name: column.form for column in dates if column.form != column_types.ISO}:
            found["dates"] = forms
        if dates:
            found["timezone"] = Said("UTC", "of instants that do not say theirs")
        if self.left_out:
            found["ignore"] = [Said(column.name, column.why) for column in self.left_out]
        return found

    def rules(self) -> list[Said]:
        """With room to breathe: what is far from all that was seen stops the run or is set aside, no more."""
        least = max(1, int(rounded(self.rows / 2)))
        table = {"rule": "expect_table_row_count_to_be_between", "min_value": least}
        about = [rule for column in self.seen[:MOST_RULES] for rule in _about(column)]
        return [Said(table, f"half of the {self.rows:,} rows that were there"), *self._about_target(), *about]

    def _about_target(self) -> list[Said]:
        name = self.target.name
        lacks = {"rule": "expect_column_values_to_not_be_null", "column": name, "level": "quarantine"}
        found = [Said(lacks, "a row without one teaches nothing")]
        if not self.target.classes:
            values, times = np.unique(self.target.values, return_counts=True)
            low, high = float(values[0]), float(values[-1])
            return [*found, _between(name, low, high, column_types.ends(values, times))]
        known = {"rule": "expect_column_values_to_be_in_set", "column": name, "value_set": sorted(self.target.kept)}
        if rare := self.target.rare:
            why = f"set aside: {', '.join(map(repr, rare[:5]))}, under {FEWEST_OF_CLASS} rows each"
            return [*found, Said(known | {"level": "quarantine"}, why)]
        return [*found, Said(known, "a class that is not in this list is new")]

    def quarantine(self) -> dict[str, Said]:
        """A limit that the rows which the rules set aside do not pass, where they are many; else {}."""
        share = 1 - (sum(self.target.kept.values()) or len(self.target.values)) / self.rows
        if 2 * share <= Validate().quarantine_limit:
            return {}
        why = f"{share:.1%} of the rows have no target, or a class of too few rows: they are set aside"
        return {"quarantine_limit": Said(min(1.0, _up(2 * share)), why)}

    def clean(self) -> dict[str, Any]:
        if self.relations is None:
            return {"split": self.split()}
        return {"duplicates": Said(self.relations.equal, self.relations.why_equal), "split": self.split()}

    def split(self) -> Any:
        why = self.relations.why_split if self.relations else ""
        if self.moments is not None:
            name = str(self.moments.name)
            return Said(moving(name), f"{why or name}: later rows are judged by what earlier ones taught")
        by: dict[str, Any] = {"by": "hash", "seed": self.seed, "validation": recipe.VALIDATION, "test": recipe.TEST}
        if self.group:
            return Said(by | {"key": self.group}, self.relations.why_group if self.relations else "")
        return Said(by, why)

    def check(self) -> dict[str, Any]:
        """By the rows that clean leaves; of all splits, since one may have none: more rows bring more."""
        overlap = max(self.found.repeated, *self.found.overlap.values()) if self.found else 0.0
        if overlap:
            why = f"{overlap:.2g} of the rows have the features of one with another target: few columns, or an entity"
            return {"overlap": Said(min(1.0, _up(2 * overlap)), why)}
        if self.relations and self.relations.equal == "keep" and not self.group:
            return {"overlap": Said(ROOM_FOR_EQUAL, "equal rows lie in one split; a later one may have another target")}
        return {}

    def train(self) -> dict[str, Any]:
        return recipe.table(self.rows, len(self.seen)) | self.loss() | self.class_weights()

    def loss(self) -> dict[str, Said]:
        """The key of that name, if not the usual one."""
        if self.judged is None or not self.judged.loss:
            return {}
        why = "a few large values of the target would rule squared errors"
        return {"loss": Said(self.judged.loss, why)}

    def class_weights(self) -> dict[str, Said]:
        """The key of that name, where some class is rare; {} where none is."""
        if not self.target.classes or self.target.rarest >= UNEVEN:
            return {}
        metric, kept = self.promote()["metric"], self.target.kept
        rare = min(kept, key=lambda name: kept[name])
        share = f"{rare!r} has {kept[rare] / sum(kept.values()):.1%} of the rows"
        if (found := recipe.class_weights(metric)) == "balanced":
            return {"class_weights": Said(found, f"{share}, and {metric} counts every class alike")}
        cost = f"but balanced makes probabilities untrue and {metric} no better"
        switch = "to find more of the rare rows write balanced here, and balanced_accuracy below"
        return {"class_weights": Said(found, f"{share}, {cost}; {switch}")}

    @property
    def metrics(self) -> list[str]:
        if self.target.task == "regression":
            return METRICS["regression"]
        return METRICS["two" if len(self.target.kept) == 2 else "several"]

    def promote(self) -> dict[str, Any]:
        """The floor lies between a constant answer and a quick linear fit, the margin where so many rows tell two
        models apart."""
        test = self.found.rows["test"] if self.found else self.rows // 5
        apart = f"what {test:,} test rows can tell apart"
        metric, trivial, judged = self._judged_by(test)
        if metric in ("accuracy", "balanced_accuracy", "roc_auc"):
            margin = self._margin(metric, test, rounded(0.38 / max(judged, 1.0) ** 0.5), apart)
            least = trivial + 0.1 * (1 - trivial)
            return {"metric": metric, "at_least": self._floor(metric, trivial, least, margin.value), "margin": margin}
        margin = Said(rounded(0.45 * trivial / test**0.5), apart)
        return {
            "metric": metric,
            "at_most": self._floor(metric, trivial, 0.95 * trivial, margin.value),
            "margin": margin,
        }

    def _floor(self, metric: str, trivial: float, usual: float, margin: float) -> Said:
        """Half of what the quick fit gains on a constant answer, less what few test rows may hide."""
        why = f"no model at all: {trivial:.4g}"
        scores = self.judged.scores.get(metric) if self.judged else None
        if scores is None or not scores.wins:
            return Said(rounded(usual), why + ("; nor is a quick linear fit better" if scores else ""))
        gain = max(0.1 * scores.gain, min(0.5 * scores.gain, scores.gain - 2 * margin))
        floor = scores.constant + (gain if scores.greater_is_better else -gain)
        return Said(_digits(floor), f"{why}; a quick linear fit: {scores.linear:.4g}")

    def _margin(self, metric: str, test: int, usual: float, apart: str) -> Said:
        """A margin that an equal candidate can meet on the test rows of each class, at most WIDEST_MARGIN if more than
        usual."""
        from flows.promotion.statistics import power

        classes = self.found.classes if self.found else {}
        if not classes:
            kept = self.target.kept
            classes = {str(name): max(1, count * test // sum(kept.values())) for name, count in kept.items()}
        met = power.margin_before_training(metric, list(classes.values()))
        if met is None or met <= usual:
            return Said(usual, apart)
        rarest, count = power.scarce(metric, classes)
        rows = f"{count:,} test rows of {rarest!r}" if rarest else f"{count:,} test rows"
        if met <= WIDEST_MARGIN:
            return Said(met, f"the least that an equal candidate meets with {rows}")
        margin = max(usual, WIDEST_MARGIN)
        passes = power.before_training(metric, list(classes.values()), margin) or 0.0
        needed = power.scarce_rows_needed(metric, classes, margin)
        more = f"; about {needed:,} are needed" if needed else ""
        return Said(margin, f"with {rows} an equal candidate meets it {passes:.0%} of the time{more}")

    def _judged_by(self, test: int) -> tuple[str, float, float]:
        """The metric of the gate, what a constant answer reaches by it, and how many of the test rows count: those of a
        rare class decide a ROC AUC."""
        counts = list(self.target.kept.values())
        if not counts:
            trivial = float((self.target.values - self.target.values.median()).abs().mean())
            metric = self.judged.metric if self.judged else "mean_absolute_error"
            return metric, self.judged.scores[metric].constant if self.judged else trivial, test
        share = max(counts) / sum(counts)
        if len(counts) == 2:
            return "roc_auc", 0.5, 2 * (1 - share) * test
        metric = self.judged.metric if self.judged else "balanced_accuracy" if self.uneven else "accuracy"
        reached = {"accuracy": share, "balanced_accuracy": 1 / len(counts)}
        if self.judged:
            reached |= {name: scores.constant for name, scores in self.judged.scores.items()}
        return metric, reached[metric], test

    @property
    def uneven(self) -> bool:
        """Whether some class is so rare that accuracy tells too little."""
        return bool(self.target.classes) and self.target.rarest < EVEN


def moving(column: str) -> dict[str, Any]:
    """The split whose newest rows are the test; it moves on with the data, so that training gets new rows too."""
    return {"by": "time", "column": column, "validation": recipe.VALIDATION, "test": recipe.TEST}


def can_move(moments: pd.Series) -> bool:
    """Whether rows at these instants can be parted so, and half of them are left to train on."""
    times = moments.dt.as_unit("us").astype("int64").to_numpy()
    found = time_edges.of(times, Moving("", recipe.VALIDATION, recipe.TEST))
    return found is not None and bool((times < found.validation_from).mean() >= 0.5)


def _about(column: Column) -> list[Said]:
    """The rules for one column."""
    found = []
    if column.role == "number":
        found.append(_between(column.name, column.low, column.high, column.ends))
    elif column.role == "category" and len(column.words) <= MOST_WORDS and _letters(column.words) <= MOST_LETTERS:
        rule = {"rule": "expect_column_values_to_be_in_set", "column": column.name, "value_set": sorted(column.words)}
        found.append(Said(rule | {"mostly": 0.95, "level": "warn"}, "other words count as unknown"))
    if (most := _up(min(1.0, 2 * column.missing + 0.05))) < 1:
        filled: dict[str, Any] = {"rule": "expect_column_values_to_not_be_null", "column": column.name}
        filled["mostly"] = round(1 - most, 4)
        found.append(Said(filled, f"{column.missing:.1%} were missing" if column.missing else "none was missing"))
    return found


def _letters(words: tuple[str, ...]) -> int:
    return sum(map(len, words))


def _between(name: str, low: float, high: float, ends: bool) -> Said:
    least, most = _room(low, high, ends)
    rule = {"rule": "expect_column_values_to_be_between", "column": name, "min_value": least, "max_value": most}
    return Said(rule | {"level": "quarantine"}, f"seen: {low:.6g} to {high:.6g}")


def _room(low: float, high: float, ends: bool) -> tuple[float, float]:
    """The range with room on both sides, in round numbers.

    What was never negative stays so where many values lie at the lower end, or none near 0. Else the next may be
    negative: a temperature before the first frost.
    """
    more = ROOM * (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(more)) / 2
    least, most = math.floor((low - more) / step) * step, math.ceil((high + more) / step) * step
    stays = low >= 0 > least and (ends or low > FAR * (high - low))
    return _short(0.0 if stays else least), _short(most)


def _short(value: float) -> float:
    """Without the noise of the last digits, and without a point where there is no need."""
    found = float(f"{value:.12g}")
    return int(found) if found.is_integer() else found


def _up(share: float) -> float:
    """A share, rounded up to two digits after the point."""
    return math.ceil(round(share * 100, 6)) / 100


def _digits(value: float) -> float:
    """To three significant digits."""
    return float(f"{value:.3g}")


def rounded(value: float) -> float:
    """To two significant digits."""
    return float(f"{value:.2g}")
