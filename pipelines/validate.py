"""Validate: is the raw table what was promised?

    python -m pipelines validate digits

    data/<model>/raw.parquet  ->  data/<model>/validation.json, data/<model>/quarantine.parquet

Besides the declared rules, a table has rows and every row has a target. A failed run leaves its report in
data/<model>/failed/validation.json.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines import expectations, settings, tables
from pipelines.errors import ExpectationError
from pipelines.expectations import Rule, Rules, Suite
from pipelines.settings import FORMAT, Data

QUARANTINE = pa.schema([("row_id", pa.string()), ("rule", pa.string())])


class Validate(Rules):
    quarantine_limit: float = 0.05  # the largest share of rows that may be set aside


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "validate", Validate)
    folder = Path("data") / model
    report = validate(folder / "raw.parquet", data, config)
    judge(report, folder, "validation.json", f"models/{model}.yaml")
    aside = [
        (row_id, entry["rule"]) for entry in report if entry["level"] == "quarantine" for row_id in entry["row_ids"]
    ]
    _check_share(len({row_id for row_id, _ in aside}), tables.rows(folder / "raw.parquet"), config)
    columns = [pa.array([entry[i] for entry in aside], pa.string()) for i in range(2)]
    tables.write(folder / "quarantine.parquet", QUARANTINE, [pa.RecordBatch.from_arrays(columns, schema=QUARANTINE)])
    write_report(folder / "validation.json", report)


def validate(path: Path, data: Data, config: Validate) -> list[dict[str, Any]]:
    """The report on a raw table: one entry for each rule. Raises DataError for a rule that cannot be checked."""
    always = [
        Rule(rule="expect_table_row_count_to_be_between", min_value=1),
        Rule(rule="expect_column_values_to_not_be_null", column=data.target),
    ]
    suite = Suite(Rules(rules=[*always, *config.rules], examples=config.examples), tables.rows(path))
    image = "image" if data.kind == "image" else None
    for frame in expectations.frames(tables.batches(path), image):
        suite.feed(frame)
    return suite.report()


def judge(report: list[dict[str, Any]], folder: Path, name: str, where: str) -> None:
    """Raises ExpectationError if a rule of level stop failed, after keeping the report where it is not an output."""
    failed = [entry for entry in report if entry["level"] == "stop" and not entry["success"]]
    kept = folder / "failed" / name
    kept.unlink(missing_ok=True)
    if failed:
        write_report(kept, report)
        problems = "; ".join(expectations.told(entry) for entry in failed)
        raise ExpectationError(
            f"{len(failed)} of {len(report)} rules failed on {folder}: {problems}.",
            f"See {kept} for the rows. Correct the data, or the rule in {where} "
            "(level: quarantine sets such rows aside).",
        )


def _check_share(count: int, total: int, config: Validate) -> None:
    if count > config.quarantine_limit * total:
        raise ExpectationError(
            f"{count} of {total} rows would be set aside, more than validate.quarantine_limit "
            f"{config.quarantine_limit:g} allows.",
            "Correct the data, or raise the limit.",
        )


def write_report(path: Path, report: list[dict[str, Any]]) -> None:
    """Row ids are left out: quarantine.parquet holds those that matter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rules = [{key: value for key, value in entry.items() if key != "row_ids"} for entry in report]
    text = json.dumps({"format": FORMAT, "rules": rules}, indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
