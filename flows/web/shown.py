"""How values are written on pages, and the templates that write them."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.templating import Jinja2Templates

from pipelines import visible_text

HERE = Path(__file__).parent
STATIC = HERE / "static"


def templates() -> Jinja2Templates:
    """The templates of all pages. All that they are given is escaped."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for written in (seen, named, number, percent, instant, short, coded):
        made.filters[written.__name__] = written
    return Jinja2Templates(env=made)


def seen(value: Any) -> str:
    """A text from outside, with invisible characters written out."""
    return visible_text.line(str(value))


def named(value: Any) -> Markup:
    """The name of a column, which a line may break after an underscore, and so need not inside a word.

    >>> str(named("mean_area"))
    'mean_<wbr>area'
    """
    return Markup("_<wbr>").join(escape(part) for part in seen(value).split("_"))


def number(value: Any) -> str:
    """Six digits that matter, without an exponent where people write none.

    >>> [number(x) for x in (3, 0.1 + 0.2, 1234567.891, 1e-9)]
    ['3', '0.3', '1234570', '1e-09']
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return seen(value)
    if isinstance(value, int) or (abs(value) < 1e15 and value == int(value)):
        return str(int(value))
    return f"{float(f'{value:.6g}'):g}" if abs(value) < 1e5 else f"{float(f'{value:.6g}'):.15g}"


def percent(value: float) -> str:
    """A probability with one digit after the point; one that is not quite 0 or 1 does not look like it.

    >>> [percent(x) for x in (1, 0.99999, 0.5, 0.0001, 0)]
    ['100 %', '> 99.9 %', '50.0 %', '< 0.1 %', '0 %']
    """
    if value in (0, 1):
        return f"{value * 100:.0f} %"
    if value < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if value > 0.999 else f"{value * 100:.1f} %"


def instant(text: str) -> str:
    """An ISO instant as people read it, in UTC; anything else stays as it is.

    >>> instant("2026-11-28T14:03:22+00:00")
    '28 Nov 2026, 14:03 UTC'
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return seen(text)
    return f"{found.astimezone(UTC):%d %b %Y, %H:%M} UTC" if found.tzinfo else seen(text)


def short(value: float) -> str:
    """Three digits that matter, as in a table; zeros at the end are kept, so that a column reads well.

    >>> [short(x) for x in (0.97, 0.96825, 54.26, 12345.6)]
    ['0.970', '0.968', '54.3', '12,346']
    """
    if not math.isfinite(value) or value == 0:
        return seen(value) if value else "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if abs(value) >= 1 else 3
    return f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.3g}"


def coded(text: str) -> Markup:
    """A text from outside in which commands stand in backquotes, as everywhere in Ratchet: they become code.

    >>> str(coded("run `a < b` again"))
    'run <code>a &lt; b</code> again'
    """
    parts = seen(text).split("`")
    if len(parts) % 2 == 0:
        return escape(seen(text))
    made = [Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)]
    return Markup("").join(made)
