"""Canary: a version on trial answers some callers. The answers of a caller all come from one version.

Where it has no answer and the champion has one, the champion answers. A request may have rows of both.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flows.serving.engine.live_file import Beside
from flows.serving.engine.loaded import Answered, Loaded
from flows.serving.log.lines import share
from flows.serving.problem import Problem
from flows.serving.trial.counts import Counts, Told, nobody

ANSWER_SECONDS = 5.0  # after which the champion answers
EXACT = 2**53  # whole numbers up to here are exact as doubles
LOG = logging.getLogger("ratchet.serving")


class Canary:
    """One version that answers a share of the callers."""

    def __init__(self, told: Beside, loaded: Loaded, tell: Told = nobody):
        """tell: is told of the rows that it answers, and of those that it has no answer to."""
        self.counts = Counts(told, tell)
        self._told, self._loaded = told, loaded
        self._salt = f"{told.version.model}\0{told.version.number}\0"

    @property
    def problem(self) -> str:
        """Why it does not answer now; "" if it does."""
        return self._loaded.problem

    def chosen(self, row: Any, name: str) -> bool:
        """Whether a row is for the canary. name: its id, which decides where no key is declared.

        A row without the whole key is for the champion: nobody knows whose it is.
        """
        if self._told.key:
            if not isinstance(row, dict) or any(row.get(column) is None for column in self._told.key):
                return False
            name = caller(row, self._told.key)
        return share(self._salt + name) < self._told.share

    async def answer(self, champion: Loaded, rows: Sequence[Any], ids: Sequence[str]) -> Answered:
        """The answers to a request. Raises Problem as the champion does."""
        places = [place for place, (row, name) in enumerate(zip(rows, ids, strict=True)) if self.chosen(row, name)]
        found = await self._asked([rows[place] for place in places]) if places else None
        if found is None:
            return await champion.answer(rows)
        others = sorted(set(range(len(rows))) - set(places))
        if not others:
            return found
        try:
            mine = await champion.answer([rows[place] for place in others])
        except Problem:
            return await champion.answer(rows)  # whose problem names the right row
        return mixed(mine, others, found, places)

    async def close(self) -> None:
        """End after the last request."""
        await self._loaded.drained()

    async def _asked(self, rows: list[Any]) -> Answered | None:
        """None if it has no answer to all of these rows."""
        try:
            found = await asyncio.wait_for(self._loaded.answer(rows), ANSWER_SECONDS)
        except (Problem, TimeoutError) as error:
            why = error.kind if isinstance(error, Problem) else "it took too long"
            self.counts.add("failed", len(rows))
            version = self._told.version
            LOG.warning("%s: canary version %d has no answer (%s)", version.model, version.number, why)
            return None
        self.counts.add("answered", len(rows))
        return found


def caller(row: Mapping[str, Any], key: Sequence[str]) -> str:
    """The text that names a caller: the same for a number and its text, such as 5, 5.0 and "5"."""
    return "\0".join(map(_text, (row[column] for column in key)))


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return str(int(value))
    return str(value)


def mixed(mine: Answered, others: Sequence[int], found: Answered, places: Sequence[int]) -> Answered:
    """The answers of the champion (`mine`, at the places `others`) and of the canary, in the order of the request."""
    order = [(place, mine, at) for at, place in enumerate(others)] + [
        (place, found, at) for at, place in enumerate(places)
    ]
    order.sort(key=lambda one: one[0])
    batch = replace(
        mine.batch,
        arrays={},
        size=len(order),
        unknown=[part.batch.unknown[at] for _, part, at in order],
        raw=[part.batch.raw[at] for _, part, at in order],
        times=[part.batch.times[at] for _, part, at in order] if mine.batch.times else [],
    )
    answers = [part.answers[at] for _, part, at in order]
    return Answered(mine.version, answers, batch, ((mine, tuple(others)), (found, tuple(places))))
