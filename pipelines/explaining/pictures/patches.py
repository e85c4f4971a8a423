"""A picture as a few columns: patches of a grid, each as large as the others give or take a pixel.

A picture has too many pixels to swap one after the other. Cut into patches, `swapped` of columns.py exchanges patches
as it exchanges columns of a table, and `shapley.py` explains pictures without a gradient, so on ONNX Runtime too.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.explaining.columns import Answers, Arrays, Column

MOST = 49  # patches: as many columns as an explanation by orders can tell apart in a second or so
IMAGE, PATCHES = "image", "patches"  # arrays of the model, and of the cut pictures


@dataclass(frozen=True)
class Grid:
    """A cut of pictures [rows, height, width, channels] into patches. tops, lefts: where each begins, and the end."""

    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @property
    def boxes(self) -> list[tuple[int, int, int, int]]:
        """top, bottom, left, right of each patch, row by row; bottom and right are the first pixel outside."""
        across = list(zip(self.lefts[:-1], self.lefts[1:], strict=True))
        return [
            (top, bottom, *side) for top, bottom in zip(self.tops[:-1], self.tops[1:], strict=True) for side in across
        ]

    @property
    def columns(self) -> list[Column]:
        """The patches as columns of what `cut` returns, named by their pixels, counted from 0 at the top left."""
        return [
            Column(f"y {top}-{bottom - 1}, x {left}-{right - 1}", PATCHES, place)
            for place, (top, bottom, left, right) in enumerate(self.boxes)
        ]

    def cut(self, arrays: Arrays) -> Arrays:
        """{"image": [rows, height, width, channels]} -> {"patches": [rows, values of the largest patch, patches]}."""
        images = arrays[IMAGE]
        parts = [images[:, top:bottom, left:right].reshape(len(images), -1) for top, bottom, left, right in self.boxes]
        size = max(part.shape[1] for part in parts)
        result = np.zeros((len(images), size, len(parts)), images.dtype)
        for place, part in enumerate(parts):
            result[:, : part.shape[1], place] = part
        return {PATCHES: result}

    def joined(self, arrays: Arrays) -> Arrays:
        """The pictures of which `cut` made these patches."""
        patches, rows = arrays[PATCHES], len(arrays[PATCHES])
        inside = (self.tops[-1], self.lefts[-1])
        channels = max(patches.shape[1] // self._largest, 1)
        images = np.empty((rows, *inside, channels), patches.dtype)
        for place, (top, bottom, left, right) in enumerate(self.boxes):
            size = (bottom - top) * (right - left) * channels
            images[:, top:bottom, left:right] = patches[:, :size, place].reshape(rows, bottom - top, right - left, -1)
        return {IMAGE: images}

    def answers(self, of_pictures: Answers) -> Answers:
        """The same answers to cut pictures."""
        return lambda arrays: of_pictures(self.joined(arrays))

    def map(self, values: np.ndarray) -> np.ndarray:
        """Values of the patches [..., patches] as a small picture [..., patches down, patches across]."""
        return values.reshape(*values.shape[:-1], len(self.tops) - 1, len(self.lefts) - 1)

    @property
    def _largest(self) -> int:
        """Pixels of the largest patch."""
        return max((bottom - top) * (right - left) for top, bottom, left, right in self.boxes)


def grid(shape: list[int], most: int = MOST) -> Grid:
    """The cut of pictures of `shape` (height, width, channels) into at most `most` patches that are nearly square.

    A side with fewer pixels than patches is cut into its pixels. Raises ValueError for most < 1.
    """
    height, width = shape[:2]
    if most < 1:
        raise ValueError(f"a picture cannot be cut into {most} patches")
    down = int(np.clip(round(np.sqrt(most * height / width)), 1, min(height, most)))
    across = min(width, most // down)
    down = min(height, most // across)
    return Grid(_edges(height, down), _edges(width, across))


def columns(shape: list[int], cells: int = MOST) -> list[Column]:
    """The patches of a picture of this shape as columns of `grid(shape, cells).cut(arrays)`; at most `cells`."""
    return grid(shape, cells).columns


def _edges(size: int, parts: int) -> tuple[int, ...]:
    """Where each part of a side begins, and its end; parts differ by one pixel at most."""
    return tuple(size * part // parts for part in range(parts + 1))
