"""Layout: how a text file is written, as `ingest:` declares it, and which of its lines are rows."""

import re
from collections import deque
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipelines.config.section import Section

NO_QUOTES = "none"
Lines = Iterator[tuple[int, str]]  # each with its number in the file, from 1


class Layout(Section):
    """The keys of `ingest:` that say how a CSV file is written, beside delimiter, encoding and names."""

    quote: Literal['"', "'", "none"] = '"'
    """The sign around a cell that holds a delimiter or a line end. With `none` a quote is a letter like others."""
    decimal: Literal[".", ","] = "."
    """The sign before the decimals of a number: with `,` the text `1,5` is one and a half. For texts in number
    columns and for a target that is a number; numbers of Parquet and JSON need no sign."""
    thousands: Literal["", ".", ",", " ", "'", "_"] = ""
    """The sign between groups of three digits, such as `1.234.567`. A blank stands for every kind of blank."""
    skip: int = Field(0, ge=0, le=10_000)
    """How many lines above the header (without a header, above the first row) are not read: titles, `sep=;`."""
    skip_end: int = Field(0, ge=0, le=10_000)
    """How many lines at the end of each file are not read: totals, a count of the rows. Empty lines do not count."""
    comment: str = Field("", max_length=10)
    """Lines that begin with these letters are not read, such as `#`."""
    trailing_delimiters: int = Field(0, ge=0, le=10_000)
    """How many delimiters stand at the end of each line, after which no cell comes."""
    merge_delimiters: bool = False
    """Whether several delimiters in a row part two cells like one, and those at the ends of a line none. With a blank
    as delimiter tabs count as blanks."""
    blank_rows: Literal["keep", "drop"] = "keep"
    """Whether a row whose cells are all empty is a row."""

    @field_validator("comment")
    @classmethod
    def _visible(cls, mark: str) -> str:
        if mark != mark.strip():
            raise ValueError("a comment's mark has no blanks around it: write one such as #")
        return mark

    @model_validator(mode="after")
    def _signs_differ(self) -> "Layout":
        if self.decimal == self.thousands:
            raise ValueError(f"`decimal` and `thousands` cannot both be {self.decimal!r}")
        return self

    @property
    def quote_char(self) -> str:
        """The quote; "" where there is none."""
        return "" if self.quote == NO_QUOTES else self.quote

    @property
    def leaves_out(self) -> bool:
        """Whether some lines of a file are no rows."""
        return bool(self.skip or self.skip_end or self.comment or self.merge_delimiters)

    def merged(self, text: str, delimiter: str) -> str:
        """A line with one delimiter between two cells."""
        if not self.merge_delimiters:
            return text
        quote, sign = self.quote_char, "[ \t]" if delimiter == " " else re.escape(delimiter)
        run = re.compile(rf"{quote}[^{quote}]*{quote}|{sign}+" if quote else f"{sign}+")
        line = run.sub(lambda found: found[0] if quote and found[0].startswith(quote) else delimiter, text)
        body = line.rstrip("\r\n")
        return body.strip(delimiter) + line[len(body) :]


def rows_of(lines: Lines, layout: Layout, delimiter: str) -> Lines:
    """The lines of the table: without those above it, those below it, and comments."""
    held: deque[tuple[int, str]] = deque()
    inside = False  # a quoted cell that goes on in the next line
    for number, text in lines:
        if number <= layout.skip or (not inside and layout.comment and text.startswith(layout.comment)):
            continue
        if layout.skip_end and not inside and not text.strip():
            continue
        if layout.quote_char and text.count(layout.quote_char) % 2:
            inside = not inside
        held.append((number, layout.merged(text, delimiter)))
        if len(held) > layout.skip_end:
            yield held.popleft()
