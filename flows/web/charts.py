"""Charts as inline SVG, drawn here: no script, and no style but the classes of style.css.

Each is a picture for assistive technology (role=img) with a sentence; the numbers stand beside it on the page.
"""

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDE, HIGH, EDGE = 120.0, 32.0, 3.0
Number = float | None


def line(
    values: Sequence[Number],
    lows: Sequence[Number] = (),
    highs: Sequence[Number] = (),
    band: tuple[float, float] | None = None,
    said: str = "",
    marked: Sequence[bool] = (),
) -> Markup:
    """Values from left to right, joined; with their intervals where they have one, and a band behind.

    None: no value, and a gap. marked: those with a dot of their own, such as versions that became champion. "" where
    there is nothing to draw.
    """
    lows, highs = lows or [None] * len(values), highs or [None] * len(values)
    known = [value for value in [*values, *lows, *highs, *(band or ())] if value is not None]
    if not any(value is not None for value in values):
        return Markup("")
    place = _scale(min(known), max(known))
    step = (WIDE - 2 * EDGE) / max(1, len(values) - 1)
    across = [EDGE + number * step if len(values) > 1 else WIDE / 2 for number in range(len(values))]
    parts = [_band(*band, place)] if band else []
    for x, low, high in zip(across, lows, highs, strict=True):
        if low is not None and high is not None:
            parts.append(f'<path class="interval" d="M{x:.1f} {place(low):.1f}V{place(high):.1f}"/>')
    for run in _runs(values):
        points = " ".join(f"{across[number]:.1f},{place(values[number] or 0.0):.1f}" for number in run)
        parts.append(f'<polyline points="{points}"/>')
    for number, value in enumerate(values):
        alone = len(values) == 1 or (number < len(marked) and marked[number])
        if value is not None and alone:
            parts.append(f'<circle cx="{across[number]:.1f}" cy="{place(value):.1f}" r="2.5"/>')
    return _picture("spark", "".join(parts), said)


def interval_strip(
    value: float, low: Number, high: Number, band: tuple[float, float] | None = None, said: str = ""
) -> Markup:
    """One value with its interval on a line from left to right, and a band behind."""
    known = [number for number in (value, low, high, *(band or ())) if number is not None]
    least, most = min(known), max(known)
    size = (most - least) or abs(most) or 1.0

    def place(number: float) -> float:
        return EDGE + (WIDE - 2 * EDGE) * (number - least) / size if most > least else WIDE / 2

    middle, parts = HIGH / 2, list[str]()
    if band:
        left, right = sorted(map(place, band))
        parts.append(f'<rect class="band" x="{left:.1f}" width="{max(right - left, 0.5):.1f}" height="{HIGH:.0f}"/>')
    if low is not None and high is not None:
        parts.append(f'<path class="interval" d="M{place(low):.1f} {middle}H{place(high):.1f}"/>')
    parts.append(f'<circle cx="{place(value):.1f}" cy="{middle}" r="3"/>')
    return _picture("strip", "".join(parts), said)


class _Scale:
    """A number as a place from the top; equal ends lie in the middle."""

    def __init__(self, least: float, most: float):
        self._least, self._size = least, most - least

    def __call__(self, number: float) -> float:
        part = (number - self._least) / self._size if self._size else 0.5
        return HIGH - EDGE - part * (HIGH - 2 * EDGE)


def _scale(least: float, most: float) -> _Scale:
    return _Scale(least, most)


def _band(one: float, other: float, place: _Scale) -> str:
    top, bottom = sorted((place(one), place(other)))
    return f'<rect class="band" y="{top:.1f}" width="{WIDE:.0f}" height="{max(bottom - top, 0.5):.1f}"/>'


def _runs(values: Sequence[Number]) -> list[list[int]]:
    """The places of values that follow each other without a gap, two and more."""
    runs: list[list[int]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(number)
    return [run for run in runs if len(run) > 1]


def _picture(kind: str, content: str, said: str) -> Markup:
    """`said` is escaped; `content` is made of numbers only."""
    named = Markup('role="img" aria-label="{}"').format(said) if said else Markup('aria-hidden="true"')
    title = Markup("<title>{}</title>").format(escape(said)) if said else Markup("")
    box = f"0 0 {WIDE:.0f} {HIGH:.0f}"
    return Markup('<svg class="{}" viewBox="{}" {}>{}{}</svg>').format(
        kind,
        box,
        named,
        title,
        Markup(content),  # noqa: S704 (numbers)
    )
