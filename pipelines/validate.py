"""Validate: is the raw table what was promised?

    python -m pipelines validate digits

    data/<model>/raw.parquet  ->  data/<model>/validation.json, data/<model>/quarantine.parquet

Besides the declared rules, a table has rows and every row has a target (declare expect_column_values_to_not_be_null
for the target yourself to set such rows aside instead; those of a sequence may lack it). A failed run leaves its
report in data/<model>/failed/validation.json.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from pipelines import expectations, identities, settings, tables
from pipelines.errors import ExpectationError
from pipelines.expectations import Suite
from pipelines.rules import Rule, Rules
from pipelines.settings import FORMAT, Data

QUARANTINE = pa.schema([("row_id", pa.string()), ("rule", pa.string())])


class Validate(Rules):
    quarantine_limit: float = Field(0.05, ge=0, le=1)  # the largest share of rows that may be set aside


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "validate", Validate)
    folder = Path("data") / model
    report = validate(folder, data, config)
    judge(report, folder, config, f"models/{model}.yaml")
    write_report(folder / "validation.json", report)


def validate(folder: Path, data: Data, config: Validate) -> dict[str, Any]:
    """Write quarantine.parquet; returns the report on raw.parquet: what is set aside, and one entry for each rule.

    Raises DataError for a rule that cannot be checked.
    """
    raw, quarantine = folder / "raw.parquet", folder / "quarantine.parquet"
    with tables.Writer(quarantine, QUARANTINE) as aside:

        def set_aside(row_ids: list[str], rule: str) -> None:
            aside.write(pa.record_batch([row_ids, [rule] * len(row_ids)], schema=QUARANTINE))

        suite = Suite(rules(data, config), tables.rows(raw), set_aside)
        for frame in expectations.frames(tables.batches(raw), "image" if data.kind == "image" else None):
            suite.feed(frame)
        found = suite.report()
    quarantined = identities.marked(raw, quarantine).count
    return {"format": FORMAT, "rows": tables.rows(raw), "quarantined": quarantined, "rules": found}


def rules(data: Data, config: Validate) -> Rules:
    """The declared rules, and the two that always hold."""
    some_rows = {"rule": "expect_table_row_count_to_be_between", "min_value": 1}
    has_target = {"rule": "expect_column_values_to_not_be_null", "column": data.target}
    declared = any(rule.rule == has_target["rule"] and rule.columns == [data.target] for rule in config.rules)
    always = [some_rows] if declared else [some_rows, has_target]
    if data.kind == "sequence":  # a row without a target stands in the windows of others
        always = [some_rows]
    return Rules(rules=[*map(Rule.model_validate, always), *config.rules], examples=config.examples)


def judge(report: dict[str, Any], folder: Path, config: Validate, where: str) -> None:
    """Raises ExpectationError if a rule of level stop failed or too many rows are set aside.

    The report is then kept where it is not an output of the stage.
    """
    failed = [entry for entry in report["rules"] if entry["level"] == "stop" and not entry["success"]]
    problems = [expectations.told(entry) for entry in failed]
    if report["quarantined"] > config.quarantine_limit * report["rows"]:
        problems.append(
            f"{report['quarantined']} of {report['rows']} rows would be set aside "
            f"(validate.quarantine_limit allows {config.quarantine_limit:.1%})"
        )
    kept = folder / "failed" / "validation.json"
    kept.unlink(missing_ok=True)
    if problems:
        write_report(kept, report)
        raise ExpectationError(
            f"The raw data of {folder} are not what {where} promises: {'; '.join(problems)}.",
            f"See {kept} for the rows. Correct the data, or the rule (level: quarantine sets such rows aside).",
        )


def write_report(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
