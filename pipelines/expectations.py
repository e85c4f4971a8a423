"""Great Expectations, one batch of rows at a time: the helper of `validate` and `check`.

Rules about single rows are counted batch by batch. Rules about a whole column whose value can be put
together from batches (its smallest, largest, sum, mean, the number of rows) are. Any other rule needs the whole
table at once and is refused above `WHOLE_ROWS`, never answered from a sample.
"""

import ast
import importlib.util
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, field_validator, model_validator

from pipelines.errors import DataError, SettingsError
from pipelines.settings import Section, nearest

WHOLE_ROWS = 1_000_000  # the largest table that is held at once
COMMON = {"column", "mostly", "row_condition", "condition_parser", "column_A", "column_B", "column_list"}

INTERNAL = {"args_keys", "domain_keys", "library_metadata", "map_metric", "metric_dependencies", "success_keys"}


class Rule(Section):
    """One expectation by its own name and arguments, and what happens to a row that breaks it.

    stop: the run fails. quarantine: the row is set aside. warn: it is only reported.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    rule: str
    level: Literal["stop", "quarantine", "warn"] = "stop"

    @field_validator("rule")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in names():
            raise ValueError(f"Great Expectations has no {name!r}{nearest(name, names())}")
        return name

    @model_validator(mode="after")
    def _arguments_known(self) -> "Rule":
        known = arguments(self.rule)
        for key in self.arguments:
            if key not in known:
                raise ValueError(f"{self.rule} has no argument {key!r}{nearest(key, list(known))}")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})

    @property
    def title(self) -> str:
        shown = {key: value for key, value in self.arguments.items() if key != "column"}
        about = f"{self.arguments['column']}: " if "column" in self.arguments else ""
        return about + self.rule + (f" {shown}" if shown else "")


class Rules(Section):
    rules: list[Rule] = []
    examples: int = Field(20, ge=0, le=1000)  # failing rows shown for each rule


def _folder() -> Path:
    found = importlib.util.find_spec("great_expectations")  # finds the package without importing it: 4 s
    assert found and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "expectations" / "core"


def names() -> list[str]:
    """Every expectation of the installed Great Expectations."""
    return sorted(path.stem for path in _folder().glob("expect_*.py"))


def arguments(name: str) -> set[str]:
    """What an expectation may be given: the fields its class declares, read without importing it."""
    tree = ast.parse((_folder() / f"{name}.py").read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    fields = [item for node in classes for item in node.body if isinstance(item, ast.AnnAssign)]
    own = {item.target.id for item in fields if isinstance(item.target, ast.Name)}
    return COMMON | (own - INTERNAL)


# ------------------------------------------------------------------ what a rule's result is made of

Observed = Callable[[list[float], list[int]], float]
COMBINED: dict[str, Observed] = {  # from each batch's observed value and number of values
    "expect_table_row_count_to_be_between": lambda values, _: sum(values),
    "expect_table_row_count_to_equal": lambda values, _: sum(values),
    "expect_column_min_to_be_between": lambda values, _: min(values),
    "expect_column_max_to_be_between": lambda values, _: max(values),
    "expect_column_sum_to_be_between": lambda values, _: float(np.sum(values)),
    "expect_column_mean_to_be_between": lambda values, counts: float(np.average(values, weights=counts)),
}
SCHEMA = {"expect_column_to_exist", "expect_table_columns_to_match_set", "expect_table_column_count_to_equal"}


class Suite:
    """A list of rules, fed with batches, then asked for its report."""

    def __init__(self, config: Rules, rows: int):
        """rows: of the whole table. Raises SettingsError for a rule that cannot be built or cannot stream."""
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        self.config = config
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = self._context.data_sources.add_pandas("rows").add_dataframe_asset("batch")
        self._definition = asset.add_batch_definition_whole_dataframe("batch")
        self._expectations = [_build(rule, index) for index, rule in enumerate(config.rules)]
        self._results: list[list[Any]] = [[] for _ in config.rules]
        self._whole: list[pd.DataFrame] = []
        self._streams = [_streams(expectation, rule) for expectation, rule in zip(self._expectations, config.rules)]
        if not all(self._streams) and rows > WHOLE_ROWS:
            rule = config.rules[self._streams.index(False)]
            raise DataError(
                f"The rule {rule.title} needs the whole table at once, and {rows:,} rows are more than {WHOLE_ROWS:,}.",
                "Take a rule about single rows, or about a column's smallest, largest, sum or mean.",
            )

    def feed(self, frame: pd.DataFrame) -> None:
        """frame: a batch, with the column row_id."""
        self._run(frame, wanted=True)
        if not all(self._streams):
            self._whole.append(frame)

    def _run(self, frame: pd.DataFrame, wanted: bool) -> None:
        import great_expectations as gx

        chosen = [index for index, streams in enumerate(self._streams) if streams is wanted]
        if not chosen:
            return
        batch = self._definition.get_batch(batch_parameters={"dataframe": frame})
        suite = gx.ExpectationSuite(name="rules", expectations=[self._expectations[index] for index in chosen])
        form = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row_id"]}
        for result in batch.validate(suite, result_format=form).results:  # in an order of its own
            self._results[result.expectation_config.meta["index"]].append(result)

    def report(self) -> list[dict[str, Any]]:
        """For each rule: verdict, counts, observed value, failing row ids and examples."""
        if self._whole:
            self._run(pd.concat(self._whole, ignore_index=True), wanted=False)
        return [self._summary(rule, results) for rule, results in zip(self.config.rules, self._results, strict=True)]

    def _summary(self, rule: Rule, results: list[Any]) -> dict[str, Any]:
        broken = [message for result in results if (message := _exception(result))]
        if broken:
            raise DataError(f"The rule {rule.title} could not be checked: {broken[0]}.")
        failing = [entry for result in results for entry in result.result.get("unexpected_index_list") or []]
        elements = sum(result.result.get("element_count", 0) for result in results)
        observed = _observed(rule, results)
        if rule.rule in COMBINED:
            success = _between(observed, rule.arguments)
        elif failing or elements:
            asked = sum(result.result.get("missing_count") or 0 for result in results)
            counted = elements if "null" in rule.rule else elements - asked
            share = 1 - len(failing) / counted if counted else 1.0
            success = share >= rule.arguments.get("mostly", 1.0)
        else:
            success = all(result.success for result in results)
        column = rule.arguments.get("column")
        examples = [
            {"row_id": entry["row_id"], "value": _plain(entry.get(column))} for entry in failing[: self.config.examples]
        ]
        return {
            "rule": rule.rule,
            "arguments": rule.arguments,
            "level": rule.level,
            "success": bool(success),
            "observed": observed,
            "failing": len(failing),
            "row_ids": [entry["row_id"] for entry in failing],
            "examples": examples,
        }


def _build(rule: Rule, index: int) -> Any:
    import great_expectations.expectations as gxe

    kind = "".join(part.title() for part in rule.rule.split("_"))
    try:
        return getattr(gxe, kind)(**rule.arguments, meta={"index": index})
    except (ValueError, TypeError) as error:
        raise SettingsError(f"The rule {rule.title} is not valid: {' '.join(str(error).split())}.") from error


def _streams(expectation: Any, rule: Rule) -> bool:
    from great_expectations.expectations.expectation import ColumnMapExpectation, ColumnPairMapExpectation

    by_row = isinstance(expectation, ColumnMapExpectation | ColumnPairMapExpectation) and "unique" not in rule.rule
    return by_row or rule.rule in COMBINED or rule.rule in SCHEMA


def _exception(result: Any) -> str:
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    return next((e["exception_message"] for e in entries if isinstance(e, dict) and e.get("raised_exception")), "")


def _observed(rule: Rule, results: list[Any]) -> Any:
    values = [result.result.get("observed_value") for result in results]
    if rule.rule in COMBINED:
        present = [(value, _values(result)) for value, result in zip(values, results) if value is not None]
        return _plain(COMBINED[rule.rule]([v for v, _ in present], [n for _, n in present])) if present else None
    return _plain(values[0]) if len(values) == 1 else None


def _values(result: Any) -> int:
    counts = result.result
    return max(1, (counts.get("element_count") or 1) - (counts.get("missing_count") or 0))


def _between(observed: Any, arguments: dict[str, Any]) -> bool:
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
    """What a failed rule asked, and what was found."""
    column = entry["arguments"].get("column")
    shown = {key: value for key, value in entry["arguments"].items() if key != "column"}
    about = f"column {column!r} " if column else ""
    asked = f" {json.dumps(shown)}" if shown else ""
    if entry["failing"]:
        values = ", ".join(repr(example["value"]) for example in entry["examples"][:3])
        found = f"{entry['failing']} rows" + (f", such as {values}" if values else "")
    else:
        found = f"found {entry['observed']}"
    return f"{about}{entry['rule']}{asked}: {found}"


def frames(batches: Iterable[Any], images: str | None = None) -> Iterable[pd.DataFrame]:
    """Record batches as data frames; an image column becomes pixel_min, pixel_max and pixel_mean."""
    for batch in batches:
        frame = batch.to_pandas()
        if images:
            pixels = np.frombuffer(b"".join(frame.pop(images)), np.uint8).reshape(len(frame), -1)
            frame = frame.assign(
                pixel_min=pixels.min(axis=1), pixel_max=pixels.max(axis=1), pixel_mean=pixels.mean(axis=1)
            )
        yield frame
