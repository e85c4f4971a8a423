"""What a form sends: read as it was typed, and a broken one is told."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request

from flows.web import guard, posted

NAMES = st.text("abc.0123", min_size=1, max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=10)
PART = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n'


def built(**parts):
    """A request as a client makes it."""
    request = httpx.Request("POST", "http://127.0.0.1/", **parts)
    return request.headers["content-type"], request.read()


@given(st.dictionaries(NAMES, TEXTS, min_size=1, max_size=5))
def test_texts_arrive_as_they_were_typed(texts):
    assert posted.parsed(*built(data=texts)).texts == texts


@given(st.dictionaries(NAMES, TEXTS, max_size=5), st.binary(max_size=200))
def test_a_file_arrives_byte_by_byte(texts, content):
    found = posted.parsed(*built(data=texts, files={"file": ("a.png", content, "image/png")}))
    assert (found.texts, found.file) == (texts, content)


def test_a_file_that_was_not_chosen_is_empty():
    assert posted.parsed(*built(data={"a": "1"}, files={"file": ("", b"")})).file == b""


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"--y\r\nno end"),
        ("multipart/form-data; boundary=x", b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\nno end'),
        ("multipart/form-data; boundary=" + "x" * 5000, b"--x--"),
        ("multipart/form-data; boundary=x", PART * (posted.MOST_PARTS + 1) + b"--x--"),
        ("application/x-www-form-urlencoded", b"a=\xff"),
    ],
    ids=["no boundary", "another", "cut off", "long boundary", "many parts", "bytes"],
)
def test_what_is_no_form_is_told(kind, body):
    with pytest.raises(HTTPException, match="not a form"):
        posted.parsed(kind, body)


def test_what_is_of_another_kind_is_an_empty_form():
    assert posted.parsed("text/plain", b"a=1") == posted.Posted({})


def test_a_body_without_a_length_is_cut_off_at_the_limit():
    received = 0

    async def receive():
        nonlocal received
        received += 1 << 20
        return {"type": "http.request", "body": bytes(1 << 20), "more_body": True}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(HTTPException) as refused:
        asyncio.run(posted.read(request))
    assert refused.value.status_code == 413
    assert received <= guard.MOST_BYTES + (1 << 20)


def test_a_client_that_goes_away_or_sends_nothing_is_told(monkeypatch):
    async def gone():
        return {"type": "http.disconnect"}

    async def silent():
        await asyncio.sleep(60)

    monkeypatch.setattr(posted, "SECONDS", 0.02)
    for receive, status in ((gone, 400), (silent, 408)):
        with pytest.raises(HTTPException) as refused:
            asyncio.run(posted.read(Request({"type": "http", "method": "POST", "headers": []}, receive)))
        assert refused.value.status_code == status
