"""The log of one worker: keeps each answered row, and never stands in the way of an answer.

What was handed to the system outlives a kill of the process, at any moment. It does not outlive a power failure: then
the lines of the last half minute may be missing.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from flows.serving.engine.loaded import Answered
from flows.serving.log import layout, lines
from flows.serving.log.keeper import Keeper
from flows.serving.log.lines import Form
from flows.serving.log.open_file import OpenFile
from flows.serving.version import Version
from pipelines.safety import shortage

LOOK = 5.0  # seconds between two looks at the size of today's files
RETRY = 3.0  # seconds between two trials to write
LARGEST_FILE = 256_000_000  # bytes: a larger file of lines is closed before its day ends
AFTERWARDS = "Rows are answered and not logged until that is mended."


class Log:
    """The log of all models of one worker."""

    def __init__(self, folder: Path, worker: int, key: bytes):
        """folder: <state>/answers. worker: its number; that of 0 also closes files. key: for the hashes of sensitive
        values (key.py)."""
        self._folder, self._worker, self._key = folder, worker, key
        self._models: dict[str, ModelLog] = {}
        self._keeper = Keeper(folder, worker == 0, self._turn)

    def start(self) -> None:
        """Begin to close files that are finished, those of a server that was killed too, beside the answers."""
        self._keeper.start()

    def write(self, answered: Answered, ids: Sequence[str], at: datetime) -> bool:
        """Keep the rows of a request. True if all of them are with the system now; False if the model keeps none, the
        sample left one out, or the log has stopped (`problem`). ids: one for each row. at: when they were answered, in
        UTC."""
        log = self._of(answered.version.model)
        if not answered.parts:
            return log.write(answered, ids, at)
        kept = [log.write(part, [ids[place] for place in places], at) for part, places in answered.parts]
        return all(kept)

    def gap(self, version: Version, since: datetime, until: datetime, rows: int, why: str) -> None:
        """Note that rows which a version should have answered have no answer of it here."""
        self._of(version.model).gap(version, since, until, rows, why)

    def _of(self, model: str) -> "ModelLog":
        log = self._models.get(model)
        if log is None:
            log = self._models[model] = ModelLog(self._folder / model, self._worker, self._key)
        return log

    @property
    def problem(self) -> dict[str, str]:
        """Of each model whose log has stopped: why, in a paragraph."""
        return {model: log.problem for model, log in self._models.items() if log.problem}

    def close(self) -> None:
        """End the files, which the next start closes."""
        self._keeper.close()
        for log in self._models.values():
            log.close()

    def _turn(self) -> None:
        today = datetime.now(UTC).date()
        for log in list(self._models.values()):
            log.turn(today)


class ModelLog:
    """The log of one model, used by the thread of the answers and that of the keeper. problem: why it has stopped."""

    def __init__(self, folder: Path, worker: int, key: bytes):
        self.problem = ""
        self._folder, self._worker, self._key = folder, worker, key
        self._turning = threading.Lock()
        self._forms: dict[int, Form] = {}  # by version
        self._file: OpenFile | None = None
        self._look_at = self._retry_at = 0.0  # of the monotonic clock
        self._since, self._until, self._missed = datetime.min, datetime.min, 0

    def write(self, answered: Answered, ids: Sequence[str], at: datetime) -> bool:
        form = self._form_of(answered.version)
        if not form.log:
            self.problem = ""
            return False
        places = form.chosen(ids)
        if not places:
            return False
        if self.problem and time.monotonic() < self._retry_at:
            self._miss(len(places), at)
            return False
        content = form.lines(answered, ids, at, places)
        try:
            with self._turning:
                self._append(form, content, at)
        except OSError as error:
            self._stop(error)
            self._miss(len(places), at)
            return False
        return len(places) == len(ids)

    def gap(self, version: Version, since: datetime, until: datetime, rows: int, why: str) -> None:
        """As Log.gap. Where the log has stopped, the rows count among those that it missed."""
        form = self._form_of(version)
        if not form.log:
            return
        try:
            with self._turning:
                self._append(form, lines.gap(since, until, rows, why), until)
        except OSError as error:
            self._stop(error)
            self._miss(rows, until)

    def turn(self, today: date) -> None:
        """End a file of an earlier day, and one that somebody waits for, so that it can be closed though no request
        comes."""
        with self._turning:
            if self._file is not None and (self._file.day < today or self._file.is_asked_to_end):
                self._drop()

    def close(self) -> None:
        if self._missed and self._file is not None:
            with contextlib.suppress(OSError):  # the disk is still full
                self._file.append(self._gap())
        self._drop()

    def _form_of(self, version: Version) -> Form:
        found = self._forms.get(version.number)
        if found is None or found.version is not version:
            found = self._forms[version.number] = Form(version, self._key)
        return found

    def _append(self, form: Form, content: bytes, at: datetime) -> None:
        """Raises OSError if nothing was written."""
        now = time.monotonic()
        if now >= self._look_at or self.problem:
            self._look(form, at)
            self._look_at = now + LOOK
        file = self._file
        if file is None or file.day != at.date() or file.size > LARGEST_FILE:
            self._drop()
            file = self._file = OpenFile(self._folder, self._worker, at)
        file.append(self._gap() + content if self._missed else content)
        self.problem, self._missed = "", 0

    def _look(self, form: Form, at: datetime) -> None:
        """Whether there is room for more of today, and the file is still sound. Raises OSError."""
        if self._file is not None and not self._file.is_sound:
            self._drop()
        if (size := layout.bytes_of(self._folder, at.date())) >= form.largest:
            raise TooLarge(
                f"The rows of today take {size / 1e9:.3g} GB in {self._folder}, and `serve: largest_gb` allows "
                f"{form.largest / 1e9:.3g}. Raise it, or lower `serve: sample`. Else rows are logged again tomorrow."
            )

    def _stop(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + RETRY
        if isinstance(error, TooLarge):
            self.problem = str(error)
            return
        known = shortage.of(error, [self._folder])
        what = known.what if known else f"{error.filename or self._folder} cannot be written: {error.strerror}."
        self.problem = f"{what} {AFTERWARDS}"

    def _miss(self, rows: int, at: datetime) -> None:
        self._since = self._since if self._missed else at
        self._until, self._missed = at, self._missed + rows

    def _gap(self) -> bytes:
        return lines.gap(self._since, self._until, self._missed, self.problem)

    def _drop(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class TooLarge(OSError):
    """The rows of one day alone exceed what the model's log may take."""
