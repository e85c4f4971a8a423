"""Great Expectations, one batch of rows at a time: the helper of `validate` and `check`.

Rules about single rows are counted batch by batch. Rules about a whole column are combined from batches if possible
(smallest, largest, sum, mean, number of rows). Any other rule needs the whole table at once, and is refused above
`WHOLE_ROWS`. No rule is answered from a sample.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipelines.config import user_code
from pipelines.config.data import Data
from pipelines.config.rules import Rule, Rules, kind
from pipelines.errors import DataError, SettingsError
from pipelines.table import row_groups

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

WHOLE_ROWS = 1_000_000  # the largest table that is held in memory at once

ROWWISE = {  # whether a row breaks the rule depends on that row alone
    "expect_column_pair_values_a_to_be_greater_than_b",
    "expect_column_pair_values_to_be_equal",
    "expect_column_pair_values_to_be_in_set",
    "expect_column_value_lengths_to_be_between",
    "expect_column_value_lengths_to_equal",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_dateutil_parseable",
    "expect_column_values_to_be_in_set",
    "expect_column_values_to_be_json_parseable",
    "expect_column_values_to_be_null",
    "expect_column_values_to_match_json_schema",
    "expect_column_values_to_match_regex",
    "expect_column_values_to_match_regex_list",
    "expect_column_values_to_match_strftime_format",
    "expect_column_values_to_not_be_in_set",
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_not_match_regex",
    "expect_column_values_to_not_match_regex_list",
    "expect_multicolumn_sum_to_equal",
    "expect_select_column_values_to_be_unique_within_record",
}
EVERY_BATCH = {  # true for a table exactly if true for every part of it
    "expect_column_distinct_values_to_be_in_set",
    "expect_column_to_exist",
    "expect_table_column_count_to_be_between",
    "expect_table_column_count_to_equal",
    "expect_table_columns_to_match_ordered_list",
    "expect_table_columns_to_match_set",
}
Parts = list[tuple[float, int]]  # of each batch that has values: the observed value, and of how many values
COMBINED: dict[str, Callable[[Parts], Any]] = {
    "expect_table_row_count_to_be_between": lambda parts: sum(value for value, _ in parts),
    "expect_table_row_count_to_equal": lambda parts: sum(value for value, _ in parts),
    "expect_column_min_to_be_between": lambda parts: min((value for value, _ in parts), default=None),
    "expect_column_max_to_be_between": lambda parts: max((value for value, _ in parts), default=None),
    "expect_column_sum_to_be_between": lambda parts: sum(value for value, _ in parts),
    "expect_column_mean_to_be_between": lambda parts: _mean(parts) if parts else None,
}


def _mean(parts: Parts) -> float:
    return float(sum(value * count for value, count in parts) / sum(count for _, count in parts))


SetAside = Callable[[list[dict[str, Any]], str], None]  # gets row_id and value of rows that break a rule, and its name
HIDDEN = "(sensitive)"  # in place of a value


class Suite:
    """A list of rules that takes batches of rows and then gives a report. It holds counts and examples, not rows."""

    def __init__(
        self, config: Rules, rows: int, set_aside: SetAside = lambda broken, rule: None, sensitive: Iterable[str] = ()
    ):
        """rows: of the whole table; set_aside: called with the rows that break a rule of level quarantine; sensitive:
        the columns whose values are not shown.

        Raises SettingsError for a rule that cannot be built, DataError for a rule that cannot stream.
        """
        self._tallies = [Tally(rule, config.examples, set_aside, set(sensitive)) for rule in config.rules]
        self._definition = _definition()
        self._expectations = [_build(rule, index) for index, rule in enumerate(config.rules)]
        self._streams = [_streams(rule) for rule in config.rules]
        self._whole: list[pd.DataFrame] = []
        if not all(self._streams) and rows > WHOLE_ROWS:
            rule = config.rules[self._streams.index(False)]
            raise DataError(
                f"The rule {rule.title} needs the whole table at once, but {rows:,} rows are more than {WHOLE_ROWS:,}.",
                "Use a rule about single rows, or about a column's smallest, largest, sum or mean.",
            )

    def feed(self, frame: pd.DataFrame) -> None:
        """frame: a batch, with the column row_id."""
        self._run(frame, streaming=True)
        if not all(self._streams):
            self._whole.append(frame)

    def report(self) -> list[dict[str, Any]]:
        """For each rule: verdict, counts, observed value and examples; for a broken rule also its `words`."""
        if self._whole:
            import pandas as pd

            self._run(pd.concat(self._whole, ignore_index=True), streaming=False)
            self._whole = []
        found = [tally.summary() for tally in self._tallies]
        for entry, tally, expectation in zip(found, self._tallies, self._expectations, strict=True):
            if not entry["success"]:
                entry["words"] = _words(expectation) or tally.rule.title
        return found

    def _run(self, frame: pd.DataFrame, streaming: bool) -> None:
        import great_expectations as gx

        chosen = [self._expectations[i] for i, streams in enumerate(self._streams) if streams is streaming]
        if not chosen:
            return
        batch = self._definition.get_batch(batch_parameters={"dataframe": frame})
        form = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row_id"]}
        found = batch.validate(gx.ExpectationSuite(name="rules", expectations=chosen), result_format=form)
        for result in found.results:  # in an order of its own
            self._tallies[result.expectation_config.meta["index"]].add(result, frame)


class Tally:
    """The sum of one rule's results on batches."""

    def __init__(self, rule: Rule, examples: int, set_aside: SetAside, sensitive: set[str]):
        self.rule, self._most, self._set_aside = rule, examples, set_aside
        self._hidden = not sensitive.isdisjoint(rule.columns)
        self._considered = self._failing = 0
        self._parts: Parts = []
        self._verdicts: list[bool] = []
        self._observed: Any = None
        self._examples: list[dict[str, Any]] = []

    def add(self, result: Any, frame: pd.DataFrame) -> None:
        """One batch's result. Raises DataError if Great Expectations could not check the rule."""
        if problem := _exception(result):
            raise DataError(
                f"The rule {self.rule.title} could not be checked: {problem}", "Correct the rule, or the data."
            )
        found = result.result
        if kind(self.rule.rule).by_row:
            self._considered += (found.get("element_count") or 0) - (found.get("missing_count") or 0)
            self._failing += found.get("unexpected_count") or 0
        if all(self._verdicts):  # until a batch breaks the rule, the last result counts
            self._observed = found.get("observed_value")
        self._verdicts.append(bool(result.success))
        if self.rule.rule in COMBINED and _is_number(observed := found.get("observed_value")):
            self._parts.append((observed, _values(frame, self.rule)))
        failing = found.get("unexpected_index_list") or []
        self._examples += [self._example(entry) for entry in failing[: self._most - len(self._examples)]]
        if self.rule.level == "quarantine":
            self._set_aside([self._example(entry) for entry in failing], self.rule.rule)

    def summary(self) -> dict[str, Any]:
        success, observed = self._verdict()
        if self._hidden and observed is not None:
            observed = HIDDEN
        return {
            "rule": self.rule.rule,
            "arguments": json.loads(json.dumps(self.rule.arguments, default=str)),
            "level": self.rule.level,
            "success": success,
            "observed": _plain(observed),
            "rows": self._considered,
            "failing": self._failing,
            "examples": self._examples,
        }

    def _verdict(self) -> tuple[bool, Any]:
        """Whether the rule holds, and the observed value if it is not about rows."""
        if self.rule.rule in COMBINED and _streams(self.rule):
            observed = COMBINED[self.rule.rule](self._parts)
            return _between(observed, self.rule.arguments), observed
        if self._considered:
            holding = self._considered - self._failing
            return holding / self._considered >= self.rule.arguments.get("mostly", 1.0), None
        return all(self._verdicts), self._observed

    def _example(self, entry: dict[str, Any]) -> dict[str, Any]:
        values = [_plain(entry[name]) for name in self.rule.columns if name in entry]
        shown = HIDDEN if self._hidden else values[0] if len(values) == 1 else values
        return {"row_id": entry["row_id"], "value": shown}


