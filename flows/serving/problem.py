"""A problem: why a request has no answer, in the form of RFC 9457 (application/problem+json)."""

from typing import Any

PREFIX = "urn:ratchet:problem:"


class Problem(Exception):
    """What is wrong with a request, or why it has no answer now."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        repair: str = "",
        row: int | None = None,
        column: str | None = None,
        value: str | None = None,
    ):
        """status: of HTTP. kind: one word for programs. title: the same for every problem of the kind. detail: this
        one, in a sentence. repair: what to do. row: of the request, from 1. value: the text of the value."""
        super().__init__(detail)
        self.status, self.kind, self.title, self.detail, self.repair = status, kind, title, detail, repair
        self.row, self.column, self.value = row, column, value

    def saying(self, more: str, before: str = "") -> "Problem":
        """The same with a sentence after its detail, and words before it."""
        detail = " ".join(part for part in (before, self.detail, more) if part)
        about = self.status, self.kind, self.title, detail, self.repair
        return Problem(*about, self.row, self.column, self.value)

    def content(self) -> dict[str, Any]:
        """The JSON object, without members that say nothing."""
        members = {
            "type": PREFIX + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "row": self.row,
            "column": self.column,
            "value": self.value,
            "repair": self.repair or None,
        }
        return {name: member for name, member in members.items() if member is not None}
