"""Live: the models that are served, each in the version that live.json names, and the change to another one.

A new version is loaded beside the old one and takes its place at once, when it is ready. Requests that are under way
are answered by the version that they began with.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.serving.engine import live_file
from flows.serving.engine.live_file import Beside, Stamp, Told
from flows.serving.engine.loaded import Answered, Loaded
from flows.serving.engine.loading import Loader, check
from flows.serving.engine.onnx import Sessions
from flows.serving.problem import Problem
from flows.serving.trial.canary import Canary
from flows.serving.trial.counts import Told as Tell
from flows.serving.trial.counts import nobody
from flows.serving.trial.shadow import Shadow
from flows.serving.version import Version
from pipelines.errors import IntegrityError, RatchetError

__all__ = ["Answered", "Live", "Served"]

LOOK_SECONDS = 0.5
START_SECONDS = 3.0  # that the first look may take
LOG = logging.getLogger(__name__)
AGAIN_SECONDS = 60.0  # until a version that could not be loaded is tried again
NO_CHAMPION = "The model has no champion."
UNKEPT = "This server keeps no answers, so none answers unseen."
LOADS = "Version {} is being loaded."


class Live:
    """One model that is served, whatever version is live."""

    def __init__(self, folder: Path, loader: Loader, worker: int | None = None, tell: Tell = nobody):
        """folder: of the model, in the state. worker: the number of this process, by which the log of a version that
        answers unseen is named; None if no answer is kept: then none does. tell: is told of the rows of a trial."""
        self.name = folder.name
        self._folder, self._loader = folder, loader
        self._told = ""  # what is wrong with what live.json names
        self._loaded: Loaded | None = None
        self._seen: Stamp | None = None  # the live.json that was read last
        self._failed: float | None = None  # when that could not be loaded
        self._worker, self._tell = worker, tell
        self._untried = ""  # why nothing answers beside the champion, although something should
        self._champion: Told | None = None  # what the loaded version was loaded from
        self._beside: Beside | None = None
        self.trial: Shadow | Canary | None = None
        """What answers beside the champion."""
        self._ending: set[asyncio.Task[None]] = set()  # versions that answer their last requests

    @property
    def version(self) -> Version | None:
        """The one that answers; None if there is no champion, or none could be loaded."""
        return self._loaded.version if self._loaded else None

    @property
    def told(self) -> Told | None:
        """What the version that answers was loaded from; None if there is none."""
        return self._champion if self._loaded else None

    @property
    def problem(self) -> str:
        """Why the newest version is not served, or why none is; "" if all is well."""
        return self._told or (self._loaded.problem if self._loaded else "")

    @property
    def on_trial(self) -> Beside | None:
        """The version that answers beside the champion."""
        return self._beside

    @property
    def trial_problem(self) -> str:
        """Why the version that should answer beside the champion does not; "" if it does."""
        return self.trial.problem if self.trial else self._untried

    def answered(self, rows: Sequence[Any], ids: Sequence[str], at: datetime) -> None:
        """Rows that were answered at `at`: a version that answers unseen has its turn."""
        if isinstance(self.trial, Shadow):
            self.trial.offer(rows, ids, at)

    async def answer(self, rows: Sequence[Any], ids: Sequence[str] = ()) -> Answered:
        """ids: of the rows, which choose those that a canary answers. Raises Problem for what is wrong with the rows,
        and if there is no version."""
        if self._loaded is None:
            told = self._told or f"The model {self.name} is being loaded."
            repair = "Ask again later, or promote a version."
            raise Problem(503, "no-version", "No version of the model is served", told, repair)
        if isinstance(self.trial, Canary) and ids:
            return await self.trial.answer(self._loaded, rows, ids)
        return await self._loaded.answer(rows)

    async def look(self) -> None:
        """Follow live.json if it has changed."""
        found, now = live_file.stamp(self._folder), asyncio.get_running_loop().time()
        again = self._failed is not None and now - self._failed > AGAIN_SECONDS
        if found is None or (found == self._seen and not again):
            return
        self._seen, self._failed = found, None
        try:
            await self._follow(live_file.read(self._folder))
        except RatchetError as error:
            self._told, self._failed = str(error), now

    async def _follow(self, told: Told) -> None:
        if told.version is None:
            await self._try(None)
            self._replace(None)
            self._told = told.problem or NO_CHAMPION
            return
        if self._loaded is None:
            self._told = f"Version {told.version.number} of {self.name} is being loaded."
        champion = replace(told, problem="", beside=None)
        if self._loaded is not None and champion == self._champion:
            await asyncio.to_thread(check, told.version.folder, told.files_hash)
        else:
            loaded = await asyncio.to_thread(self._load, told)
            self._replace(loaded)
            self._champion = champion
        self._told = told.problem
        await self._try(told.beside)

    async def _try(self, told: Beside | None) -> None:
        """Let another version answer beside the champion, or none. Raises RatchetError if a canary cannot be loaded."""
        if told is not None and self._beside is not None and _same(told, self._beside) and self.trial is not None:
            return
        before, self.trial, self._beside = self.trial, None, told
        if before is not None:
            self._end(before.close())
        if told is None:
            return
        self._untried = UNKEPT if self._worker is None else LOADS.format(told.version.number)
        if told.role == "canary":
            try:
                loaded = await asyncio.to_thread(self._load, Told(told.version, told.files_hash, ""))
            except RatchetError as error:
                self._untried = str(error)
                raise
            self.trial = Canary(told, loaded, self._tell)
        elif self._worker is not None:
            self.trial = Shadow(self._folder, told, self._worker, self._tell)

    def _load(self, told: Told) -> Loaded:
        try:
            return self._loader.load(told)
        except RatchetError:
            raise
        except Exception as error:  # files that others wrote, and two runtimes: anything can be raised
            number = told.version.number if told.version else ""
            told_as = f"Version {number} of {self.name} cannot be loaded: {type(error).__name__} {error}"
            raise IntegrityError(told_as, "Promote the version again, or roll back.") from error

    def _replace(self, loaded: Loaded | None) -> None:
        """Answer with another version from now on; the old one ends after its last request."""
        before, self._loaded = self._loaded, loaded
        if before is not None:
            self._end(before.drained())

    def _end(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Answer what is under way, and end."""
        await self._try(None)
        self._replace(None)
        await asyncio.gather(*self._ending)


