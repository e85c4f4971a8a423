"""Which versions of a model are still needed, told from its ledger: `ratchet prune` deletes the others."""

from collections.abc import Collection, Sequence

from flows.records.champion_state import stand
from flows.records.ledger import Line

RECENT = 10  # lines of the ledger whose versions stay


def needed(
    lines: Sequence[Line], versions: Collection[int], aliased: Collection[int], unfinished: Collection[int]
) -> set[int]:
    """The versions that stay, of those there are.

    aliased: those that an alias of the registry names; unfinished: those whose run is not published, or still runs.
    Beside these stay: what the last lines name, champion and reference, the champion that a rollback would go back to,
    the newest version, and each vetoed one: under another number, the same model would not be known as vetoed.
    """
    standing, named = stand(lines), _named(lines)
    seats = [seat for seat in standing.seats if seat.version in named]
    for seat in [*seats, *standing.seats[-2:]]:  # a champion that comes back brings its reference with it
        named |= {seat.version, seat.reference}
    newest = {max(versions)} if versions else set()
    return set(versions) & (named | newest | set(standing.vetoed) | set(aliased) | set(unfinished))


def _named(lines: Sequence[Line]) -> set[int]:
    """The versions in the last lines, of which a pruning is none."""
    recent = [line for line in lines if line.action != "pruned"][-RECENT:]
    found = {number for line in recent for number in (line.version, line.from_version, line.to_version, line.reference)}
    return {number for number in found if number is not None}
