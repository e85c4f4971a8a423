"""The reader of requests: raw rows, as they stand in the source file -> the arrays that a version takes."""

import json
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flows.serving.problem import Problem
from flows.serving.rows import declared, known_words, meaning
from flows.serving.rows.batch import Batch
from flows.serving.rows.pictures import PictureRows
from flows.serving.rows.series import SeriesRows
from flows.serving.rows.table import TableRows

__all__ = ["Batch", "RowReader"]


class RowReader:
    """Reads raw rows as one version reads them. Its arrays are those of predictor.to_arrays for the same rows."""

    def __init__(self, folder: Path, sensitive: Collection[str] = (), kept: Collection[str] = ()):
        """folder: of a version, whose files have been checked (engine/loading.py). sensitive: columns whose values no
        message shows, beside those that columns.json marks. kept: columns that Batch.raw has beside those that the
        model takes. Raises IntegrityError if the key of its hashes is not here."""
        self.about: dict[str, Any] = json.loads((folder / "model" / "model.json").read_text(encoding="utf-8"))
        self.classes: list[str | int] = self.about["classes"]
        self._meaning = meaning.of_version(folder / "reading")
        self.columns = declared.of_version(folder, {*sensitive, *self._meaning.private}, kept)
        self._rows = self._of_kind(folder)

    def read(self, rows: Sequence[Any], before: int = 0) -> Batch:
        """Rows of a request -> one batch.

        rows: objects of columns, of a picture {"image": ...}, of a forecast {"rows": [...]}. Columns that the model
        does not know are passed over. before: how many rows of the request come before these. Raises Problem, with
        status 400, for the first row that does not fit.
        """
        try:
            return self._rows.read(rows, before)
        except Problem as problem:
            raise self._with_others(problem, rows, before) from None

    def _with_others(self, problem: Problem, rows: Sequence[Any], before: int) -> Problem:
        """The same problem, saying how many of these rows do not fit either: one repair may be for all."""
        others = sum(not self._fits(row) for row in rows) - 1
        if others < 1:
            return problem
        verb = "does" if others == 1 else "do"
        return problem.saying(f"Of rows {before + 1} to {before + len(rows)}, {others} more {verb} not fit.")

    def _fits(self, row: Any) -> bool:
        try:
            self._rows.read([row])
        except Problem:
            return False
        return True

    def _of_kind(self, folder: Path) -> TableRows | PictureRows | SeriesRows:
        if self.about["kind"] == "image":
            return PictureRows(self.about["shape"], partial(self.columns.kept, meaning=self._meaning))
        kind = SeriesRows if self.about["kind"] == "sequence" else TableRows
        known = known_words.of_model(folder / "model", self.about)
        return kind(self.about, self._meaning, known, self.columns)
