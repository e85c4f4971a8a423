"""The answering server, as the pages see it: a few addresses that give JSON."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

SECONDS = 95  # for an answer; the server itself gives up earlier
Content = dict[str, Any]
LISTED: Content = {"version": None, "since": "", "problem": ""}  # what pages read of a model in the list, if not there
DESCRIBED: Content = LISTED | {  # ... of a model
    "model_hash": "",
    "runtime": "",
    "why": "",
    "log": "",
    "kind": "table",
    "target": "",
    "task": "",
    "columns": [],
    "instants": {},
    "example": {},
    "shape": None,
    "window": None,
    "horizon": None,
}
ANSWERED: Content = {  # ... of an answer
    "probabilities": {},
    "unknown": [],
    "logged": False,
    "id": "",
    "version": None,
    "model_hash": "",
}
PROBLEM: Content = {"title": "", "detail": "", "repair": "", "row": None, "column": None, "value": None}


class Away(Exception):
    """The answering server cannot be reached, or says what is not JSON."""


class Refused(Exception):
    """What the answering server says is wrong with a request.

    problem: its problem details (RFC 9457): title, detail, repair, and where they are known row, column and value.
    """

    def __init__(self, status: int, problem: dict[str, Any]):
        super().__init__(str(problem.get("detail") or problem.get("title") or status))
        self.status, self.problem = status, PROBLEM | problem


@dataclass(frozen=True)
class Answering:
    """url: the server's address without a slash at its end. token: "" where it asks for none."""

    client: httpx.AsyncClient
    url: str
    token: str = ""

    async def models(self) -> list[dict[str, Any]]:
        """What is served: at least the names, as `model`."""
        found = (await self._asked("GET", "/models")).get("models", [])
        return [LISTED | ({"model": one} if isinstance(one, str) else one) for one in found]

    async def model(self, name: str) -> dict[str, Any]:
        """Columns, a working example, version and hashes of a model. Raises Refused for one that is not served."""
        return DESCRIBED | await self._asked("GET", f"/models/{quote(name, safe='')}")

    async def examples(self, name: str) -> list[Any]:
        """Rows of the test split in the form that `predict` takes; [] where the version has none."""
        try:
            return list((await self._asked("GET", f"/models/{quote(name, safe='')}/examples")).get("rows", []))
        except Refused as refused:
            if refused.status == httpx.codes.NOT_FOUND:
                return []
            raise

    async def predict(self, name: str, row: Any) -> dict[str, Any]:
        """The answer to one raw row. Raises Refused if the row does not fit."""
        return ANSWERED | await self._asked("POST", self.predict_path(name), row)

    async def explain(self, name: str, row: Any) -> dict[str, Any]:
        """Why the answer to one raw row is what it is. Raises Refused if the row does not fit, or nobody can say."""
        return ANSWERED | await self._asked("POST", f"/models/{quote(name, safe='')}/explain", row)

    async def explanations(self, name: str) -> dict[str, Any]:
        """What matters to the version; {} where it was made without explanations."""
        try:
            return await self._asked("GET", f"/models/{quote(name, safe='')}/explanations")
        except Refused as refused:
            if refused.status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                raise
            return {}

    async def picture(self, name: str, file: str) -> bytes:
        """A PNG that the explanations name. Raises Refused."""
        reply = await self._reply("GET", f"/models/{quote(name, safe='')}/explanations/{quote(file, safe='')}", {})
        if reply.is_success and reply.headers.get("content-type") == "image/png":
            return reply.content
        raise Refused(reply.status_code if reply.is_error else 502, {"title": "There is no such picture"})

    def predict_path(self, name: str) -> str:
        return f"/models/{quote(name, safe='')}/predict"

    async def _asked(self, method: str, path: str, content: Any = None) -> dict[str, Any]:
        reply = await self._reply(method, path, {} if content is None else {"json": content})
        try:
            found = reply.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Away(f"{self.url} answers with status {reply.status_code} and no JSON object: is it `ratchet serve`?")
        if reply.is_success:
            return found
        raise Refused(reply.status_code, found)

    async def _reply(self, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        """Raises Away."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            return await self.client.request(method, self.url + path, headers=headers, timeout=SECONDS, **body)
        except httpx.HTTPError as error:
            raise Away(f"{self.url} gives no answer ({type(error).__name__}).") from error
