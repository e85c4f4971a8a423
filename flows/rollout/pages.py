"""The pages with the one to label and those of what was watched (flows/overview starts them)."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial

from flows.project.environment import Project
from flows.web import __main__ as web
from flows.web.labelling import Case, Labelling, Told
from flows.web.overviewed import Overview
from flows.web.watch import kept


@dataclass(frozen=True)
class WhenAsked:
    """Labelling, imported when somebody opens that page: it takes 100 MB more."""

    project: Project

    @cached_property
    def _found(self) -> Labelling:
        from flows.rollout import labelling

        return labelling.Labelling(self.project)

    def person(self, token: str) -> str | None:
        return self._found.person(token)

    def case(self, model: str, after: str = "", row: str = "") -> Case:
        return self._found.case(model, after, row)

    def take(self, model: str, wanted: str, label: str, person: str, now: datetime) -> Told:
        return self._found.take(model, wanted, label, person, now)


def serve(project: Project, arguments: list[str] | None = None, overviewed: Overview | None = None) -> int:
    """Serve the pages of a project until they are stopped. overviewed: what stands on the first of them."""
    return web.main(arguments, WhenAsked(project), partial(kept.read, project.state), overviewed)
