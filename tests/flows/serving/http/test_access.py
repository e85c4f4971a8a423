"""Access: a server answers to its own names, to its own pages, and where others reach it, to tokens."""

import pytest

from flows.access import tokens
from flows.access.tokens import Tokens
from flows.serving.http.access import Access
from flows.serving.problem import Problem

HERE = {b"host": b"127.0.0.1:8000"}


def status(access: Access, headers: dict[bytes, bytes], method: str = "POST", path: str = "/models/a/predict") -> int:
    try:
        access.check(method, path, headers)
    except Problem as problem:
        return problem.status if problem.repair else 0
    return 200


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (b"127.0.0.1:8000", 200),
        (b"LOCALHOST", 200),
        (b"[::1]:9", 200),
        (b"models.example", 403),
        (b"10.0.0.7:8000", 403),
        (b"127.0.0.1.evil.example", 403),
        (b"", 403),
        (b"\xff\xfe", 403),
    ],
)
def test_a_server_of_this_machine_is_called_by_its_names(host, found):
    access = Access()
    assert [status(access, {b"host": host}) for _ in range(2)] == [found, found]
    assert status(access, {b"host": host}, "GET", "/models") == found


def test_more_names_are_those_that_are_allowed():
    access = Access("127.0.0.1", ("Models.Example",))
    assert status(access, {b"host": b"models.example:443"}) == 200
    assert status(access, {b"host": b"other.example"}) == 403


def test_beyond_this_machine_an_address_in_digits_will_do_and_a_foreign_name_will_not(tmp_path):
    secret = tokens.add(tmp_path, "one", ["look"])
    access = Access("0.0.0.0", tokens=Tokens(tmp_path))
    login = {b"authorization": f"Bearer {secret}".encode()}
    assert status(access, {b"host": b"10.0.0.7:8000"} | login) == 200
    assert status(access, {b"host": b"evil.example"} | login) == 403


def test_a_page_of_another_site_may_not_send():
    access = Access()
    for origin in (b"http://evil.example", b"null", b"http://127.0.0.1:8001", b"http://localhost:8000"):
        assert status(access, HERE | {b"origin": origin}) == 403
    assert status(access, HERE | {b"origin": b"http://127.0.0.1:8000"}) == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_opens(tmp_path, scheme):
    secret = tokens.add(tmp_path, "one", ["look"])
    access = Access("0.0.0.0", tokens=Tokens(tmp_path))
    assert status(access, HERE | {b"authorization": f"{scheme} {secret}".encode()}) == 200
    tokens.remove(tmp_path, "one")
    assert status(access, HERE | {b"authorization": f"{scheme} {secret}".encode()}) == 401


@pytest.mark.parametrize(
    "given", [b"", b"Bearer", b"Bearer ", b"Bearer x", b"Basic %s", b"%s", b"Bearer %s x", b"\xff"]
)
def test_anything_else_does_not(tmp_path, given):
    secret = tokens.add(tmp_path, "one", ["look"]).encode()
    access = Access("0.0.0.0", tokens=Tokens(tmp_path))
    headers = HERE | {b"authorization": given.replace(b"%s", secret)}
    for method, path in (("POST", "/models/a/predict"), ("GET", "/models"), ("GET", "/metrics")):
        assert status(access, headers, method, path) == 401
    assert status(access, headers, "GET", "/health") == status(access, {}, "GET", "/ready") == 200
