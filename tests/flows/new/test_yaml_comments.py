"""Commented YAML: whatever the names and values are, what is read back is what was written."""

import io

import pytest
from dvc.utils.serialize import load_yaml, modify_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from flows.new import yaml_comments
from flows.new.yaml_comments import Said

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SINGLES = st.one_of(TEXTS, st.integers(-(10**9), 10**9), st.booleans(), st.floats(-1e9, 1e9, width=32))
VALUES = st.recursive(
    SINGLES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
REASONS = st.builds(Said, VALUES, TEXTS)


def read(text: str) -> dict:
    return dict(YAML(typ="safe", pure=True).load(io.StringIO(text)))


@given(st.dictionaries(TEXTS, st.dictionaries(TEXTS, VALUES | REASONS | st.lists(REASONS, max_size=3), max_size=3)))
def test_what_is_written_is_read_back_without_its_reasons(content):
    whole = {"format": 1} | {name: part for name, part in content.items() if name != "format"}
    text = yaml_comments.text("a head", whole)
    assert read(text) == yaml_comments.plain(whole)
    assert text.replace("\n", "").isprintable()


WORDS = st.text("ab:?{}[],#&*!|>'\"%@`-= ü", min_size=1, max_size=6).map(lambda word: f"w{word}w") | st.sampled_from(
    [
        "builtin:digits",
        "2026-01-01T00:00:00+00:00",
        "0 4 * * *",
        "{a}",
        "a, b",
        "# no",
        "?",
        "- x",
        "yes",
        "1.0",
        "10:30",
    ]
)
NAMES = st.sampled_from(["cron", "split", "test_from", "a:b", "is it?", "größe", "x y"])
PLAIN = st.recursive(
    WORDS | st.integers(0, 99), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, PLAIN | st.builds(Said, PLAIN, WORDS), min_size=1, max_size=4))
def test_dvc_can_write_a_value_anew_and_read_the_rest_as_it_was(tmp_path, content):
    """As `dvc exp run -S models/x.yaml:train.epochs=3` does."""
    path, whole = tmp_path / "x.yaml", {"data": content, "train": {"epochs": 1}}
    path.write_text(yaml_comments.text("", whole), encoding="utf-8")
    before = load_yaml(path)
    with modify_yaml(path) as tree:
        tree["train"]["epochs"] = 3
    assert load_yaml(path) == before | {"train": {"epochs": 3}}
    assert read(path.read_text(encoding="utf-8")) == yaml_comments.plain(whole) | {"train": {"epochs": 3}}


@pytest.mark.parametrize("name", ["x" * 2000, "a b" * 500, "\n" * 1000, "- ? : #" * 200, "a: {" * 300])
def test_a_name_may_be_longer_than_a_key_of_one_line(name):
    whole = {"format": 1, "data": {name: Said({name: name}, "why"), "rules": [Said([name], "why")]}, name: {name: 1}}
    text = yaml_comments.text("", whole)
    assert read(text) == yaml_comments.plain(whole)
    assert text.count(" # why\n") == 2


def test_a_reason_stands_on_the_line_of_its_value():
    inner = {"columns": {"age": Said("number", "17 to 90")}, "rules": [Said({"rule": "x", "low": 1}, "seen")]}
    text = yaml_comments.text("one\ntwo", {"format": 1, "data": inner, "check": {}})
    assert text == (
        "# one\n# two\nformat: 1\n\ndata:\n  columns:\n    age: number # 17 to 90\n  rules:\n"
        "    - {rule: x, low: 1} # seen\n\ncheck: {}\n"
    )


@pytest.mark.parametrize("why", ["a\nb: c", "\x1b[31mred", "a\u2028b", "\x00"])
def test_a_reason_cannot_become_anything_else(why):
    text = yaml_comments.text("", {"format": 1, "data": {"a": Said(1, why)}})
    assert read(text) == {"format": 1, "data": {"a": 1}}
    assert "\x1b" not in text
