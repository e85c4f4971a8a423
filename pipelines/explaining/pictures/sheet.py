"""Sheets: small pictures side by side in one PNG that a page can show, the same bytes for the same pictures.

The colours are told apart by the colour-blind, and in grey: what speaks for an answer is dark violet, what speaks
against it a lighter orange.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipelines.explaining import plain_figure

MOST_BYTES = 200_000  # of a file
DOTS = (100, 80, 64, 50, 40, 32, 25)  # per inch: the first of them whose file is small enough
AGAINST, NOTHING, FOR = "#e08214", "#ffffff", "#2d004b"
WIDTH, GAP, LINE = 9.6, 0.06, 0.15  # inches: of the sheet, between pictures, of a line of text
MOST_CELLS = 40  # of a signed map on a side: of a larger one blocks are summed, since single pixels are noise
SMALL = 64  # pixels of a side, up to which ten pictures stand side by side
Look = Literal["picture", "signed", "heat"]
Legend = tuple[Look, str, str]  # a look, and what its two ends mean


@dataclass(frozen=True)
class Tile:
    """One small picture. values: uint8 [height, width, channels] of a picture, float [height, width] of a map: signed,
    with 0 white, or heat, from little to much. over: a picture that a map is laid over. title: some lines above it."""

    values: np.ndarray
    look: Look = "picture"
    title: str = ""
    over: np.ndarray | None = None


@dataclass(frozen=True)
class Block:
    """A headline, and lines of tiles."""

    title: str
    lines: list[list[Tile]] = field(default_factory=list)


def across(shape: Sequence[int]) -> int:
    """How many pictures of a shape (height, width, ...) stand side by side."""
    return 10 if max(shape[:2]) <= SMALL else 5


def in_lines(lines: list[list[Tile]], many: int) -> list[list[Tile]]:
    """Lines that belong together, such as pictures and their maps, cut after `many` tiles, one below the other."""
    longest = max(map(len, lines), default=0)
    return [line[start : start + many] for start in range(0, longest, many) for line in lines]


def save(blocks: list[Block], many: int, path: Path, legend: Legend | None = None) -> None:
    """Draw the blocks, `many` tiles in a line."""
    path.write_bytes(_small(_figure(blocks, many, legend)))


def summed(values: np.ndarray, most: int = MOST_CELLS) -> np.ndarray:
    """A map [height, width] of at most `most` cells on a side, nearly square, each the sum of its pixels."""
    longest = max(values.shape)
    for axis in (0, 1):
        size = values.shape[axis]
        cells = max(1, round(size * min(longest, most) / longest))
        values = np.add.reduceat(values, [size * cell // cells for cell in range(cells)], axis=axis)
    return values


def _figure(blocks: list[Block], many: int, legend: Legend | None) -> Any:
    """A matplotlib figure, each tile at its place in inches."""
    width = (WIDTH - GAP) / many - GAP
    heights = [[_height(line, width) + _titles(line) for line in block.lines] for block in blocks]
    tall = sum(sum(of) + GAP * len(of) + 3 * LINE for of in heights) + (4 * LINE if legend else GAP)
    figure = plain_figure.new(WIDTH, tall)
    level = max((int(tile.values.max()) for tile in _pictures(blocks)), default=255)
    top = tall
    for block, of in zip(blocks, heights, strict=True):
        figure.text(GAP / WIDTH, (top - 2 * LINE) / tall, block.title, fontsize=9, fontweight="bold")
        top -= 3 * LINE
        for line, height in zip(block.lines, of, strict=True):
            for place, tile in enumerate(line):
                left = GAP + place * (width + GAP)
                box = (left / WIDTH, (top - height) / tall, width / WIDTH, (height - _titles(line)) / tall)
                _draw(figure.add_axes(box), tile, level)
            top -= height + GAP
    if legend:
        _legend(figure, tall, *legend)
    return figure


def _height(line: list[Tile], width: float) -> float:
    """Inches of the tallest tile of a line, at most three times the width."""
    return min(3.0, max(tile.values.shape[0] / tile.values.shape[1] for tile in line)) * width


def _titles(line: list[Tile]) -> float:
    """Inches of the longest title of a line."""
    most = max((tile.title.count("\n") + 1 for tile in line if tile.title), default=0)
    return most * LINE + (GAP if most else 0.0)


def _pictures(blocks: list[Block]) -> list[Tile]:
    return [tile for block in blocks for line in block.lines for tile in line if tile.look == "picture"]


def _draw(axes: Any, tile: Tile, level: int) -> None:
    axes.set_axis_off()
    if tile.title:
        axes.set_title(tile.title, fontsize=7, pad=2)
    if tile.over is not None:
        axes.imshow(_grey(tile.over, level), cmap="gray", vmin=0, vmax=1)
    height, width = (tile.values if tile.over is None else tile.over).shape[:2]
    inside = (-0.5, width - 0.5, height - 0.5, -0.5)
    if tile.look == "picture":
        axes.imshow(_seen(tile.values, level), cmap="gray", vmin=0, vmax=1, extent=inside)
    elif tile.look == "signed":
        most = float(np.quantile(np.abs(tile.values), 0.99)) or 1.0
        axes.imshow(tile.values, cmap=_colours("signed"), vmin=-most, vmax=most, extent=inside)
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set(color="0.8", linewidth=0.5)
    else:
        look: dict[str, Any] = {}
        if tile.over is not None:  # the picture is seen where the map is low
            look = {"alpha": 0.25 + 0.6 * tile.values, "interpolation": "bilinear"}
        low, high = (0.0, 1.0) if tile.over is not None else (float(tile.values.min()), float(tile.values.max()))
        axes.imshow(tile.values, cmap=_colours("heat"), vmin=low, vmax=max(high, low + 1e-9), extent=inside, **look)


def _seen(picture: np.ndarray, level: int) -> np.ndarray:
    """float [height, width] of grey levels, or [height, width, 3 or 4] of colours, from 0 to 1. level: of white."""
    share = picture / max(level, 1)
    return share if share.shape[2] in (3, 4) else share.mean(axis=2)


def _grey(picture: np.ndarray, level: int) -> np.ndarray:
    """float [height, width] from 0 to 1, without a channel for transparency."""
    share = picture / max(level, 1)
    return np.asarray(share[:, :, : 3 if share.shape[2] in (3, 4) else None].mean(axis=2))


def _colours(look: Look) -> Any:
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    return (
        colormaps["cividis"] if look == "heat" else LinearSegmentedColormap.from_list("signed", [AGAINST, NOTHING, FOR])
    )


def _legend(figure: Any, tall: float, look: Look, low: str, high: str) -> None:
    """A bar of the colours at the bottom, with the meaning of its ends."""
    middle, half = 0.5, 1.2 / WIDTH
    axes = figure.add_axes((middle - half, 1.2 * LINE / tall, 2 * half, LINE / tall))
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=_colours(look), aspect="auto")
    axes.set(xticks=[], yticks=[])
    for place, text, side in ((-0.02, low, "right"), (1.02, high, "left")):
        axes.text(place, 0.45, text, fontsize=8, ha=side, va="center", transform=axes.transAxes)


def _small(figure: Any) -> bytes:
    """The figure as a PNG of at most MOST_BYTES: with 256 colours if need be, and then with fewer dots."""
    from PIL import Image

    content = b""
    for dots in DOTS:
        file = io.BytesIO()
        plain_figure.save(figure, file, dots)
        content = file.getvalue()
        if len(content) > MOST_BYTES:
            file.seek(0)
            with Image.open(file) as image:
                few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            less = io.BytesIO()
            few.save(less, "PNG", optimize=True)
            content = less.getvalue()
        if len(content) <= MOST_BYTES:
            break
    return content
