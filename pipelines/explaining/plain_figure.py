"""A figure of matplotlib, whatever the user's matplotlibrc says, and its PNG: the same bytes for the same figure."""

from pathlib import Path
from typing import Any, BinaryIO

from pipelines import visible_text


def new(width: float, height: float, **more: Any) -> Any:
    """A matplotlib figure of so many inches."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcdefaults()
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False  # a column or a class may be called $5
    return Figure(figsize=(width, height), **more)


def save(figure: Any, target: Path | BinaryIO, dots: int) -> None:
    """dots: per inch."""
    with visible_text.unwarned():
        figure.savefig(target, dpi=dots, format="png", metadata={"Software": None})  # no version: the same bytes
