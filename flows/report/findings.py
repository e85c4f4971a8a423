"""Findings: what the checks of a run have found against the data, read from the reports of its stages."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from flows.project.plain_words import many
from flows.report import suggestions
from pipelines.check import Check
from pipelines.config.stages import STAGES
from pipelines.model_file import Declaration
from pipelines.table import expectations, repeats
from pipelines.table.profile import Profile
from pipelines.validate import Validate

REASONS = {
    "duplicate": "equal to another one (clean: duplicates)",
    "replaced": "replaced by a newer row of their event (clean: event)",
    "quarantined": "set aside by rules",
}
REPORTS = {name: stage.report for name, stage in STAGES.items() if stage.report}


@dataclass(frozen=True)
class Finding:
    """One rule that does not hold. `title` is the same in every run that breaks the same rule."""

    stage: str
    level: str  # stop, quarantine or warn
    title: str  # the rule as it is declared, in one line
    words: str  # what it asks, for people
    found: str  # what was found
    columns: list[str] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)  # numbers that the rule names
    examples: list[dict[str, Any]] = field(default_factory=list)  # row_id and value
    declared: str = ""  # the rule as the model's YAML has it, where that is more than the title
    accept: str = ""  # what to write into the model's YAML to accept what was found
    aside: str = ""  # the same, to set such rows aside


def of(folder: Path, declared: Declaration) -> list[Finding]:
    """Those of the stages that have a report in data/<model>/; a failed stage's report comes before an older one."""
    found: list[Finding] = []
    profile = _first(folder, "profile.json")
    for stage, name in REPORTS.items():
        if report := _first(folder, name):
            found += [_of_rule(stage, entry, declared, profile) for entry in report["rules"] if not entry["success"]]
            found += _of_limits(stage, report, declared)
        if (folder / "failed" / name).exists():
            break  # what lies there of later stages is about other data
    return sorted(found, key=lambda one: one.level != "stop")


def profile(folder: Path) -> Profile | None:
    """Of the data that were looked at."""
    return _first(folder, "profile.json") or None


def warnings(folder: Path, stage: str) -> str:
    """The notes of a stage that was not run again, from its report: what it said when it was."""
    report = _first(folder, REPORTS[stage]) if stage in REPORTS else {}
    return "; ".join([*expectations.warnings(report), *repeats.warnings(report)]) if report else ""


def removed(folder: Path, stage: str) -> str:
    """The rows that `clean` left out, by reason; "" for another stage, or if it left out none."""
    if stage != "clean":
        return ""
    rows = json.loads((folder / "clean.json").read_text(encoding="utf-8"))["rows"]
    counts = ", ".join(f"{count:,} {REASONS.get(why, why)}" for why, count in rows["removed"].items())
    return f"left out of {many(rows['raw'], 'row')}: {counts}" if counts else ""


def _first(folder: Path, name: str) -> dict[str, Any]:
    for path in (folder / "failed" / name, folder / name):
        if path.exists():
            return dict(json.loads(path.read_text(encoding="utf-8")))
    return {}


def _of_rule(stage: str, entry: dict[str, Any], declared: Declaration, profile: Profile) -> Finding:
    arguments = entry["arguments"]
    names = [arguments[key] for key in ("column", "column_A", "column_B") if key in arguments]
    names += arguments.get("column_list", [])
    bounds = [arguments[key] for key in ("min_value", "max_value") if isinstance(arguments.get(key), int | float)]
    return Finding(
        stage=stage,
        level=entry["level"],
        title=expectations.asked(entry),
        words=entry.get("words", ""),
        found=expectations.found(entry | {"examples": []}) + _share(entry),
        columns=names,
        bounds=bounds if entry["rule"] == "expect_column_values_to_be_between" else [],
        examples=entry["examples"],
        declared=suggestions.declared_as(stage, entry, declared),
        accept=suggestions.rule(stage, entry, declared, profile),
        aside=suggestions.aside(stage, entry, declared),
    )


def _share(entry: dict[str, Any]) -> str:
    return f" ({entry['failing'] / entry['rows']:.2%})" if entry["failing"] and entry["rows"] else ""


def _of_limits(stage: str, report: dict[str, Any], declared: Declaration) -> list[Finding]:
    if stage == "validate":
        return _of_quarantine(report, cast(Validate, declared.sections["validate"]))
    config = cast(Check, declared.sections["check"])
    shares: list[tuple[str, str, float, list[str]]] = [
        ("overlap", f"of {split}", share, []) for split, share in report["overlap"].items()
    ]
    scores = [("leakage", f"of {name!r}", score, [name]) for name, score in report["leakage"].items()]
    moved = [("drift", f"of {name!r}", value, [name]) for name, value in report["drift"].items()]
    words = {
        "overlap": "Rows that judge the model must not have the features of rows that it learns from",
        "leakage": "No single feature may give the target away",
        "drift": "A number must be distributed in test as it is in train",
    }
    return [
        Finding(
            stage="check",
            level="stop",
            title=f"check.{key} {of}",
            words=f"{words[key]}: at most {getattr(config, key):g}.",
            found=f"found {value:.4g} {of}",
            columns=columns,
            accept=suggestions.limit("check", key, value),
        )
        for key, of, value, columns in [*shares, *scores, *moved]
        if value > getattr(config, key)
    ]


def _of_quarantine(report: dict[str, Any], config: Validate) -> list[Finding]:
    share = report["quarantined"] / max(1, report["rows"])
    if report["quarantined"] <= config.quarantine_limit * report["rows"]:
        return []
    return [
        Finding(
            stage="validate",
            level="stop",
            title="validate.quarantine_limit",
            words=f"At most {config.quarantine_limit:.1%} of the rows may be set aside.",
            found=f"{report['quarantined']:,} of {many(report['rows'], 'row')} would be",
            accept=suggestions.limit("validate", "quarantine_limit", share),
        )
    ]
