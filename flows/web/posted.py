"""What a form sends: texts and one file, from either of the two content types of HTML forms."""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from flows.web.guard import MOST_BYTES

SECONDS = 30  # for the whole body
MOST_PARTS = 5000


@dataclass(frozen=True)
class Posted:
    """texts: by the name of the input; of several with one name the first. file: the content of the one upload."""

    texts: Mapping[str, str]
    file: bytes = b""

    def text(self, name: str) -> str:
        return self.texts.get(name, "")


async def read(request: Request) -> Posted:
    """The form of a request. Raises HTTPException: 408 too slow, 413 too large, 400 not a form."""
    try:
        async with asyncio.timeout(SECONDS):
            body = await _body(request)
    except TimeoutError as error:
        raise HTTPException(408, "The form did not arrive in time.") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The request ended early.") from error
    return parsed(request.headers.get("content-type", ""), body)


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise HTTPException(413, f"A form may have {MOST_BYTES >> 20} MiB.")
        parts.append(part)
    return b"".join(parts)


def parsed(content_type: str, body: bytes) -> Posted:
    """The form in a body. Raises HTTPException(400)."""
    kind, options = parse_options_header(content_type)
    parser = FormDataParser(max_form_memory_size=MOST_BYTES, max_form_parts=MOST_PARTS, silent=False)
    try:
        _, texts, files = parser.parse(io.BytesIO(body), kind, len(body), options)
        return Posted(texts.to_dict(), next((file.read() for file in files.values()), b""))
    except (ValueError, RequestEntityTooLarge) as error:
        raise HTTPException(400, "What was sent is not a form that can be read.") from error
