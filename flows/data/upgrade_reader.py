"""Bring a model to the newest reader: its number in the model's YAML, and what that changes in the pinned rows."""

import re
from typing import Any

from flows.data import two_readers
from flows.data.two_readers import Changes
from flows.project import whole_files
from pipelines import model_file
from pipelines.config import settings, yaml_text
from pipelines.config.settings import FORMAT
from pipelines.errors import SettingsError
from pipelines.readers import sources
from pipelines.readers.meaning.values import READER

SECTION = re.compile(r"^ingest:[ \t]*(?:(\{)|(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*([ \t]+))", re.MULTILINE)


def upgrade(model: str, dry_run: bool) -> dict[str, Any]:
    """The object that `ratchet upgrade-reader --json` prints. The YAML is written, and nothing else.

    Raises DataError if the newest reader cannot read the pinned rows, SettingsError if a person has to edit the YAML.
    """
    declared = model_file.check(model)
    before = declared.ingest.reader
    found = Changes()
    if before < READER:
        text = _with_reader(model)
        if sources.pin_path(model).exists():
            found = two_readers.changes(declared, READER)
        if not dry_run:
            whole_files.write(settings.FOLDER / f"{model}.yaml", text)
    return {
        "format": FORMAT,
        "model": model,
        "reader": {"before": before, "after": READER},
        "written": before < READER and not dry_run,
        "rows": found.rows,
        "identities": found.identities,
        "cells": dict(found.cells),
        "examples": found.examples,
    }


def _with_reader(model: str) -> str:
    """The text of the YAML with the newest reader's number; nothing else in it changes."""
    path = settings.FOLDER / f"{model}.yaml"
    text, old = path.read_text(encoding="utf-8"), settings.read(model)
    wanted = old | {"ingest": old["ingest"] | {"reader": READER}}
    for changed in _edits(text):
        if yaml_text.plain(changed) == wanted:
            return changed
    raise SettingsError(
        f"{path} is written in a way that is not edited here.", f"Write `reader: {READER}` under `ingest:`."
    )


def _edits(text: str) -> list[str]:
    """Texts of which one may be right: the key put first in its section, or its number replaced."""
    found = [re.sub(r"(\breader:[ \t]*)\d+", rf"\g<1>{READER}", text, count=1)]
    if at := SECTION.search(text):
        key = f"reader: {READER}, " if at[1] else f"reader: {READER}\n{at[2]}"
        found.append(text[: at.end()] + key + text[at.end() :])
    return found