def _words(expectation: Any) -> str:
    """A rule in Great Expectations' words for people; "" for a rule that it only shows as a table."""
    expectation.render()
    value = expectation.rendered_content[0].value
    found = {name: entry.get("value") for name, entry in (value.params or {}).items() if isinstance(entry, dict)}
    plain = {name: f"{v:.12g}" if isinstance(v, float) else v for name, v in found.items()}
    return Template(value.template or "").safe_substitute(plain)


def _definition() -> Any:
    """Great Expectations over data frames in memory, silent: nothing is sent, stored or drawn."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("batch")
    return asset.add_batch_definition_whole_dataframe("batch")


def _build(rule: Rule, index: int) -> Any:
    import great_expectations.expectations as gxe

    try:
        return getattr(gxe, kind(rule.rule).class_name)(**rule.arguments, meta={"index": index})
    except (ValueError, TypeError) as error:
        raise SettingsError(f"The rule {rule.title} is not valid: {' '.join(str(error).split())}.") from error


def _streams(rule: Rule) -> bool:
    """Whether the rule can be answered from batches. A condition would change the weight of a batch's value."""
    combined = rule.rule in COMBINED and "row_condition" not in rule.arguments
    return combined or rule.rule in ROWWISE or rule.rule in EVERY_BATCH


