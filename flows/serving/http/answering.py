"""The addresses that take rows: /models/{model}/predict, /models/{model}/invocations and /models/{model}/explain."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flows.serving.engine.live import Answered, Live, Served
from flows.serving.explaining.explainer import Explainer
from flows.serving.http import answers, body, faults, invocations
from flows.serving.http.body import Receive
from flows.serving.http.faults import Headers
from flows.serving.http.limits import Limits
from flows.serving.http.metrics import Metrics
from flows.serving.log.writer import Log

Found = tuple[int, Headers, bytes]  # status, headers, body
JSON, CSV = "application/json", "text/csv"
Said = tuple[bytes, bytes]  # body, and the versions that the header names
VERSION = b"x-ratchet-version"
PLAIN = b"identity"  # the only encoding of a body that is taken


class Answering:
    def __init__(self, served: Served, log: Log | None, limits: Limits, metrics: Metrics, asked: Collection[str]):
        """asked: models that are to be served, whether they are there yet or not."""
        self._served, self._log, self._limits, self._metrics, self._asked = served, log, limits, metrics, asked
        self._ids = answers.Ids()
        self._explainer = Explainer()
        self.routes: dict[str, Callable[[Live, str, bytes], Awaitable[Said]]] = {
            "predict": self._predict,
            "invocations": self._invoke,
            "explain": self._explain,
        }

    async def close(self) -> None:
        """End the process that explains answers, if there is one."""
        await self._explainer.close()

    async def answer(
        self, name: str, route: str, method: str, headers: Mapping[bytes, bytes], receive: Receive
    ) -> Found:
        """The answer to a request of rows. Raises Problem, and body.Gone."""
        live = self._served.models.get(name)
        if live is None and name not in self._asked:
            raise faults.no_model(name, self._served.models)
        if method != "POST":
            raise faults.wrong_method(method, "POST")
        if (encoding := headers.get(b"content-encoding", PLAIN)) != PLAIN:
            raise faults.encoded(encoding.decode("latin-1"))
        media = _media(headers.get(b"content-type", b""))
        content = await body.whole(receive, headers.get(b"content-length", b""), self._limits)
        if live is None or live.version is None:
            raise faults.no_champion(name, live.problem if live else "")
        said, versions = await self.routes[route](live, media, content)
        about = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(said)), (VERSION, versions)]
        return 200, about, said

    async def _predict(self, live: Live, media: str, content: bytes) -> Said:
        """Rows as they stand in the source file: one object, or a list of them."""
        rows, alone = await _given(media, content)
        found = await self._answered(live, rows)
        return (answers.one if alone else answers.many)(*found), _versions(found[0])

    async def _explain(self, live: Live, media: str, content: bytes) -> Said:
        """Why the champion answers these rows as it does. They are no answered rows: nothing of them is logged."""
        rows, alone = await _given(media, content)
        if not rows:
            raise faults.no_rows()
        if len(rows) > self._limits.explained:
            raise faults.many_explained(len(rows), self._limits)
        told = live.told
        if told is None or told.version is None:
            raise faults.no_champion(live.name, live.problem)
        said = await self._explainer.explain(told, rows)
        return answers.explained(told.version, said, alone), b"%d" % told.version.number

    async def _invoke(self, live: Live, media: str, content: bytes) -> Said:
        """MLflow's protocol."""
        if media == CSV:
            rows = invocations.of_csv(content)
        elif media in (JSON, ""):
            rows = invocations.of_json(await body.decoded(content), _names(live))
        else:
            raise faults.wrong_media(media, f"{JSON} or {CSV}")
        found = await self._answered(live, rows)
        return answers.predictions(*found, rows), _versions(found[0])

    async def _answered(self, live: Live, rows: Sequence[Any]) -> tuple[Answered, list[str], bool]:
        """The answers, their ids, and whether they are logged. Raises Problem."""
        if not rows:
            raise faults.no_rows()
        if len(rows) > self._limits.rows:
            raise faults.many_rows(len(rows), self._limits)
        ids = self._ids.next(len(rows))
        found, at = await live.answer(rows, ids), datetime.now(UTC)
        logged = self._log is not None and self._log.write(found, ids, at)
        if live.trial is not None:
            live.answered(rows, ids, at)
        self._metrics.answered(found, logged)
        return found, ids, logged


def _versions(found: Answered) -> bytes:
    """The number of the version that answered; of two, as a canary and the champion, first the champion's."""
    numbers = [found.version.number, *(part.version.number for part, _ in found.parts[1:])]
    return ", ".join(map(str, dict.fromkeys(numbers))).encode()


async def _given(media: str, content: bytes) -> tuple[list[Any], bool]:
    """The rows of a body in JSON, and whether it is a single object. Raises Problem."""
    if media not in (JSON, ""):
        raise faults.wrong_media(media, JSON)
    given = body.parsed(content) if len(content) < body.LARGE else await body.decoded(content)
    if isinstance(given, list):
        return given, False
    if isinstance(given, dict):
        return [given], True
    raise faults.not_rows("The body is neither an object nor a list.", "Send one row as an object, or a list.")


def _media(given: bytes) -> str:
    """The media type of a content type, "" where there is none. Raises Problem for parameters other than UTF-8.

    >>> _media(b"Application/JSON; charset=UTF-8")
    'application/json'
    """
    if given == b"application/json":  # nearly always
        return JSON
    text = given.decode("latin-1")
    media, *parameters = (part.strip() for part in text.lower().split(";"))
    for parameter in filter(None, parameters):
        name, _, value = parameter.partition("=")
        if name.strip() != "charset" or value.strip().strip('"') not in ("utf-8", "utf8"):
            raise faults.wrong_media(text, media)
    return media


def _names(live: Live) -> list[str]:
    """The columns that a model takes; of pictures the one that they stand in."""
    columns = live.version.columns if live.version else {}
    return ["image"] if columns.get("kind") == "image" else [one["name"] for one in columns.get("columns", [])]
