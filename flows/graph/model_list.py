"""The list of models in dvc.yaml: the one place that names the models with stages."""

import re

from flows.project import whole_files
from flows.project.environment import Project

LIST = re.compile(r"^(  - models: \[)([^\]\n]*)(\])", re.MULTILINE)


def add(project: Project, model: str) -> bool:
    """Add a model to the list; returns whether it was missing. Nothing else in the file changes.

    A list that is not on one line stays as it is. DVC then reports that it knows no such model.
    """
    path = project.root / "dvc.yaml"
    text = path.read_text(encoding="utf-8")
    if (changed := with_name(text, model)) == text:
        return False
    whole_files.write(path, changed)
    return True


def with_name(text: str, model: str) -> str:
    """The text of dvc.yaml with a model in its list."""
    found = LIST.search(text)
    if found is None or model in (names := [name.strip() for name in found[2].split(",")]):
        return text
    changed = ", ".join([*filter(None, names), model])
    return f"{text[: found.start(2)]}{changed}{text[found.end(2) :]}"


def without_names(text: str) -> str:
    """The text of dvc.yaml with an empty list: what all models share."""
    return LIST.sub(r"\1\3", text)
