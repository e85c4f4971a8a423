"""Said: what a look at drift found, in sentences."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Protocol

from pipelines import visible_text

FEW = 5  # columns in a sentence
LARGE = 0.1  # a change of the share of missing values that is told before that of the numbers

Figures = Mapping[str, Any]


class Told(Protocol):
    """A column as look.py judged it."""

    @property
    def name(self) -> str: ...
    @property
    def alarm(self) -> bool: ...
    @property
    def said(self) -> str: ...


def column(
    name: str,
    kind: str,
    broken: str,
    alarm: bool,
    distance: float,
    then: Figures,
    now: Figures,
    factor: float = 0.0,
    private: bool = False,
) -> str:
    """One column in a sentence without its end: "`age` has changed: its median is 41, and was 37"."""
    what = {"prediction": "the answers", "confidence": "the confidence of the answers"}.get(name, "")
    subject = what if kind == "answers" and what else f"`{visible_text.line(name)}`"
    if broken:
        return f"{subject} looks broken: {_broken(broken, then, now, factor)}"
    verb = "have" if subject == "the answers" else "has"
    state = f"{verb} changed" if alarm else f"{verb} moved by {distance:.2f}"
    whose = "their" if verb == "have" else "its"
    return f"{subject} {state}: {'its values are private' if private else _change(then, now, whose)}"


def _broken(broken: str, then: Figures, now: Figures, factor: float) -> str:
    if broken == "missing":
        return f"missing in {share(now['missing'])} of the rows, and was in {share(then['missing'])}"
    if broken == "unknown":
        return (
            f"{share(now['unknown'])} of its words are ones that the model has never seen, and were "
            f"{share(then['unknown'])}"
        )
    if broken == "constant":
        return "it has one value in all rows"
    return f"its values are {factor:.3g} times those before, as if in another unit"


def _change(then: Figures, now: Figures, whose: str) -> str:
    """The part that changed most. whose: its or their."""
    gone = abs(now["missing"] - then["missing"])
    missing = f"missing in {share(now['missing'])} of the rows, and was in {share(then['missing'])}"
    if "shares" in now:
        word = max(now["shares"], key=lambda one: _grown(one, then, now), default="")
        if not now["shares"] or gone > _grown(word, then, now)[0]:
            return missing
        shown = visible_text.line(repr(word[:40]))
        return f"{shown} is {share(now['shares'][word])} of the rows, and was {share(then['shares'][word])}"
    if gone >= LARGE or "median" not in then or "median" not in now:
        return missing
    middle = "median" if f"{now['median']:.4g}" != f"{then['median']:.4g}" else "mean"
    return f"{whose} {middle} is {now[middle]:.4g}, and was {then[middle]:.4g}"


def _grown(word: str, then: Figures, now: Figures) -> tuple[float, float]:
    """How much the share of a word changed, and what it is now: of two that changed alike the larger one is told."""
    return round(abs(now["shares"][word] - then["shares"][word]), 6), now["shares"][word]


def share(value: float) -> str:
    """A share in percent: 0.4 % and 41 %."""
    percent = 100 * value
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{percent:.0f} %"


def whole(day: date, columns: Sequence[Told], reference: str, unwatched: Mapping[str, str], kind: str) -> str:
    """The look in sentences. kind: of the data."""
    moved = [one.said for one in columns if one.alarm]
    if not moved:
        what = f"{len(columns)} columns and parts of the answers" if len(columns) > 1 else "what is watched"
        told = f"On {day} nothing has drifted: {what} are compared with {reference}."
    else:
        rest = f"; and {len(moved) - FEW} more" if len(moved) > FEW else ""
        told = f"On {day}, compared with {reference}: {'; '.join(moved[:FEW])}{rest}."
    if kind == "sequence":
        told += " Rows of a series depend on each other: their changes are shown, and only a broken column is an alarm."
    if kind == "image":
        told += " Of a picture only its brightness is watched, not what it shows."
    told += "".join(f" Without {name}: {why}." for name, why in unwatched.items() if "cannot be read" in why)
    hidden = [name for name, why in unwatched.items() if why == "sensitive"]
    return told + (f" Not watched, because sensitive: {', '.join(map(visible_text.line, hidden))}." if hidden else "")
