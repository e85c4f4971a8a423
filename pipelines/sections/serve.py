"""The section `serve`."""

from typing import Literal

from pydantic import Field, model_validator

from pipelines.config.data import Data
from pipelines.config.section import Section


class Shadow(Section):
    """An accepted candidate answers the same rows, unseen, before it becomes champion."""

    rows: int = Field(2000, ge=1)
    """The answered rows after which it is judged at the latest. Then it says how many more rows would decide."""


class Canary(Section):
    """An accepted candidate answers some callers before it becomes champion."""

    share: float = Field(0.05, gt=0, le=0.5)
    """The share of the callers."""
    key: list[str] = []
    """Columns of a row that name a caller: all answers of a caller come from one version. Without them it is the id of
    the answer."""
    rows: int = Field(20_000, ge=1)
    """The labelled rows of the canary after which it is judged at the latest."""


class Serve(Section):
    """How `ratchet serve` tries a candidate, and what it keeps of its answers (docs/reference/state.md). The section
    may be absent."""

    shadow: Shadow | None = None
    """With it, a candidate that the gate accepts answers unseen first."""
    canary: Canary | None = None
    """With it, a candidate that the gate accepts (and the shadow, if there is one) answers some callers first."""
    rollback: Literal["by_hand", "automatic"] = "by_hand"
    """`automatic`: a champion that is shown to be worse on live rows than the one before goes back by itself."""
    before_rows: int = Field(2000, ge=1)
    """With `rollback: automatic`, the rows that the champion before answers unseen after a promotion."""

    log: bool = True
    """Whether each answered row is kept with its answer."""
    sample: float = Field(1.0, ge=0, le=1)
    """The share of answered rows that are kept. A hash of the id of an answer decides."""
    keep_days: int = Field(180, ge=1, le=36_500)
    """Days after which kept rows are deleted."""
    largest_gb: float = Field(5.0, gt=0)
    """The largest size of the log in gigabytes (10^9 bytes). The oldest days are deleted first. If today alone is
    larger, no more rows are kept until tomorrow."""
    sensitive: Literal["leave_out", "hash"] = "leave_out"
    """What becomes of the columns in `data.sensitive`: they are left out, or their values are replaced by HMAC-SHA-256
    with a key that stays in the state folder."""

    def logged(self, data: Data) -> list[str]:
        """The columns that the log needs to tell callers apart."""
        key = self.canary.key if self.canary else []
        return [name for name in key if name not in data.sensitive or self.sensitive == "hash"]

    @model_validator(mode="after")
    def _judged_by_the_log(self) -> "Serve":
        tried = self.shadow or self.canary or self.rollback == "automatic"
        if tried and not (self.log and self.sample):
            raise ValueError("`shadow`, `canary` and `rollback: automatic` judge by the log: keep `log` and `sample`")
        return self
