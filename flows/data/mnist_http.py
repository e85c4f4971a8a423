"""MNIST's four files below an https:// address that ends in a slash.

The web cannot list a folder, and DVC's import follows only one file. So this module requests the files by the names
that MNIST and its relatives use. The pin keeps the server's version of each (ETag, or the time of the last change).
"""

import http.client
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from pipelines.errors import DataError, RatchetError, UnreachableError
from pipelines.table import row_groups

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
SECONDS = 60  # a server that sends no byte for so long counts as away


def is_folder(source: str) -> bool:
    return (
        urlsplit(source).scheme in ("http", "https")
        and urlsplit(source).path.endswith("/")
        and not urlsplit(source).query
    )


def versions(address: str) -> dict[str, str]:
    """The server's version of each file now; "" if it gives none. Nothing is fetched.

    Raises DataError if a file is missing, UnreachableError if the server does not answer.
    """
    found = {}
    for name in FILES:
        with _answer(address + name, "HEAD") as answer:
            found[name] = _version(answer)
    return found


def moved(address: str, before: dict[str, str]) -> bool:
    """Whether any file may have another version than before, as the server reports it."""
    return (now := versions(address)) != before or not all(now.values())


def fetch(address: str, folder: Path) -> dict[str, str]:
    """Download the files to a folder; returns the version of each. Raises as `versions` does."""
    found = {}
    for name in FILES:
        with _answer(address + name, "GET") as answer:
            found[name], length = _version(answer), answer.headers["Content-Length"]
            row_groups.check_space(folder, int(length or 0))
            with (folder / name).open("wb") as file:
                shutil.copyfileobj(answer, file)
            if length is not None and (folder / name).stat().st_size != int(length):
                raise http.client.IncompleteRead(b"", int(length))
    return found


def _version(answer: Any) -> str:
    return answer.headers["ETag"] or answer.headers["Last-Modified"] or ""


@contextmanager
def _answer(address: str, method: str) -> Iterator[Any]:
    """A server's answer. An error before the end of the block becomes one of the project's errors."""
    try:
        request = Request(address, method=method, headers={"Accept-Encoding": "identity"})  # noqa: S310 (declared)
        with urlopen(request, timeout=SECONDS) as found:  # noqa: S310 (declared)
            yield found
    except RatchetError:
        raise
    except HTTPError as error:
        if error.code in (404, 410):
            raise DataError(
                f"{address} does not exist.",
                f"An address that ends in a slash must hold MNIST's files: {', '.join(FILES)}.",
            ) from error
        raise _away(address, error) from error
    except (OSError, http.client.HTTPException) as error:
        raise _away(address, error) from error


def _away(address: str, error: Exception) -> UnreachableError:
    told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return UnreachableError(
        f"The source {address} cannot be read now: {told}.", "The pinned version stays; run again later."
    )
