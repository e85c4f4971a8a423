"""The command line: a command is one file, found by itself, in its place; and its frame answers or fails in order."""

import json

import pytest
import typer
from typer.main import get_command

from flows.cli import app
from flows.cli.answer import LOOK, PART, answer, command

ORDER = (  # a promise: this is how `ratchet --help` lists them
    *("run", "new", "plan", "upgrade-reader", "status", "data", "history", "watch", "compare"),
    *("verify", "promote", "approve", "reject", "rollback", "restore"),
    *("predict", "explain", "serve", "label", "token", "package", "export"),
    *("up", "down", "schedule", "doctor", "prune", "forget"),
)


def test_the_commands_come_in_the_order_of_their_places():
    assert tuple(get_command(app.app).commands) == ORDER


def test_the_commands_of_a_part_stand_together():
    parts = [getattr(one, PART) for one in app.found()]
    assert parts == sorted(parts, key=parts.index)


def test_a_module_in_the_folder_is_a_command_in_its_place(tmp_path, monkeypatch):
    (tmp_path / "later_added.py").write_text(
        "from flows.cli.answer import command\n\n\n@command(36, \"Look\")\ndef hello() -> None:\n    print('hello')\n"
    )
    monkeypatch.setattr(app.commands, "__path__", [*app.commands.__path__, str(tmp_path)])
    names = [one.__name__ for one in app.found()]
    assert [name.replace("_", "-") for name in names] == [*ORDER[:4], "hello", *ORDER[4:]]


def test_a_function_without_the_mark_is_no_command():
    from flows.cli.commands import run

    assert {"run", "do_run"} <= {name for name, one in vars(run).items() if callable(one)}
    assert "do_run" not in [one.__name__ for one in app.found()]


def test_the_mark_changes_nothing_of_the_function():
    def same() -> None:
        """Nothing."""

    assert command(1, LOOK)(same) is same


def test_an_answer_that_is_not_what_was_asked_for_is_printed_and_fails(world, capsys):
    with pytest.raises(typer.Exit) as end:
        answer(lambda project: {"format": 1}, str, True, False, lambda found: True)
    assert end.value.exit_code == 1
    assert json.loads(capsys.readouterr().out) == {"format": 1}
