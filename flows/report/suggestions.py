"""What to write into a model's YAML so that a rule accepts what was found, or sets such rows aside.

Bounds are moved as far as the data need, to a round number: half to one and a half times the unit of the second digit
of what the values span beyond them.
"""

import io
import json
import math
from typing import Any, TypeGuard, cast

from ruamel.yaml import YAML

from pipelines.config.rules import Rules, kind
from pipelines.model_file import Declaration
from pipelines.table.expectations import HIDDEN
from pipelines.table.profile import Column, Profile

MOST_VALUES = 20  # that are added to a set


def rule(stage: str, entry: dict[str, Any], declared: Declaration, profile: Profile) -> str:
    """The line of the YAML that accepts what was found, or "" where no value of it would."""
    if entry["rule"] == "drift":
        changed = {"at_most": _above(entry["observed"]), "level": entry["level"]}
        return f"drift: {_flow(changed)}"
    column = profile.get("columns", {}).get(entry["arguments"].get("column"), {}) if profile else {}
    changed = _changed(entry, column)
    return f"- {_flow(_written(stage, entry, declared) | changed)}" if changed else ""


def declared_as(stage: str, entry: dict[str, Any], declared: Declaration) -> str:
    """The rule as the YAML has it, in one line; a rule that every table is held to as one would write it."""
    if entry["rule"] == "drift":
        return f"drift: {_flow({'at_most': entry['arguments']['at_most'], 'level': entry['level']})}"
    return _flow(_written(stage, entry, declared))


def aside(stage: str, entry: dict[str, Any], declared: Declaration) -> str:
    """The line of the YAML that sets the rows aside, or "" for a rule that is not about rows."""
    if stage != "validate" or entry["level"] == "quarantine" or not entry["failing"] or not kind(entry["rule"]).by_row:
        return ""
    return f"- {_flow(_written(stage, entry, declared) | {'level': 'quarantine'})}"


def limit(section: str, key: str, found: float) -> str:
    """The line that raises a limit between 0 and 1."""
    return f"{key}: {_above(found):g}"


def _written(stage: str, entry: dict[str, Any], declared: Declaration) -> dict[str, Any]:
    """The rule as the YAML has it; a rule that always holds as one would write it."""
    for given in cast(Rules, declared.sections[stage]).rules:
        if given.rule == entry["rule"] and json.loads(json.dumps(given.arguments, default=str)) == entry["arguments"]:
            level = {"level": given.level} if given.level != "stop" else {}
            return {"rule": given.rule, **given.arguments, **level}
    return {"rule": entry["rule"], **entry["arguments"]}


def _changed(entry: dict[str, Any], column: Column) -> dict[str, Any]:
    """The arguments that must be others."""
    name, arguments = entry["rule"], entry["arguments"]
    observed = None if entry["observed"] == HIDDEN else entry["observed"]
    if name == "expect_column_values_to_be_between":
        ends = column.get("quantiles") or []
        return _bounds(arguments, ends[0], ends[-1]) if ends else _mostly(entry)
    if name.endswith("_to_be_between") and _number(observed):
        return _bounds(arguments, observed, observed)
    if name.endswith("_to_equal") and "value" in arguments and _number(observed):
        return {"value": observed}
    if name in ("expect_column_values_to_be_in_set", "expect_column_distinct_values_to_be_in_set"):
        return _more(arguments, column) or _mostly(entry)
    if name == "expect_table_columns_to_match_set" and isinstance(observed, list):
        return {"column_set": observed}
    if name == "expect_column_values_to_be_of_type" and isinstance(observed, str):
        return {"type_": observed}
    return _mostly(entry)


def _bounds(arguments: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    given = {key: arguments[key] for key in ("min_value", "max_value") if _number(arguments.get(key))}
    ends = [*given.values(), low, high]
    step = _step(max(ends) - min(ends) or abs(high) or 1.0)
    changed = {}
    if "min_value" in given and low <= given["min_value"]:
        changed["min_value"] = _round(math.floor(low / step - 0.5), step)
    if "max_value" in given and high >= given["max_value"]:
        changed["max_value"] = _round(math.ceil(high / step + 0.5), step)
    return {key: value for key, value in changed.items() if _breaks(key, given[key], low, high, arguments)}


def _breaks(key: str, bound: float, low: float, high: float, arguments: dict[str, Any]) -> bool:
    if key == "min_value":
        return low < bound or (low == bound and bool(arguments.get("strict_min")))
    return high > bound or (high == bound and bool(arguments.get("strict_max")))


def _step(span: float) -> float:
    """The unit of the second digit of a number."""
    return float(10.0 ** (math.floor(math.log10(span)) - 1))


def _round(count: int, step: float) -> float | int:
    value = round(count * step, max(0, -math.floor(math.log10(step))))
    return int(value) if value == int(value) else value


def _more(arguments: dict[str, Any], column: Column) -> dict[str, Any]:
    """The set with the words that the data have besides."""
    known, words = [str(value) for value in arguments["value_set"]], column.get("words", {})
    new = sorted(word for word in words if word not in known)
    if not new or len(new) > MOST_VALUES or len(words) < column["distinct"]:
        return {}
    whole = all(isinstance(value, int) for value in arguments["value_set"])
    if whole and not all(word.lstrip("-").isdigit() for word in new):
        return {}
    return {"value_set": [*arguments["value_set"], *(map(int, new) if whole else new)]}


def _mostly(entry: dict[str, Any]) -> dict[str, Any]:
    """A share of rows that is still accepted, where the rule knows one."""
    if "mostly" not in kind(entry["rule"]).arguments or not entry["failing"] or entry["failing"] >= entry["rows"]:
        return {}
    share = entry["failing"] / entry["rows"]
    digits = 1 - math.floor(math.log10(share))
    return {"mostly": max(0.0, math.floor((1 - share) * 10**digits - 0.5) / 10**digits)}


def _above(found: float) -> float:
    """The next share of two digits above one that was found."""
    return min(1.0, (math.floor(found * 100 + 0.5) + 1) / 100)


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flow(content: dict[str, Any]) -> str:
    """As YAML in one line."""
    yaml, out = YAML(), io.StringIO()
    yaml.default_flow_style, yaml.width = True, 10_000
    yaml.dump(json.loads(json.dumps(content, default=str)), out)
    return out.getvalue().strip()
