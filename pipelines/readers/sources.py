"""Where rows come from, and the pin that says exactly which.

A pin (data/<model>/pin.json, committed) names the data of a model: a built-in set with the hash of its rows, or files
under data/<model>/source/ with their sizes and hashes. Only `ratchet run` writes it. `ingest` reads the pinned data
and refuses anything else.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.config import plugins
from pipelines.config.settings import FORMAT
from pipelines.config.words import nearest
from pipelines.errors import DataError, IntegrityError, RequestError
from pipelines.readers import formats, images
from pipelines.readers.layout import Layout
from pipelines.readers.reader import Options, Reader
from pipelines.safety import regular_files
from pipelines.table import rows

READERS = plugins.found(formats, Reader)
BY_SUFFIX = {
    suffix: reader
    for reader in sorted(READERS.values(), key=lambda one: (not one.text, one.suffixes))
    for suffix in reader.suffixes
}
KNOWN = (
    f"{', '.join(BY_SUFFIX)}, text files also with .gz after it, IDX files named like those of MNIST, and class "
    f"folders with images ({', '.join(images.SUFFIXES)})"
)
OTHERS = {  # what to do with a file that is not read, by its ending
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), "Save the sheet as CSV (UTF-8), and give that file's name."),
    ".txt": "If it is a table, rename it to .csv and declare `ingest: delimiter:`.",
    ".json": "Write one object in each line, and rename it to .jsonl.",
    ".zip": "Unpack it.",
}


def followed(source: str) -> bool:
    """Whether it is a path or URL outside the project, which DVC's import follows."""
    return "://" in source or (Path(source).is_absolute() and not Path(source).is_relative_to(Path.cwd()))


def pin_path(model: str) -> Path:
    return Path("data") / model / "pin.json"


def source_folder(model: str) -> Path:
    return Path("data") / model / "source"


def read_pin(model: str) -> dict[str, Any]:
    """The pin. Raises DataError if there is none yet, IntegrityError if it is not one."""
    path = pin_path(model)
    try:
        pin = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing: the data are not pinned yet.", f"Pin them: `ratchet run {model}`."
        ) from error
    except ValueError as error:
        raise IntegrityError(f"{path} is not valid JSON: {error}.", f"Restore it: git checkout -- {path}") from error
    if not _is_pin(pin):
        raise IntegrityError(f"{path} is not a pin of format {FORMAT}.", f"Restore it: git checkout -- {path}")
    return dict(pin)


def _is_pin(pin: Any) -> bool:
    """Whether it holds what `ingest` needs. The name of a pinned file is its path below the folder of pinned files."""
    if not isinstance(pin, dict) or pin.get("format") != FORMAT or not isinstance(pin.get("source"), str):
        return False
    if pin.get("kind") == "builtin":
        return {"name", "sha256"} <= set(pin)
    files = pin.get("files")
    return isinstance(files, list) and all(
        isinstance(entry, dict) and {"name", "bytes", "sha256"} <= set(entry) and _is_below(entry["name"])
        for entry in files
    )


def _is_below(name: Any) -> bool:
    """Whether a file of this name lies in its folder, or in one below it, wherever that folder is."""
    if not isinstance(name, str) or "\0" in name:
        return False
    path = PurePosixPath(name)
    return path.as_posix() == name and not path.is_absolute() and ".." not in path.parts and name != "."


