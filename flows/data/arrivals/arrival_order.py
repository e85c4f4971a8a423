"""The order of arrival: where rows have events (`clean: event:`), files are pinned in the order in which they came.

So a later row of an event is a newer one. Of files that come together, those of the source go by their names, then
those with learned rows (flows/labels/learned.py). A file that grew at its end keeps its place; one that was replaced is
a new one.
"""

from typing import Any, cast

from flows.data.arrivals import lost_rows
from flows.data.arrivals.scan import Arrival
from pipelines.clean import Clean
from pipelines.model_file import Declaration

LEARNED = "learned-"  # how the names of files with learned rows begin


def of(declared: Declaration, old: dict[str, Any] | None, found: list[Arrival], unpinned: list[str]) -> list[Arrival]:
    """The arrivals in the order in which they are pinned. old: the pin before. unpinned: where there is none, the names
    of the files of one that `ratchet forget` removed, in their order."""
    if not cast(Clean, declared.sections["clean"]).event:
        return found
    if old is None:
        known = {name: place for place, name in enumerate(unpinned)}
        return sorted(found, key=lambda one: (known.get(one.name, len(known)), _together(one)))
    entries = {entry["name"]: (place, entry) for place, entry in enumerate((old or {}).get("files", []))}
    there = [one for one in found if one.name in entries and _same(one, entries[one.name][1])]
    fresh = [one for one in found if one not in there]
    return sorted(there, key=lambda one: entries[one.name][0]) + sorted(fresh, key=_together)


def _same(one: Arrival, entry: dict[str, Any]) -> bool:
    """Whether a file is the pinned one, or begins with it."""
    return one.sha256 == entry["sha256"] or lost_rows.begins(one.path, entry)


def _together(one: Arrival) -> tuple[bool, bool, str]:
    return one.name.startswith(LEARNED), "/" in one.name, one.name
