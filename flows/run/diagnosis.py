"""Diagnosis: explains an unexpected error by a fault of the machine, if there is one.

Libraries hide the cause in many layers: a server answers 500 because its disk is full, a client cannot connect because
the server was killed. The fault is still there when the error arrives, so this module looks for it.
"""

from collections.abc import Iterator

from flows.project import databases, preflight
from flows.project.environment import Project
from flows.servers import lifecycle
from pipelines.errors import RatchetError, UnreachableError
from pipelines.safety import shortage


def told(project: Project, error: BaseException) -> RatchetError | None:
    """The message in place of the error; None if no fault is found."""
    places = preflight.places(project)
    if short := shortage.of(error, places) or shortage.full(places, shortage.NOTHING):
        return short
    return next(_of_databases(project), None)


def _of_databases(project: Project) -> Iterator[RatchetError]:
    """The damaged or missing databases, and the servers that have ended."""
    try:
        lifecycle.check_database(project, lifecycle.recorded(project))
    except RatchetError as lost:
        yield lost
    for path in (databases.of_server(project, "prefect"), project.mlflow_database):
        try:
            databases.check(path)
        except RatchetError as damaged:
            yield damaged
    if ended := lifecycle.ended(project):
        yield UnreachableError(
            f"The server of {ended[0]} has ended since `ratchet up`. Its log is {lifecycle.log(project, ended[0])}.",
            "Start it again with `ratchet up`, then repeat the command.",
        )