def file_hash(path: Path) -> str:
    with regular_files.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(model: str, pin: dict[str, Any]) -> list[Path]:
    """The pinned files, in order. Raises IntegrityError naming the first that differs from the pin."""
    folder = source_folder(model)
    names = [entry["name"] for entry in pin["files"]]
    known = {*names, ".gitignore"}
    there = (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    extra = sorted(name for path in there if (name := path.relative_to(folder).as_posix()) not in known)
    if extra:
        raise IntegrityError(
            f"{folder / extra[0]} is not pinned: only `ratchet run` puts files there.",
            f"Remove it, and name the data under `data: source:` in models/{model}.yaml.",
        )
    for entry in pin["files"]:
        path = folder / entry["name"]
        if not path.is_file():
            raise IntegrityError(f"The pinned file {path} is missing.", f"Bring it back: dvc checkout {folder}.dvc")
        if path.stat().st_size != entry["bytes"] or file_hash(path) != entry["sha256"]:
            raise IntegrityError(
                f"{path} differs from the pin: its content has changed.",
                f"Bring the pinned version back: dvc checkout --force {folder}.dvc",
            )
    return [folder / name for name in names]


def reader_of(path: Path) -> Reader | None:
    """The reader of a file, by its name; None for a file that is no table, such as a single image (images.py)."""
    if claiming := [reader for reader in READERS.values() if reader.claims(path)]:
        return claiming[0]
    name = Path(path.name.lower())
    found = BY_SUFFIX.get(Path(name.stem).suffix if name.suffix == ".gz" else name.suffix)
    return None if found is None or (name.suffix == ".gz" and not found.text) else found


def format_of(path: Path) -> str:
    """The format of a file, by its name: a reader's name, "image", or "" for a file that cannot be read."""
    reader = reader_of(path)
    return reader.name if reader else "image" if images.is_image(path) else ""


def read(
    path: Path,
    delimiter: str,
    encoding: str,
    names: Sequence[str] = (),
    labelled: bool = True,
    layout: Layout | None = None,
) -> Iterator[pa.RecordBatch]:
    """A file's rows as they are: text for CSV and JSON lines, its own types for Parquet, images and labels for IDX
    and NumPy's archives. (A single image is no table: images.py.)

    names: of the columns of a CSV file without a header. labelled: whether images need labels; False for rows to
    predict. layout: how text is written. Raises DataError if the file cannot be read to its end.
    """
    if (reader := reader_of(path)) is None:
        raise DataError(
            f"{path}: a {path.suffix or 'nameless'} file cannot be read; known: {KNOWN}.",
            OTHERS.get(path.suffix.lower(), "Convert it, or remove it from the source."),
        )
    if names and not reader.named:
        raise DataError(
            f"{path} names its columns itself, and `ingest: names:` lists names too.",
            "Remove `names:` from the model's YAML: it is for CSV files without a header.",
        )
    try:
        yield from reader.read(path, Options(delimiter, encoding, names, labelled, layout or Layout()))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a complete gzip file: {error}.", "Send it again.") from error
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(
            f"{path} cannot be read: {' '.join(str(error).split())[:300].rstrip('.')}.", reader.repair
        ) from error


# ------------------------------------------------------------------ sets that come with scikit-learn


def digits() -> pa.Table:
    """1,797 images of 8 x 8 grey levels from 0 to 16 (UCI optical digits); target `digit`, 0 to 9."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = bunch.images.astype(np.uint8).reshape(-1, 64)
    return pa.table(
        {"image": pa.array([row.tobytes() for row in images], pa.binary(64)), "digit": pa.array(bunch.target)}
    )


def breast_cancer() -> pa.Table:
    """569 tumours, 30 measurements each (UCI Wisconsin diagnostic); target `diagnosis`: malignant, benign."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    names = [name.replace(" ", "_") for name in bunch.feature_names]
    diagnosis = bunch.target_names[bunch.target]
    return pa.table(dict(zip(names, bunch.data.T, strict=True)) | {"diagnosis": pa.array(diagnosis.tolist())})


def diabetes() -> pa.Table:
    """442 patients, 10 measurements (Efron et al. 2004), unscaled; target `progression` after one year."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    columns = dict(zip(bunch.feature_names, bunch.data.T, strict=True)) | {"progression": bunch.target}
    columns["sex"] = np.where(columns["sex"] == 1, "1", "2")
    return pa.table({name: pa.array(values.tolist()) for name, values in columns.items()})


BUILTIN: dict[str, Callable[[], pa.Table]] = {"digits": digits, "breast_cancer": breast_cancer, "diabetes": diabetes}


def builtin(name: str) -> pa.Table:
    """A built-in set. Raises RequestError, with the nearest name, for one that does not exist."""
    if name not in BUILTIN:
        raise RequestError(f"There is no built-in set {name!r}{nearest(name, list(BUILTIN))}.")
    return BUILTIN[name]()


def builtin_hash(table: pa.Table) -> str:
    """The hash of a built-in set's content. It does not depend on the version of the library that ships it."""
    return rows.content_hash(np.concatenate([rows.identify(b, table.column_names) for b in table.to_batches()]))
