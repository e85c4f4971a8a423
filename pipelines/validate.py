"""Validate: does the raw table keep its rules?

    python -m pipelines validate digits

    data/<model>/raw.parquet, pin.json  ->  validation.json, quarantine.parquet, profile.json

`drift` compares with the profile of the last good version, which is pinned together with the data. Two rules always
hold: the table has rows, and every row has a target. To set rows without a target aside instead, declare
expect_column_values_to_not_be_null for the target; rows of a sequence may lack it. A failed run leaves its report and
the profile in data/<model>/failed/.
"""

import json
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from pipelines import visible_text
from pipelines.config import settings, user_code
from pipelines.config.data import Data
from pipelines.config.rules import Rule, Rules
from pipelines.config.section import Section
from pipelines.config.settings import FORMAT
from pipelines.config.stage import Stage
from pipelines.errors import ExpectationError
from pipelines.table import expectations, id_sets, profile, row_groups
from pipelines.table.expectations import Suite
from pipelines.table.profile import Profile

QUARANTINE = pa.schema([("row_id", pa.string()), ("rule", pa.string()), ("value", pa.string())])
COMMON = 10  # where values are private, the profile names only words that so many rows share


class Drift(Section):
    """How far a feature or the target may move from the last good version of the data."""

    at_most: float = Field(gt=0, le=1)
    """The largest allowed distance: the Kolmogorov-Smirnov statistic of a number, the total variation of words, or
    the change in the share of missing values if that is larger."""
    level: Literal["stop", "warn"] = "stop"
    """`stop` fails the run, `warn` only reports the drift."""


class Validate(Rules):
    """What must hold for the rows as they arrive."""

    drift: Drift | None = None
    """How far the data may move from the last good version. Without it drift is not checked."""
    quarantine_limit: float = Field(0.05, ge=0, le=1)
    """The largest share of rows that may be set aside."""


STAGE = Stage("validate", Validate, after="ingest", preload="rules", refuses_data=True, report="validation.json")


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "validate", Validate)
    folder = Path("data") / model
    report = validate(folder, data, config, user_code.deriver(model))
    found = profile.profile(folder / "raw.parquet", data, least=1 if config.examples else COMMON)
    if config.drift:
        report["rules"] += drifted(profile.reference(folder / "pin.json"), found, data, config.drift)
    judge(report, found, folder, config, f"models/{model}.yaml")
    for words in expectations.warnings(report):
        visible_text.note(words)
    write_report(folder / "validation.json", report)
    write_profile(folder / "profile.json", found)


def validate(folder: Path, data: Data, config: Validate, derive: user_code.Deriver | None = None) -> dict[str, Any]:
    """Write quarantine.parquet; returns the report on raw.parquet: the rows set aside, and one entry for each rule.

    derive: makes the columns that only rules see, by the model's own code.
    Raises DataError for a rule that cannot be checked.
    """
    raw, quarantine = folder / "raw.parquet", folder / "quarantine.parquet"
    with row_groups.Writer(quarantine, QUARANTINE) as aside:

        def set_aside(broken: list[dict[str, Any]], rule: str) -> None:
            ids = [entry["row_id"] for entry in broken]
            values = [_text(entry["value"]) if config.examples else None for entry in broken]
            aside.write(pa.record_batch([ids, [rule] * len(ids), values], schema=QUARANTINE))

        held = rules(data, config)
        suite = Suite(held, row_groups.rows(raw), set_aside, data.sensitive)
        for frame in expectations.read(raw, held, data, derive):
            suite.feed(frame)
        found = suite.report()
    quarantined = id_sets.marked(raw, quarantine).count
    return {"format": FORMAT, "rows": row_groups.rows(raw), "quarantined": quarantined, "rules": found}


def rules(data: Data, config: Validate) -> Rules:
    """The declared rules, and the two that always hold."""
    some_rows = {"rule": "expect_table_row_count_to_be_between", "min_value": 1}
    has_target = {"rule": "expect_column_values_to_not_be_null", "column": data.target}
    declared = any(rule.rule == has_target["rule"] and rule.columns == [data.target] for rule in config.rules)
    always = [some_rows] if declared else [some_rows, has_target]
    if data.kind == "sequence":  # a row without a target is part of other rows' windows
        always = [some_rows]
    return Rules(rules=[*map(Rule.model_validate, always), *config.rules], examples=config.examples)


def _text(value: Any) -> str | None:
    """A value that breaks a rule, as text; several values as a JSON list."""
    return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)


def drifted(before: Profile | None, now: Profile, data: Data, drift: Drift) -> list[dict[str, Any]]:
    """An entry like that of a rule for each feature and the target; for the first data a single one that says so."""
    asked = {"rule": "drift", "arguments": {"at_most": drift.at_most}, "level": drift.level, "success": True}
    counted = {"observed": None, "rows": now["rows"], "failing": 0, "examples": []}
    if before is None:
        return [asked | counted | {"skipped": "not looked at, these are the first data"}]
    entries = []
    for name in now["columns"]:
        if name not in data.carried and (far := profile.distance(before, now, name)) is not None:
            entry = asked | counted | {"arguments": {"column": name, "at_most": drift.at_most}, "observed": far}
            if far > drift.at_most:
                words = f"{name} must lie within {drift.at_most:g} of the last good version of the data."
                entry |= {"success": False, "words": words}
            entries.append(entry)
    return entries


def judge(report: dict[str, Any], found: Profile, folder: Path, config: Validate, where: str) -> None:
    """Raises ExpectationError if a rule of level stop failed or too many rows are set aside.

    Report and profile are then saved outside the stage's outputs.
    """
    failed = [entry for entry in report["rules"] if entry["level"] == "stop" and not entry["success"]]
    problems = [expectations.told(entry) for entry in failed]
    if report["quarantined"] > config.quarantine_limit * report["rows"]:
        problems.append(
            f"{report['quarantined']} of {report['rows']} rows would be set aside "
            f"(validate.quarantine_limit allows {config.quarantine_limit:.1%})"
        )
    kept = folder / "failed" / "validation.json"
    for left in (kept, kept.with_name("profile.json")):
        left.unlink(missing_ok=True)
    if problems:
        write_report(kept, report)
        write_profile(kept.with_name("profile.json"), found)
        raise ExpectationError(
            f"The raw data of {folder} break the rules of {where}: {'; '.join(problems)}.",
            f"See {kept} for the rows. Correct the data, or the rule (level: quarantine sets such rows aside).",
        )


def write_report(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_profile(path: Path, found: Profile) -> None:
    path.write_text(profile.text(found) + "\n", encoding="utf-8")
