"""Words that a model has never seen. It takes such a cell for an empty one, and people should know."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from flows.serving.rows import known_words
from pipelines.config.data import Data
from pipelines.errors import DataError

SHOWN = 5  # words of a column


@dataclass
class Unknown:
    """What was met. known: of each category, the words of its training rows. strict: whether another one is refused."""

    data: Data
    known: dict[str, pa.Array]
    strict: bool = False
    rows: int = 0  # looked at, or before the first one that is
    counts: dict[str, int] = field(default_factory=dict)  # cells, by column
    words: dict[str, list[str]] = field(default_factory=dict)  # the first ones; none of a sensitive column

    def look(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The same rows, looked through. Raises DataError for the first unknown word, if that is asked for."""
        for name, known in self.known.items():
            places = pc.index_in(batch[name], known)
            if count := places.null_count - batch[name].null_count:
                self._note(name, batch[name], pc.and_(places.is_null(), batch[name].is_valid()), count)
        self.rows += batch.num_rows
        return batch

    def add(self, other: "Unknown") -> None:
        """What was met in the rows that come next."""
        self.rows = other.rows
        for name, count in other.counts.items():
            self._count(name, count, other.words.get(name, []))

    def _note(self, name: str, column: pa.Array, strange: pa.Array, count: int) -> None:
        if self.strict:
            row = pc.index(strange, True).as_py()
            word = "a sensitive word" if name in self.data.sensitive else repr(column[row].as_py()[:60])
            raise DataError(
                f"Row {self.rows + row + 1}, column {name!r}: {word} is no word that the model was trained on.",
                "Correct it, leave out --strict to have the row answered as if the cell were empty, or train with it.",
            )
        shown = [] if name in self.data.sensitive else pc.unique(column.filter(strange)).to_pylist()
        self._count(name, count, shown)

    def _count(self, name: str, count: int, words: list[str]) -> None:
        self.counts[name] = self.counts.get(name, 0) + count
        if words:
            self.words[name] = list(dict.fromkeys([*self.words.get(name, []), *words]))[:SHOWN]


def known(folder: Path) -> dict[str, pa.Array]:
    """The words that the model of a folder knows of each category."""
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return {name: pa.array(sorted(words), pa.string()) for name, words in known_words.of_model(folder, about).items()}
