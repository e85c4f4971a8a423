"""Since when: the first version of the data that broke a rule, and when that was noted, told from the ticks."""

from dataclasses import dataclass

from flows.records.attempts import Tick


@dataclass(frozen=True)
class Since:
    """first: the tick of the version from which on all broke it; None if the version of now is the first one.
    versions: how many those are, the one of now included. before: the last tick on a version that did not, if any."""

    first: Tick | None
    versions: int
    before: Tick | None


def since(lines: list[Tick], title: str, data: str) -> Since:
    """lines: all ticks, the run of now not among them; title: of the finding; data: the version of now.

    Versions stand in the order in which they came first: one that is brought back, or tried again, begins nothing anew.
    """
    seen: dict[str, list[Tick]] = {}
    for tick in lines:
        if tick.broken is not None and tick.data:
            seen.setdefault(tick.data, []).append(tick)
    order = [version for version in seen if version != data]
    if data in seen:
        order = list(seen)[: list(seen).index(data)]
    breaking = {version: [t for t in ticks if title in (t.broken or [])] for version, ticks in seen.items()}
    first, versions = next(iter(breaking.get(data, [])), None), 1
    while order and breaking[order[-1]]:
        first, versions = breaking[order.pop()][0], versions + 1
    return Since(first, versions, seen[order[-1]][-1] if order else None)


def words(found: Since) -> str:
    """In a sentence or two."""
    if found.first is None:
        told = "This is the first version of the data that breaks it."
    else:
        told = f"Broken since {_instant(found.first)}, when pin {found.first.data[:8]} came"
        told += f": {found.versions} versions of the data." if found.versions > 1 else "."
    if found.before is None:
        return f"{told} No run on earlier data was noted here."
    return f"{told} It was not noted of the version before, pin {found.before.data[:8]} ({_instant(found.before)})."


def _instant(tick: Tick) -> str:
    return f"{tick.at[:10]} {tick.at[11:16]} UTC"
