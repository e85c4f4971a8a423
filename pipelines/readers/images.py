"""Images: a folder of PNG, JPEG, BMP and GIF files becomes rows, with one folder for each class.

    cat/001.png, dog/001.png                   ->  image, label
    train/cat/001.png, test/cat/002.png        ->  image, label, split (train, validation or test)
    001.png, to be predicted                   ->  image

Pillow decodes an image to the declared shape (grey, RGB or RGBA), and turns it as its EXIF data say. If there is no
channel for transparency, the image is laid over white. An image of another size is refused unless `ingest: resize:`
names a filter.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from pipelines.config.data import MOST_PIXELS
from pipelines.errors import DataError
from pipelines.readers import picture
from pipelines.safety import regular_files

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
FORMATS = ("PNG", "JPEG", "BMP", "GIF")  # by content, in Pillow's words
SPLITS = ("train", "validation", "test")
BATCH_BYTES = 8 << 20
BESIDE = (".sha256", ".withdrawn")  # what a sender puts beside a file
CLUTTER = ("Thumbs.db", "desktop.ini")  # of file managers


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def listed(folder: Path) -> list[Path]:
    """The images in the folders below this one, sorted; [] if there are none.

    Raises DataError if one of the folders is a link or holds other files too: half a set is not the set.
    """
    images, others = [], []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        others += [Path(place) / name for name in folders if (Path(place) / name).is_symlink()]
        for name in names if Path(place) != folder else []:
            path = Path(place) / name
            if is_image(path) and not name.startswith("."):
                images.append(path)
            elif not name.startswith(".") and path.suffix not in BESIDE and name not in CLUTTER:
                others.append(path)
    if images and others:
        kind = "a link to a folder" if others[0].is_symlink() else "not an image of a known kind"
        raise DataError(
            f"{others[0]} is {kind}, in a folder of images ({', '.join(SUFFIXES)}).",
            "Remove it, convert it to such an image, or put the files themselves in place of a link.",
        )
    return sorted(images)


def place(name: str) -> tuple[str, ...]:
    """(class,) or (split, class) of an image, by its path below the source. Raises DataError."""
    parts = PurePosixPath(name).parts[:-1]
    if len(parts) == 1 or (len(parts) == 2 and parts[0] in SPLITS):
        return parts
    raise DataError(
        f"The image {name} lies in {'no class folder' if not parts else 'the folders ' + '/'.join(parts)}.",
        f"Put each image into <class>/, or into <split>/<class>/; a split is {', '.join(SPLITS)}.",
    )


def check_places(names: Iterable[str]) -> None:
    """Raises DataError if some images lie in a split and others do not."""
    depths: dict[int, str] = {}
    for name in names:
        depths.setdefault(len(place(name)), name)
    if len(depths) > 1:
        raise DataError(
            f"{depths[2]} lies in a split, but {depths[1]} does not.", "Put all classes into splits, or none."
        )


def read(folder: Path, names: Sequence[str], shape: list[int], resize: str) -> Iterator[pa.RecordBatch]:
    """The rows of images, a few at a time. Raises DataError naming a file.

    names: their paths below the folder, all equally deep; images outside a class folder have no label.
    """
    _check_shape(shape)
    size = shape[0] * shape[1] * shape[2]
    step = max(1, BATCH_BYTES // size)
    placed = [place(name) if "/" in name else () for name in names]
    columns = [["image"], ["image", "label"], ["image", "split", "label"]][len(placed[0])]
    for start in range(0, len(names), step):
        here = names[start : start + step]
        cells = zip(*placed[start : start + step], strict=True)
        content = b"".join(pixels(folder / name, shape, resize) for name in here)
        images = pa.Array.from_buffers(pa.binary(size), len(here), [None, pa.py_buffer(content)])
        yield pa.RecordBatch.from_arrays([images, *(pa.array(list(texts)) for texts in cells)], columns)


def _check_shape(shape: list[int]) -> None:
    if len(shape) != 3 or shape[2] not in picture.MODES:
        raise DataError(
            f"The source holds images, and `data:` declares the shape {shape}.",
            "Declare `kind: image` and `shape: [height, width, channels]` with 1 (grey), 3 (RGB) or 4 (RGBA) channels.",
        )


def pixels(path: Path, shape: list[int], resize: str) -> bytes:
    """The values of an image, row by row, a byte for each channel.

    shape: [height, width, channels]. resize: a filter of Pillow, or none. Raises DataError if the image cannot be
    decoded to its end, or has another size and `resize` is none.
    """
    _check_shape(shape)
    height, width, _ = shape
    image = _decoded(path)
    if image.mode not in picture.EIGHT_BITS:
        raise DataError(f"{path} has more than 8 bits in a channel ({image.mode}).", "Convert it to 8 bits.")
    if image.size != (width, height) and resize == "none":
        raise DataError(
            f"{path} is {image.height} x {image.width} (height x width), and `data: shape:` declares "
            f"{height} x {width}.",
            "Correct the shape, or write `ingest: resize: bilinear` (or another filter) in the model's YAML.",
        )
    return picture.values(image, shape, resize)


def _decoded(path: Path) -> Any:
    """The image, turned as its EXIF data say. Raises DataError."""
    from PIL import Image, ImageOps

    try:
        with regular_files.opened(path) as file, warnings.catch_warnings(), Image.open(file, formats=FORMATS) as image:
            warnings.simplefilter("ignore")  # of odd metadata; what is too large is refused below
            if image.width * image.height > MOST_PIXELS:
                raise DataError(f"{path} has more than {MOST_PIXELS:,} pixels.", "Make it smaller.")
            if (frames := getattr(image, "n_frames", 1)) > 1:
                raise DataError(f"{path} holds {frames} images.", "Save one of them alone.")
            image.load()
            return ImageOps.exif_transpose(image)
    except DataError:
        raise
    except Exception as error:  # a damaged file can make decoders raise anything
        raise DataError(
            f"{path} is not a complete, readable image: {' '.join(str(error).split())[:200]}.",
            "Send it again, or remove it from the source.",
        ) from error
