"""What a person sees while a run works: the stages, their states and times, and the epochs.

On a terminal the current line is alive; elsewhere every finished stage is one line. All of it goes to standard
error: standard output belongs to the result.
"""

import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from flows.records.epochs import Epoch
from pipelines import visible_text

CHOSEN = "device: "  # how the note of `train` begins that tells where and how it is computed
STYLES = {"Ran": "green", "Restored": "cyan", "Unchanged": "dim", "Failed": "red", "Stopped": "yellow"}


class Progress:
    """Silent: the progress of a run that nobody watches."""

    def begin(self, name: str) -> None:
        pass

    def detail(self, text: str) -> None:
        pass

    def end(self, name: str, state: str, seconds: float, note: str = "") -> None:
        pass

    def notice(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class Shown(Progress):
    """On a terminal, or as plain lines."""

    def __init__(self, console: Console):
        self._console = console
        self._live: Live | None = None
        self._name, self._detail, self._start = "", "", 0.0

    def begin(self, name: str) -> None:
        self._name, self._detail, self._start = name, "", time.monotonic()
        if self._console.is_terminal:
            self._live = Live(_Line(self), console=self._console, transient=True, refresh_per_second=8)
            self._live.start()

    def detail(self, text: str) -> None:
        self._detail = text

    def end(self, name: str, state: str, seconds: float, note: str = "") -> None:
        self.close()
        line = Text.assemble(f"  {name:<10}", (f"{state:<10}", STYLES.get(state, "")), f"{seconds:6.1f} s  ")
        said = visible_text.line("; ".join(filter(None, [self._detail, note])))
        line.append(said, style="dim").rstrip()
        self._console.print(line, soft_wrap=True)

    def notice(self, text: str) -> None:
        self._console.print(Text(f"  {visible_text.line(text)}", style="dim"), soft_wrap=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class _Line:
    """The living line: drawn anew at every refresh, so that the time moves."""

    def __init__(self, watched: Shown):
        self._watched = watched
        self._spinner = Spinner("dots")

    def __rich__(self) -> Spinner:
        one = self._watched
        line = f"{one._name:<10}{time.monotonic() - one._start:16.1f} s  {visible_text.line(one._detail)}"
        self._spinner.update(text=Text(line))  # a text alone would be read as markup, which has links
        return self._spinner


def notes(log: Path) -> str:
    """What a stage wants a person to know: the lines of its log that begin with "note:"."""
    return "; ".join(_notes(log))


def _notes(log: Path) -> list[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]


def device(log: Path) -> dict[str, str]:
    """The tag that tells where and how a training was computed, by its log; {} for one that did not run."""
    found = [note.removeprefix(CHOSEN) for note in _notes(log) if note.startswith(CHOSEN)]
    return {"ratchet.device": found[0]} if found else {}


def told(epoch: Epoch, epochs: int) -> str:
    """One epoch in one line: "epoch 3 of 30, train/loss 0.12, validation/loss 0.15"."""
    values = [f"{key} {value:.4g}" for key, value in epoch.items() if key.endswith("/loss") or key == _quality(epoch)]
    return ", ".join([f"epoch {int(epoch['epoch'])} of {epochs}", *values])


def _quality(epoch: Epoch) -> str:
    """The validation figure that people know: accuracy or error."""
    return next((key for key in epoch if key.startswith("validation/") and not key.endswith("/loss")), "")