def _is_number(value: Any) -> bool:
    return value is not None and value == value


def _exception(result: Any) -> str:
    """Great Expectations' error in one line; "" if there is none."""
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = [entry for entry in entries if isinstance(entry, dict) and entry.get("raised_exception")]
    return " ".join(str(raised[0]["exception_message"]).split()) if raised else ""


def _values(frame: pd.DataFrame, rule: Rule) -> int:
    """The number of values of a batch behind an observed value."""
    return int(frame[rule.columns[0]].notna().sum()) if rule.columns else len(frame)


def _between(observed: Any, arguments: dict[str, Any]) -> bool:
    """Great Expectations' own sense of `between`: both bounds included unless they are strict."""
    if observed is None:
        return False
    if "value" in arguments:
        return bool(observed == arguments["value"])
    low, high = arguments.get("min_value"), arguments.get("max_value")
    above = low is None or (observed > low if arguments.get("strict_min") else observed >= low)
    below = high is None or (observed < high if arguments.get("strict_max") else observed <= high)
    return bool(above and below)


def _plain(value: Any) -> Any:
    """A value that JSON can hold."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | list | dict) or value is None else str(value)


def told(entry: dict[str, Any]) -> str:
    """A failed rule of a report, and the finding."""
    return f"{asked(entry)}: {found(entry)}"


def asked(entry: dict[str, Any]) -> str:
    """A rule of a report: column, name and the other arguments."""
    column = entry["arguments"].get("column")
    shown = {key: value for key, value in entry["arguments"].items() if key != "column"}
    about = f"column {column!r}: " if column else ""
    return f"{about}{entry['rule']}" + (f" {json.dumps(shown)}" if shown else "")


def found(entry: dict[str, Any]) -> str:
    """The finding for a rule that failed."""
    if not entry["failing"]:
        return f"found {entry['observed']}"
    shown = dict.fromkeys(repr(one["value"]) for one in entry["examples"] if one["value"] not in (HIDDEN, None))
    values = ", ".join([*shown][:3])
    return f"{entry['failing']:,} of {entry['rows']:,} rows break it" + (f", such as {values}" if values else "")


def warnings(report: dict[str, Any]) -> list[str]:
    """The warnings of a report: failed rules of level warn, and skipped checks."""
    failed = [entry for entry in report["rules"] if entry["level"] == "warn" and not entry["success"]]
    skipped = [entry for entry in report["rules"] if "skipped" in entry]
    return [f"warning: {told(entry)}" for entry in failed] + [f"{e['rule']}: {e['skipped']}" for e in skipped]


def read(path: Path, config: Rules, data: Data, derive: user_code.Deriver | None = None) -> Iterator[pd.DataFrame]:
    """A table of raw rows or of windows as its rules see it, some rows at a time; derive: as of `frames`.

    Great Expectations needs a fixed time for every batch. So only the columns that a rule names are read, which allows
    more rows at once in a table with thousands of columns.
    """
    wanted = None if derive is not None or data.kind == "image" else named(config)
    batches = row_groups.batches(path) if wanted is None else row_groups.larger(row_groups.batches(path, wanted))
    return frames(batches, data.kind == "image", derive)


def named(config: Rules) -> list[str] | None:
    """The columns that the rules name, and row_id; None for all, if a rule may read other columns."""
    if any("row_condition" in rule.arguments or not (rule.columns or rule.rule in COMBINED) for rule in config.rules):
        return None
    return sorted({"row_id", *(name for rule in config.rules for name in rule.columns)})


def frames(
    batches: Iterable[pa.RecordBatch], image: bool = False, derive: Callable[[pd.DataFrame], pd.DataFrame] | None = None
) -> Iterator[pd.DataFrame]:
    """Batches as data frames, as rules see them. image: whether pixel_min, pixel_max and pixel_mean replace the column
    `image`; derive: makes further columns of some rows (user_code.py)."""
    for batch in batches:
        frame = batch.to_pandas()
        if image:
            pixels = np.frombuffer(b"".join(frame.pop("image")), np.uint8).reshape(len(frame), -1)
            frame = frame.assign(
                pixel_min=pixels.min(axis=1), pixel_max=pixels.max(axis=1), pixel_mean=pixels.mean(axis=1)
            )
        yield frame if derive is None else frame.join(derive(frame))
