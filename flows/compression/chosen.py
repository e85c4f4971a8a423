"""Chosen: the form in which a version answers, by the ledger. Without a line about it the version itself answers."""

from dataclasses import dataclass

from flows.records.champion_state import Standing


@dataclass(frozen=True)
class Chosen:
    """name: of the form, such as int8. serving_hash: of its serving.json. model_hash: of its model folder, where it has
    no ONNX file; else ""."""

    name: str
    serving_hash: str
    model_hash: str = ""


def of(standing: Standing, version: int | None) -> Chosen | None:
    """None where the version itself answers."""
    line = standing.forms.get(version or 0)
    facts = line.facts if line else {}
    if not facts.get("served_as"):
        return None
    return Chosen(str(facts["served_as"]), str(facts["serving_hash"]), str(facts.get("served_model_hash", "")))
