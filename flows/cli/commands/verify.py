"""ratchet verify: rebuild a version and compare it with the registered one."""

from contextlib import ExitStack
from enum import StrEnum
from typing import Annotated, Any

import typer

from flows.cli import completion
from flows.cli.answer import CHAMPION, Debug, Json, State, answer, command
from flows.project import locks
from flows.project.environment import Project
from pipelines.errors import RequestError


class Accept(StrEnum):
    identical = "identical"
    tolerance = "equal within tolerance"
    different = "different"
    unverifiable = "cannot be verified"


@command(80, CHAMPION)
def verify(
    model: Annotated[
        str, typer.Argument(help="A model of models/, or `all` for every champion.", autocompletion=completion.models)
    ] = "digits",
    version: Annotated[int | None, typer.Option(help="A version of the registry. Default: the champion.")] = None,
    accept: Annotated[
        Accept,
        typer.Option(metavar="VERDICT", help="Exit with 0 up to this verdict; `identical` is the best one."),
    ] = Accept.identical,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest difference of a probability, or share of the target's spread.")
    ] = 0.01,
    recreate_env: Annotated[bool, typer.Option(help="Install the recorded packages first.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Rebuild a version from its recorded commit, data and settings, and compare it byte for byte."""

    def failed(found: State) -> bool:
        verdicts = list(Accept)
        return any(verdicts.index(Accept(one["verdict"])) > verdicts.index(accept) for one in certificates(found))

    answer(
        lambda project: do_verify(project, model, version, accept.value, tolerance, recreate_env, as_json),
        verify_text,
        as_json,
        debug,
        failed,
    )


def do_verify(
    project: Project, model: str, version: int | None, accept: str, tolerance: float, recreate: bool, quiet: bool
) -> dict[str, Any]:
    """Rebuild one version, or for "all" every champion as a Prefect flow. Raises RatchetError."""
    from flows.cli import flow_session
    from flows.servers import lifecycle

    shown = flow_session.watched(quiet)
    if model != "all":
        from flows.verify.verify import verify as one

        return one(project, model, version, tolerance, recreate, shown)
    if version is not None:
        raise RequestError("`ratchet verify all` takes the champions: --version belongs to one model.")
    with ExitStack() as stack:
        if not flow_session.is_shared(project):
            stack.enter_context(locks.hold(project, "run", "ratchet verify all", notice=shown.notice))
        stack.enter_context(locks.hold(project, "verify", "ratchet verify all", notice=shown.notice))
        api = stack.enter_context(lifecycle.for_a_run(project))
        api.begin()
        stack.enter_context(flow_session.server(project, shown, api))
        from prefect import tags

        from flows.verify import nightly

        with tags(project.clone):
            return nightly.by_hand(project, shown, accept, tolerance, recreate)


def certificates(found: State) -> list[State]:
    """Of `ratchet verify`: one, or one for each champion."""
    return list(found.get("certificates", [found]))


def verify_text(found: State) -> str:
    from flows.verify import verdict

    return "\n".join(
        f"{one['model']} version {one['version']}: {one['verdict']}. {verdict.sentence(one)}\n"
        f"  commit    {one['commit'][:12]}{', a tree that differed from its branch' if one['dirty'] else ''}\n"
        f"  took      {one['seconds']:.1f} s\n"
        f"  next      the certificate lies with the version in MLflow, as verification/certificate.md"
        for one in certificates(found)
    )
