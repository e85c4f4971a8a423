"""Whether ledger and alias agree: from the lines of a model, its alias, and the tag that names the line it followed."""

from collections.abc import Sequence

from flows.records import ledger
from flows.records.champion_state import stand
from flows.records.ledger import Line

FOLLOWED = "ratchet.ledger"  # tag of the registered model: number and hash of the line that the alias has followed


def parsed(tag: str) -> tuple[int, str]:
    """Number and hash in the tag; (0, "") where there is none."""
    number, _, digest = tag.partition(" ")
    return int(number or 0), digest


def untrue(model: str, followed: tuple[int, str], lines: Sequence[Line]) -> str:
    """Why the lines of a model cannot be believed, or ""."""
    if where := ledger.broken(list(lines)):
        return f"The ledger of {model} is broken: {where}"
    number, digest = followed
    if number > len(lines) or (number and lines[number - 1].hash != digest):
        return f"The ledger of {model} is not the one that its alias followed: line {number} is missing or different"
    return ""


def problem(model: str, followed: tuple[int, str], alias: int | None, lines: Sequence[Line]) -> str:
    """A disagreement that cannot be repaired automatically, or "". Tag, alias and lines were read in this order."""
    if wrong := untrue(model, followed, lines):
        return wrong
    number, standing = followed[0], stand(lines)
    if alias == standing.champion or (standing.moved is not None and number < standing.moved.sequence):
        return ""
    told = f"version {standing.champion}" if standing.champion else "none"
    return (
        f"The alias `champion` of {model} was changed outside Ratchet: MLflow says "
        f"{f'version {alias}' if alias else 'no version'}, the ledger {told}"
    )
