"""The limits of a request and of a connection."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Each server process has its own."""

    body: int = 16 << 20
    """Bytes of a request's body."""
    rows: int = 10_000
    """Rows of a request."""
    explained: int = 20
    """Rows of a request whose answers are to be explained."""
    head: int = 32 << 10
    """Bytes of a request's first line and headers."""
    receive: float = 20.0
    """Seconds that a request may take to arrive, and a client to take an answer."""
    idle: int = 30
    """Seconds that a connection is kept open between two requests."""
    connections: int = 1000
    """Connections at once. When there are more, the one that has waited longest for its client is closed."""
    end: int = 10
    """Seconds that answers in flight have when the server stops."""

    def __post_init__(self) -> None:
        for name in ("body", "rows", "explained", "head", "receive", "idle", "connections", "end"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
