"""The guard around the pages: who may ask, how much may be sent, and what every answer carries."""

import asyncio

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from flows.web import guard
from flows.web.guard import Guard

HOST = "127.0.0.1:8791"
OWN = {"host": HOST, "origin": f"http://{HOST}"}


def status(method, headers, names=frozenset({"127.0.0.1", "localhost", "::1"})):
    return guard.refusal(method, Headers(headers), names)[0]


@pytest.mark.parametrize("host", [HOST, "localhost", "LOCALHOST:9", "[::1]:8791"])
def test_a_request_that_names_this_machine_is_answered(host):
    assert status("GET", {"host": host}) == 200


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example", "evil.example:8791", "127.0.0.1@evil.example", "a b", "[::1"]
)
def test_a_request_at_another_name_is_refused(host):
    assert status("GET", {"host": host}) == 403


def test_a_name_that_was_declared_is_answered():
    assert status("GET", {"host": "ratchet.example"}, {"ratchet.example"}) == 200


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, 200),
        ({"origin": f"https://{HOST}"}, 200),  # behind a proxy
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8790"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-length": str(guard.MOST_BYTES)}, 200),
        ({"content-length": str(guard.MOST_BYTES + 1)}, 413),
        ({"content-length": "-1"}, 400),
        ({"content-length": "²"}, 400),
    ],
)
def test_only_a_page_of_ours_sends_a_form_and_not_too_much(more, expected):
    assert status("POST", OWN | more) == expected


def test_a_program_that_is_no_browser_may_send_a_form():
    assert status("POST", {"host": HOST}) == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(method):
    assert status(method, OWN) == 405


@pytest.mark.parametrize("host", [HOST, "evil.example"])
def test_every_answer_forbids_what_is_not_ours(host):
    async def asked():
        transport = httpx.ASGITransport(Guard(PlainTextResponse("here")))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.get("/")

    answer = asyncio.run(asked())
    assert answer.status_code == (200 if host == HOST else 403)
    rules = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
        assert rule in rules.split("; ")
    assert "unsafe" not in rules
    assert answer.headers["x-content-type-options"] == "nosniff"