def _same(one: Beside, other: Beside) -> bool:
    """Whether two live.json name the same trial: the champion may be another one."""
    return replace(one, content={}) == replace(other, content={})


class Served:
    """All models of a state folder. It belongs to one event loop."""

    def __init__(self, state: Path, models: Sequence[str] | None = None, worker: int | None = None):
        """models: their names; None for all that have a live.json, new ones appear by themselves. worker: as in
        Live."""
        self._worker = worker
        self.models: dict[str, Live] = {}
        """By name, those that are there now."""
        self.tell_trial: Tell = nobody
        """Is told of the rows that a version beside a champion answers, or has no answer to."""
        self._folder, self._chosen = state / "serving", models
        self._loader = Loader(Sessions())
        self._looks: dict[str, asyncio.Task[None]] = {}  # by model, the ones under way
        self._follower: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load what is live, then follow it. It returns when each model is loaded or has a problem; of one that takes
        longer, as with TensorFlow, the problem is that it is being loaded."""
        self._look()
        if self._looks:
            await asyncio.wait(self._looks.values(), timeout=START_SECONDS)
        self._follower = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Answer what is under way, and end."""
        tasks = [task for task in (self._follower, *self._looks.values()) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(live.close() for live in self.models.values()))

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self._look()
            except OSError as error:  # such as too many open files: it may be otherwise the next time
                LOG.warning("%s cannot be read: %s", self._folder, error)

    def _look(self) -> None:
        """Begin to follow every live.json, if it is not being followed already."""
        names = live_file.models(self._folder)
        wanted = [name for name in names if self._chosen is None or name in self._chosen]
        for name in [name for name in self.models if name not in wanted]:
            if name not in self._looks:
                self._begin(name, self.models.pop(name).close())
        for name in wanted:
            live = self.models.setdefault(name, Live(self._folder / name, self._loader, self._worker, self.tell_trial))
            if name not in self._looks:
                self._begin(name, live.look())

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Of a model, one thing at a time."""
        task = asyncio.get_running_loop().create_task(work)
        self._looks[name] = task
        task.add_done_callback(lambda _: self._looks.pop(name, None))
