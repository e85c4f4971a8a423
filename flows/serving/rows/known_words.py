"""The words that a model has seen in training, by column, as its graph holds them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def of_model(folder: Path, about: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """folder: of the model. about: its model.json.

    Of more than a hundred categories (pipelines/model/features.py) only all words together are known.
    """
    past = about.get("past", {}).get("categories", [])
    columns = [*past, *about.get("categories", [])]
    if not columns:
        return {}
    layers = json.loads((folder / "architecture.json").read_text(encoding="utf-8"))["config"]["layers"]
    found = {layer["config"]["name"]: layer["config"] for layer in layers if layer["class_name"] == "StringLookup"}
    if every := found.get("categories_lookup"):
        return dict.fromkeys(columns, frozenset(every["vocabulary"]))
    return {name: frozenset(found[f"category_{place}"]["vocabulary"]) for place, name in enumerate(columns)}
