"""Which person is at the terminal: by a token, else by the Unix user, never by a variable that anybody sets."""

import os
import pwd

import pytest

from flows.access import persons, tokens
from pipelines.errors import RequestError, SettingsError


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    monkeypatch.delenv("RATCHET_TOKEN", raising=False)


def test_without_a_token_it_is_the_unix_user_whatever_the_environment_says(tmp_path, monkeypatch):
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "ana")
    found = persons.here(tmp_path)
    assert (found.name, found.how) == (pwd.getpwuid(os.getuid()).pw_name, "user")
    found.check("approve a version")


def test_a_token_names_its_owner_and_the_file_is_before_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("RATCHET_TOKEN", tokens.add(tmp_path, "ana", ["approve"]))
    assert persons.here(tmp_path).name == "ana"
    (tmp_path / "mine").write_text(tokens.add(tmp_path, "ben", ["look"]) + "\n")
    found = persons.here(tmp_path, tmp_path / "mine")
    assert (found.name, found.how) == ("ben", "token")
    with pytest.raises(RequestError, match="The token 'ben' may not approve a version: its roles are look"):
        found.check("approve a version")


def test_a_token_of_nobody_is_refused_and_never_taken_for_the_unix_user(tmp_path, monkeypatch):
    monkeypatch.setenv("RATCHET_TOKEN", "ratchet_wrong")
    with pytest.raises(RequestError, match="The token in RATCHET_TOKEN belongs to nobody"):
        persons.here(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(RequestError, match="belongs to nobody"):
        persons.here(tmp_path, tmp_path / "empty")
    with pytest.raises(SettingsError, match="cannot be read"):
        persons.here(tmp_path, tmp_path / "none")
