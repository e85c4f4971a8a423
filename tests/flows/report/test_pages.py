"""Pages: what a template puts in is text, however it is put in."""

import html

import pytest
from jinja2 import DictLoader, Environment, UndefinedError

from flows.report import pages
from pipelines import visible_text
from pipelines.safety import markdown
from tests.pipelines.test_visible_text import LIVE, NASTY

WAYS = "{{ a }}\n{% set b = a %}{{ b ~ '' }}\n{% for c in [a] %}{{ c }}{% endfor %}\n\n{{ [a, a] | join(' ') }}\n"


@pytest.fixture(scope="module")
def forgetful() -> Environment:
    """With templates in which no filter is."""
    return pages._environment().overlay(loader=DictLoader({"a.md.j2": WAYS, "a.html.j2": WAYS}))


@pytest.mark.parametrize("text", [*LIVE, NASTY.replace("\ud800", "")])
def test_a_template_cannot_forget_to_escape(text, forgetful):
    seen = visible_text.line(text)
    found = forgetful.get_template("a.md.j2").render(a=text)
    assert found.splitlines() == list(map(markdown.plain, [text, text, text, f"{text} {text}"]))
    found = forgetful.get_template("a.html.j2").render(a=text)
    assert not {"<", ">", '"', "'"} & set(found)
    assert html.unescape(found).splitlines() == [seen, seen, seen, visible_text.line(f"{text} {text}")]


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="'verdict' is undefined"):
        pages.render("certificate.md.j2", model="m", version=1)
