"""Write the keys of a model's YAML, as the code declares them, into docs/reference/model-yaml.md.

python -m docs.model_yaml docs/reference/model-yaml.md

What stands above the mark in that page is written by hand, and stays.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pipelines import model_file
from pipelines.model.metrics import METRICS

MARK = "<!-- `make docs` writes what follows. -->"
LIMITS = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "to"}
KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "none",
}
MANY = {"a whole number": "whole numbers", "a number": "numbers", "text": "texts"}


def page(introduction: str) -> str:
    return "\n\n".join([introduction.strip(), MARK, *(section(name) for name in model_file.SECTIONS)]) + "\n"


def section(name: str) -> str:
    """One section, and the sections inside of it. For `evaluate` also the metrics that there are."""
    schema = TypeAdapter(model_file.SECTIONS[name]).json_schema()
    own = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    parts = [f"## {name}", table(name, own, schema.get("$defs", {}))]
    return "\n\n".join([*parts, metrics()] if name == "evaluate" else parts)


def metrics() -> str:
    tasks = sorted({metric.task for metric in METRICS.values()})
    return "\n".join(
        f"- Metrics of a {task}: {', '.join(f'`{name}`' for name, one in METRICS.items() if one.task == task)}."
        for task in tasks
    )


def table(place: str, schema: dict[str, Any], inner: dict[str, Any]) -> str:
    """The keys of a section, one a row, and below them the sections that they hold."""
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    below = []
    for key, value in schema["properties"].items():
        if "const" in value:  # the heading says it
            continue
        default = shown(value["default"]) if "default" in value else "needed"
        cells = [f"`{key}`", kind(value, f"{place}.{key}", inner), default, " ".join(value["description"].split())]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        for title, name in forms(value, f"{place}.{key}").items():
            below.append(f"### {title}\n\n" + table(f"{place}.{key}", inner[name], inner))
    said = " ".join(schema.get("description", "").split())
    return "\n\n".join([*([said] if said else []), "\n".join(rows), *below])


def kind(value: dict[str, Any], place: str, inner: dict[str, Any]) -> str:
    """What may be written, as a person says it."""
    if "const" in value or "enum" in value:
        *most, last = [f"`{one}`" for one in value.get("enum", [value.get("const")])]
        return f"{', '.join(most)} or {last}" if most else last
    if "oneOf" in value or "$ref" in value:
        return " or ".join(f"[{title.removeprefix(place + ', ')}](#{anchor(title)})" for title in forms(value, place))
    if "anyOf" in value:
        return " or ".join(kind(one, place, inner) for one in value["anyOf"])
    if value.get("type") == "array":
        one = kind(value["items"], place, inner)
        return f"a list of {MANY.get(one, one)}"
    if value.get("type") == "object":
        of = value.get("additionalProperties")
        return f"names, and for each {kind(of, place, inner)}" if isinstance(of, dict) else "keys of your own"
    limits = [f"{word} {value[limit]:,}" for limit, word in LIMITS.items() if limit in value]
    return " ".join([KINDS[value["type"]], *limits])


def forms(value: dict[str, Any], place: str) -> dict[str, str]:
    """The sections that a value may be: the heading of each -> its name in the schema."""
    if "oneOf" in value:
        key = value["discriminator"]["propertyName"]
        found = value["discriminator"]["mapping"]
        return {f"{place}, {key}: {tag}": ref.rpartition("/")[2] for tag, ref in found.items()}
    if "$ref" in value:
        return {place: value["$ref"].rpartition("/")[2]}
    several = [*value.get("anyOf", []), value.get("items"), value.get("additionalProperties")]
    return {title: name for one in several if isinstance(one, dict) for title, name in forms(one, place).items()}


def anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title).replace(" ", "-")


def shown(default: Any) -> str:
    if default is None:
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list | dict):
        return f"`{json.dumps(default)}`"
    return f"{default:g}" if isinstance(default, int | float) else f"`{default}`" if default else '`""`'


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page(path.read_text(encoding="utf-8").partition(MARK)[0]), encoding="utf-8")
