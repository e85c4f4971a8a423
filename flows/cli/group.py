"""The group of all commands and its members: own options, help, and what is typed wrongly, also as a JSON object."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException


class _Shown:
    """Help shows a switch without a type: nobody types a value for it."""

    def get_params(self, ctx: Any) -> list[Any]:
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for one in found:
            if isinstance(one, TyperOption) and one.is_bool_flag:
                one.metavar = ""
        return found


class Command(_Shown, TyperCommand):
    """As typer's."""


class Commands(_Shown, TyperGroup):
    """As typer's. With --json a wrong option, argument or command is also one object on standard output."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        with _told(list(args)):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _told([*ctx._protected_args, *ctx.args]):
            return super().invoke(ctx)


@contextmanager
def _told(words: Sequence[str]) -> Iterator[None]:
    """words: of the command line."""
    try:
        yield
    except TyperException as error:
        if "--json" in words and hasattr(error, "format_message"):
            status = getattr(error, "exit_code", 2)
            print(json.dumps({"format": 1, "error": error.format_message(), "status": status}), flush=True)
        raise


def options(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print Ratchet's version.")] = False,
) -> None:
    if version:
        print(f"ratchet {metadata.version('ratchet')}")
        raise typer.Exit
