"""What `ratchet new` finds out about images: a folder of classes, IDX files, or an archive of arrays."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.data.arrivals import scan
from flows.new import recipe
from flows.new.draft import Draft
from flows.new.yaml_comments import Said
from pipelines.errors import DataError, RequestError
from pipelines.readers import images, picture, sources
from pipelines.readers.meaning.values import READER
from pipelines.safety import regular_files

MEASURED = 200  # images of a folder whose sizes are looked at
LARGEST = 64  # pixels of a side to which larger images of a folder are made smaller, unless somebody changes it


@dataclass(frozen=True)
class Pictures:
    """Files below a folder, and how they are read. resize: a filter, or "" for none; sizes: what was seen, in words."""

    folder: Path
    files: list[Path]
    shape: list[int]
    resize: str = ""
    sizes: str = ""

    def rows(self) -> Iterator[pa.RecordBatch]:
        if not images.is_image(self.files[0]):
            for path in self.files:
                yield from sources.read(path, ",", "utf-8")
            return
        names = [path.relative_to(self.folder).as_posix() for path in self.files]
        yield from images.read(self.folder, names, self.shape, self.resize or "none")


@dataclass(frozen=True)
class PictureDraft(Draft):
    """The sections of a model of images."""

    pictures: Pictures = field(kw_only=True)
    splits: tuple[str, ...] = ()  # that the source itself makes

    def data(self) -> dict[str, Any]:
        carried = {"split": Said("carried", f"the source says {', '.join(self.splits)}")}
        return {
            "kind": "image",
            "task": Said(self.target.task, self.target.why),
            "target": self.target.name,
            **({"label": "integer"} if self.target.label == "integer" else {}),
            "shape": Said(self.pictures.shape, f"height, width, channels; {self.pictures.sizes}".removesuffix("; ")),
            **({"columns": carried} if self.splits else {}),
        }

    def ingest(self) -> dict[str, Any]:
        resize = {"resize": Said(self.pictures.resize, "how the others come to that shape")}
        read = {"source": self.source, "reader": Said(READER, "the rules for what a value means")}
        return read | (resize if self.pictures.resize else {})

    def rules(self) -> list[Said]:
        found = super().rules()
        bright = {"rule": "expect_column_values_to_be_between", "column": "pixel_max", "min_value": 1}
        return [*found, Said(bright | {"level": "quarantine"}, "an image that is all black shows nothing")]

    def split(self) -> dict[str, Any]:
        if "test" in self.splits:
            return {"by": "given", "column": "split", "seed": self.seed, "validation": 0.2}
        return super().split()

    def train(self) -> dict[str, Any]:
        return recipe.images(self.rows, self.pictures.shape) | self.class_weights()


def found(path: Path) -> Pictures | None:
    """The images at a path; None if there are none, but a table. Raises DataError, RequestError."""
    if path.is_dir():
        there = scan.listed(path, [path])
        files = [file for file in there if images.is_image(file) or _holds_images(file)]
        if not files:
            raise RequestError(f"{path} holds no images.", "Of tables give --data one file; others can follow it.")
    elif _holds_images(path):
        files = [path]
    else:
        return None
    kinds = {sources.format_of(file) for file in files}
    if len(kinds) > 1:
        raise DataError(f"{path} holds images of several kinds: {', '.join(sorted(kinds))}.", "Keep one of them.")
    if kinds == {"image"}:
        return _measured(path, files)
    folder = path if path.is_dir() else path.parent
    measured = next((file for file in files if "labels-idx" not in file.name), files[0])
    reader = sources.READERS[kinds.pop()]
    return Pictures(folder, files, reader.shape(measured) if reader.shape else [])


def _holds_images(path: Path) -> bool:
    """Whether it is a file of many images."""
    reader = sources.reader_of(path)
    return reader is not None and reader.shape is not None


def _measured(folder: Path, files: list[Path]) -> Pictures:
    """The shape of a folder's images: their own if they all have one that is small, else one to bring them to."""
    from PIL import Image, UnidentifiedImageError

    sizes: Counter[tuple[int, int]] = Counter()
    grey = True
    for path in files[:: max(1, len(files) // MEASURED)]:
        try:
            with regular_files.opened(path) as opened, Image.open(opened, formats=images.FORMATS) as image:
                sizes[picture.measured(image)] += 1
                grey = grey and image.mode in ("1", "L", "LA")
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"{path} is no image that can be read: {error}.", "Take it away.") from error
    (height, width), _ = sizes.most_common(1)[0]
    largest = max(height, width)
    told = f"most are {height} x {width}" if len(sizes) > 1 else f"all are {height} x {width}"
    scale = min(1.0, LARGEST / largest)
    shape = [max(1, round(height * scale)), max(1, round(width * scale)), 1 if grey else 3]
    return Pictures(folder, files, shape, "bilinear" if scale < 1 or len(sizes) > 1 else "", told)
