"""Bodies: strict JSON, with the place of what is wrong; and never more bytes than the limit."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.serving.http import body
from flows.serving.http.limits import Limits
from flows.serving.problem import Problem

SIMPLE = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=6)
VALUES = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
TEXTS = st.sampled_from(['a": 1', '"', '":', ' " : ', "12:30", "\\", "{", "é"])


def refusal(content: bytes) -> dict[str, Any]:
    with pytest.raises(Problem) as refused:
        body.parsed(content)
    assert refused.value.status == 400
    return refused.value.content()


@given(VALUES | st.dictionaries(TEXTS, TEXTS) | st.lists(st.dictionaries(TEXTS, SIMPLE)))
def test_what_json_can_say_is_read_as_it_was_meant(value):
    for indent in (None, 2):
        assert body.parsed(json.dumps(value, indent=indent).encode()) == value
    assert body.parsed(json.dumps(value, ensure_ascii=False, separators=(" \n, ", " \t: ")).encode()) == value


@given(st.dictionaries(TEXTS, VALUES, min_size=1), st.integers(0, 3), st.sampled_from([":", " :", "\n\t: "]))
def test_a_key_that_is_twice_is_refused_wherever_it_is(value, depth, colon):
    name = next(iter(value))
    key = json.dumps(name, ensure_ascii=False)
    text = json.dumps(value, ensure_ascii=False)
    text = text[:-1] + f", {key}{colon}1}}"
    for _ in range(depth):
        text = f'[1, {{"outer": {text}, "other": [{{}}]}}]'
    told = refusal(text.encode())
    assert "twice in one object" in told["detail"]
    assert repr(name) in told["detail"]


@pytest.mark.parametrize(
    ("content", "detail", "repair"),
    [
        (b"", "empty", "one row as an object"),
        (b"  \n", "empty", "one row as an object"),
        (b'{"a": 1,}', "line 1, column 8", "valid JSON"),
        (b'{"a": 1,\n "b": tru}', "line 2, column 7", "valid JSON"),
        (b'{"a": NaN}', "line 1, column 7", "null for a missing value"),
        (b"[1, -Infinity]", "column 6", "null for a missing value"),
        (b'{"a": Infinity}', "column 7", "null for a missing value"),
        (b'{"a": "\xff"}', "Byte 8 of the body is no UTF-8", "UTF-8"),
        (b'{"a": "\\ud800"}', "surrogate", "valid JSON"),
        ("\ufeff{}".encode(), "byte order mark", "without one"),
        (b"[" * 100_000, "nested far too deeply", "plain objects"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "more than 64", "plain objects"),
        (b"[1," * 65 + b"1" + b"]" * 65, "more than 64", "plain objects"),
        (b"[1e999]", "infinity", "valid JSON"),
        (b'{"a": 1} x', "line 1, column 10", "valid JSON"),
    ],
)
def test_what_is_no_strict_json_is_told_with_its_place_and_what_to_do(content, detail, repair):
    told = refusal(content)
    assert detail in told["detail"]
    assert repair in told["repair"]


def test_what_is_nested_as_deep_as_it_may_be_is_read():
    assert body.parsed(b"[1, " * 64 + b"1" + b"]" * 64)[1][1][1][0] == 1


def arriving(*parts: bytes | None) -> body.Receive:
    """What an ASGI server hands on; None: the client leaves."""
    left = list(parts)

    async def receive() -> Any:
        part = left.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return receive


def read(source: body.Receive, declared: bytes = b"", **limits: int) -> bytes:
    return asyncio.run(body.whole(source, declared, Limits(**limits)))


def test_a_body_is_the_sum_of_its_parts():
    assert read(arriving(b"ab", b"", b"c")) == b"abc"
    assert read(arriving(b"a" * 10), body=10) == b"a" * 10


@pytest.mark.parametrize("parts", [(b"a" * 11,), (b"a" * 10, b"b"), (b"a" * 6, b"a" * 6, b"")])
def test_a_body_above_the_limit_is_refused(parts):
    with pytest.raises(Problem, match="10 bytes") as refused:
        read(arriving(*parts), body=10)
    assert refused.value.status == 413


def test_a_body_that_says_it_is_too_large_is_refused_unread():
    with pytest.raises(Problem, match="10 bytes"):
        read(arriving(), b"11", body=10)


def test_nobody_waits_for_the_answer_to_a_client_that_has_left():
    with pytest.raises(body.Gone):
        read(arriving(b"a", None))
