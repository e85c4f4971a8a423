"""The pages with the one to label, as a process of their own. Options are those of `python -m flows.web`.

python -m flows.rollout.pages --server http://127.0.0.1:8790 --port 8791
"""

import sys
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial

from flows.project import environment
from flows.project.environment import Project
from flows.web import __main__ as web
from flows.web.labelling import Case, Labelling, Told
from flows.web.watch import kept
from pipelines.errors import RatchetError


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


def main(arguments: list[str] | None = None) -> int:
    try:
        project = environment.prepare()
    except RatchetError as error:
        print(error, file=sys.stderr)
        return error.status
    return web.main(arguments, WhenAsked(project), partial(kept.read, project.state))


if __name__ == "__main__":
    sys.exit(main())
