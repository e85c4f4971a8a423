"""Doctor's look at what is live: servers on this machine answer as the ledger's champion, and no file has changed."""

from collections.abc import Iterator
from contextlib import suppress

from flows.deployment import freshness, live_file
from flows.project.environment import Project
from pipelines.errors import RatchetError

NAME = "live"


def look(project: Project) -> Iterator[tuple[str, bool, str, str]]:
    """The checks: name, whether it is fine, what was found, what to do."""
    names = live_file.models(project)
    try:
        found = {model: wrong(project, model) for model in names}
    except RatchetError as error:
        yield NAME, False, error.what, error.do
        return
    for model, told in found.items():
        if told:
            yield NAME, False, f"{model}: {told}", "ratchet doctor --fix"
    if not any(found.values()):
        yield NAME, True, f"{len(names)} models: as the ledger says, and unchanged", ""


def wrong(project: Project, model: str) -> str:
    """What is wrong with the live version of a model, or "". Raises RatchetError if the ledger cannot be read."""
    found = live_file.read(project, model)
    if found is None or (found.version is not None and not freshness.complete(project, found)):
        return f"the files in {live_file.place(project, model)} were changed"
    if freshness.fresh(project, model):
        return ""
    return found.problem or "the ledger names another champion, or the YAML has changed"


def repair(project: Project) -> None:
    """Make live what is not as the ledger says. What cannot be is told by the check."""
    from flows.deployment import deploy

    for model in live_file.models(project):
        with suppress(RatchetError):
            if wrong(project, model):
                deploy.now(project, model)
