"""Tokens: shown once, kept as hashes, in a file of their user's alone; a change of the file is seen at once."""

import json
import stat

import pytest

from flows.access import tokens
from flows.access.tokens import Tokens
from pipelines.errors import IntegrityError, RequestError


def test_a_token_opens_until_it_is_removed_and_is_written_nowhere(tmp_path):
    secret = tokens.add(tmp_path, "nightly", ["look"])
    known = Tokens(tmp_path)
    found = known.owner(secret)
    assert found is not None
    assert (found.name, found.roles) == ("nightly", ("look",))
    assert known.owner(secret + "x") is known.owner("") is None
    assert secret not in tokens.path(tmp_path).read_text()
    tokens.remove(tmp_path, "nightly")
    assert known.owner(secret) is None


def test_a_token_that_is_added_later_is_known_at_once(tmp_path):
    known = Tokens(tmp_path)
    first, second = tokens.add(tmp_path, "b", ["run", "look"]), tokens.add(tmp_path, "a", ["manage"])
    assert [known.owner(secret).name for secret in (first, second)] == ["b", "a"]
    assert [(token.name, token.roles) for token in tokens.read(tmp_path)] == [
        ("a", ("manage",)),
        ("b", ("look", "run")),
    ]


def test_only_its_user_can_read_the_file(tmp_path):
    tokens.add(tmp_path, "one", ["look"])
    assert stat.S_IMODE(tokens.path(tmp_path).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", " ", "a b", "../x", "-x", "a\n", "x" * 65, "é"])
def test_a_name_that_cannot_be_is_refused(tmp_path, name):
    with pytest.raises(RequestError, match="cannot be the name of a token"):
        tokens.add(tmp_path, name, ["look"])


def test_what_is_wrong_is_told_with_what_there_is(tmp_path):
    tokens.add(tmp_path, "one", ["look"])
    with pytest.raises(RequestError, match=r"already.*--remove one"):
        tokens.add(tmp_path, "one", ["look"])
    with pytest.raises(RequestError, match=r"no role 'root'.*look, run, approve, manage"):
        tokens.add(tmp_path, "two", ["root"])
    with pytest.raises(RequestError, match=r"no token 'two'.*The tokens are: one"):
        tokens.remove(tmp_path, "two")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"tokens": [{}]}', '{"tokens": [{"name": "a", "sha256": "0"}]}'])
def test_a_file_that_holds_no_tokens_is_refused_and_opens_to_nobody(tmp_path, content):
    secret = tokens.add(tmp_path, "one", ["look"])
    known = Tokens(tmp_path)
    tokens.path(tmp_path).write_text(content)
    assert known.owner(secret) is None
    with pytest.raises(IntegrityError, match="not a file of tokens"):
        tokens.read(tmp_path)


def test_a_role_that_nobody_knows_is_no_token(tmp_path):
    tokens.add(tmp_path, "one", ["look"])
    content = json.loads(tokens.path(tmp_path).read_text())
    content["tokens"][0]["roles"] = ["look", "everything"]
    tokens.path(tmp_path).write_text(json.dumps(content))
    with pytest.raises(IntegrityError):
        tokens.read(tmp_path)


def test_a_file_that_others_can_read_is_refused(tmp_path):
    secret = tokens.add(tmp_path, "one", ["look"])
    known = Tokens(tmp_path)
    tokens.path(tmp_path).chmod(0o644)
    assert known.owner(secret) is None
    with pytest.raises(IntegrityError, match="can be read or written by other users"):
        Tokens(tmp_path)
