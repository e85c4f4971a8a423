"""The section `labels`."""

from pydantic import model_validator

from pipelines.config.data import Data
from pipelines.config.section import Section


class Labels(Section):
    """Labels that come after an answer (docs/guides/monitoring.md). The section may be absent."""

    key: list[str] = []
    """Columns of the answered rows and of the label files that name an event. Without them a label names the id of an
    answer."""
    learn: bool = False
    """Whether labelled answered rows become rows of the source. It needs `key`, and the same columns under `clean:
    event:` (and `split: key:`)."""
    depend_on_answer: bool = False
    """Whether the answer decides if a label ever comes, as with a credit that is refused. Then every live figure says
    that it is of some rows only."""

    def logged(self, data: Data) -> list[str]:
        """The columns that the log of answers needs beside those that the model takes."""
        found = dict.fromkeys([*self.key, *(data.carried if self.learn else [])])
        return [name for name in found if name not in data.sensitive]

    @model_validator(mode="after")
    def _names_events(self) -> "Labels":
        if self.learn and not self.key:
            raise ValueError("`learn` needs `key`: the columns by which an event is the same in source and answers")
        return self
