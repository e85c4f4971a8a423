"""Which versions of a model are still needed, by its ledger. `ratchet prune` deletes the others."""

from collections.abc import Collection, Sequence

from flows.records.champion_state import stand
from flows.records.ledger import Line

RECENT = 10  # lines of the ledger whose versions stay


def needed(
    lines: Sequence[Line], versions: Collection[int], aliased: Collection[int], unfinished: Collection[int]
) -> set[int]:
    """The versions that stay.

    aliased: versions with an alias in the registry, or live on this machine; unfinished: versions whose run is
    unpublished or still runs. Others that stay: the versions in the last lines, champion and reference, the champion
    that a rollback would restore, the newest version, each that waits or is on trial against today's champion, and each
    vetoed one (under another number the veto of the same model would be lost).
    """
    standing, named = stand(lines), _named(lines)
    seats = [seat for seat in standing.seats if seat.version in named]
    for seat in [*seats, *standing.seats[-2:]]:  # a restored champion needs its reference
        named |= {seat.version, seat.reference}
    newest = {max(versions)} if versions else set()
    named |= {number for number, line in standing.verdicts.items() if _waits(line, standing.champion)}
    named |= {standing.beside.version} if standing.beside else set()
    named |= set(standing.approvals.waiting)
    return set(versions) & (named | newest | set(standing.vetoed) | set(aliased) | set(unfinished))


def _waits(line: Line, champion: int | None) -> bool:
    """Whether the version of a verdict can still be promoted by it."""
    return line.action in ("waits", "on trial") and line.from_version == champion


def _named(lines: Sequence[Line]) -> set[int]:
    """The versions in the last lines, without lines of a pruning."""
    recent = [line for line in lines if line.action != "pruned"][-RECENT:]
    found = {number for line in recent for number in (line.version, line.from_version, line.to_version, line.reference)}
    return {number for number in found if number is not None}
