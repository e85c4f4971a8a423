"""Every error a person can meet, on one page.

RatchetError                what happened, where, what to do: one paragraph, exit status 1
├── RequestError            the request is wrong: exit status 2
│   └── SettingsError       ... in a model's YAML file
├── DataError               the data are not what was declared
│   └── ExpectationError    ... a rule of level `stop` fails
├── TrainingError           training cannot go on (a loss that is not a number, a missing device)
├── StageError              a stage failed under the flow; carries the stage's own paragraph
├── IntegrityError          a file is not the one that was recorded
├── ShortageError           no space on the disk, no memory, or no right to write
├── UnreachableError        a server, a database or the network is away: the same may work later
└── BusyError               another process holds what is needed

A message is always one paragraph: characters from outside that cannot be seen are written out (visible_text.py).
"""

from pipelines import visible_text


class RatchetError(Exception):
    """What happened, where, and what to do next, in one paragraph."""

    status = 1

    def __init__(self, what: str, do: str = ""):
        what, do = visible_text.line(what), visible_text.line(do)
        super().__init__(what if not do else f"{what} {do}")
        self.what, self.do = what, do


class RequestError(RatchetError):
    status = 2


class SettingsError(RequestError):
    pass


class DataError(RatchetError):
    pass


class ExpectationError(DataError):
    pass


class TrainingError(RatchetError):
    pass


class StageError(RatchetError):
    def __init__(self, stage: str, what: str, status: int = 1, kind: str = ""):
        """kind: the name of the stage's error; "" if it was killed or could not start."""
        super().__init__(what)
        self.stage, self.status, self.kind = stage, status, kind


class IntegrityError(RatchetError):
    pass


class ShortageError(RatchetError):
    pass


class UnreachableError(RatchetError):
    pass


class BusyError(RatchetError):
    pass
