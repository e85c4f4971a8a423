"""Private: columns that are hidden while they are read, before anything of them is kept.

What becomes of a value is said by readers/meaning/values.py (`hidden`), for single values and for whole columns alike.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.config.section import Section
from pipelines.errors import IntegrityError
from pipelines.readers import hash_key

UNITS = ("day", "week", "month", "quarter", "year")
WORDS = ("hash", "drop")
FORMS = "write `hash`, `drop`, `{mask: {first: 1, last: 2}}` or `{bin: 10}`"
Letters = Annotated[int, Field(ge=0, le=100)]


class Shown(Section):
    """The letters that a mask leaves."""

    first: Letters = 0
    """How many of the first ones."""
    last: Letters = 0
    """How many of the last ones."""


class Hide(Section):
    """What is left of a value."""

    mask: Shown | None = None
    """Some letters of a text stay, with stars between them."""
    bin: float | list[float] | str | None = None
    """A number becomes the start of its bin: of the width, or of these starts. A date becomes the start of its `day`,
    `week`, `month`, `quarter` or `year`."""

    @field_validator("bin")
    @classmethod
    def _bins(cls, bins: Any) -> Any:
        if isinstance(bins, str) and bins not in UNITS:
            raise ValueError(f"{bins!r} is not one of {', '.join(UNITS)}")
        if isinstance(bins, float) and bins <= 0:
            raise ValueError(f"the width of a bin must be greater than 0, got {bins:g}")
        if isinstance(bins, list) and (not bins or sorted(set(bins)) != bins):
            raise ValueError(f"the starts of bins must rise, got {bins}")
        return bins

    @model_validator(mode="after")
    def _one_way(self) -> "Hide":
        if (self.mask is None) == (self.bin is None):
            raise ValueError(FORMS)
        return self


class Private(Section):
    """The keys of `ingest:` that say what is hidden."""

    private: dict[str, Literal["hash", "drop"] | Hide] = {}
    """Columns of which nothing is kept as it came, such as `{email: hash, name: drop, phone: {mask: {last: 2}}, age:
    {bin: 10}, born: {bin: year}}`. It needs reader 2. See [Privacy](../guides/privacy.md)."""
    hash_key: str = Field("", pattern="^(k[0-9a-f]{11})?$")
    """The fingerprint of the key that columns are hashed with. `ratchet run` says what to write."""

    @field_validator("private", mode="before")
    @classmethod
    def _known_words(cls, private: Any) -> Any:
        for name, how in private.items() if isinstance(private, dict) else ():
            if not isinstance(how, dict | Hide) and how not in WORDS:
                raise ValueError(f"{name!r}: {FORMS}, got {how!r}")
        return private

    @property
    def dropped(self) -> list[str]:
        """The columns that are left out."""
        return [name for name, how in self.private.items() if how == "drop"]

    @property
    def hashes(self) -> list[str]:
        """The columns that are hashed."""
        return [name for name, how in self.private.items() if how == "hash"]

    @property
    def hidden(self) -> dict[str, Any]:
        """The columns that are kept in another form, as `Rules.private` has them."""
        kept = {name: how for name, how in self.private.items() if how != "drop"}
        return {name: how if isinstance(how, str) else how.model_dump(exclude_none=True) for name, how in kept.items()}

    @property
    def key(self) -> bytes:
        """The key of the hashes; b"" if nothing is hashed, or if the key is not here: rows that are hashed already do
        not need it, and others are refused."""
        try:
            return hash_key.of(self.hash_key, self.hashes) if self.hashes else b""
        except IntegrityError:
            return b""
