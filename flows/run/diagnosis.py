"""Diagnosis: an error that nobody foresaw, told by what is wrong with the machine if something is.

Libraries say it in many layers: a server answers 500 because its disk is full, a client that it cannot connect because
the server was killed. What is wrong is still there when the error arrives, so it is looked for.
"""

from collections.abc import Iterator

from flows.project import databases, preflight
from flows.project.environment import Project
from flows.servers import lifecycle
from pipelines.errors import RatchetError, UnreachableError
from pipelines.safety import shortage


def told(project: Project, error: BaseException) -> RatchetError | None:
    """What to tell a person instead of the error; None if nothing is known to be wrong."""
    places = preflight.places(project)
    if short := shortage.of(error, places) or shortage.full(places, shortage.NOTHING):
        return short
    return next(_of_databases(project), None)


def _of_databases(project: Project) -> Iterator[RatchetError]:
    """The databases that are damaged or gone, and the servers that have ended."""
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
            f"The server of {ended[0]} has ended since `ratchet up`; its log is {lifecycle.log(project, ended[0])}.",
            "Run `ratchet up` to start it again, and then the same command.",
        )
