"""The pipeline as DVC sees it: the stages, their inputs, and running one of them.

Only this package imports DVC. DVC does not promise a stable Python API, so every use of it is here.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Callable, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from flows.graph import dvc_locks, lock_writer, stage_command
from flows.project import environment
from flows.project.environment import Project
from pipelines.config import settings
from pipelines.config.stages import STAGES
from pipelines.errors import IntegrityError, RatchetError, RequestError, StageError
from pipelines.process import seal
from pipelines.safety import shortage


class Graph:
    """The stages of one model in dvc.yaml. Raises RequestError if it has none.

    `with Graph(project, model) as graph:` holds DVC's lock, and what DVC has read, from one stage to the next. The lock
    is free while a stage's command runs.
    """

    def __init__(self, project: Project, model: str):
        self.project, self.model = project, model
        self.notices: list[str] = []  # for a person: problems that were found, and their repairs

    def __enter__(self) -> "Graph":
        from dvc import dvcfile
        from dvc.repo import Repo, lock_repo

        from flows.graph import content

        content.install()
        stage_command.install()
        dvcfile.modify_yaml = lock_writer.modified
        logging.getLogger("dvc").setLevel(logging.CRITICAL)  # its errors reach us as exceptions
        dvc_locks.mend_rwlock(self.project.root / ".dvc" / "tmp")
        self.repo: Any = Repo(str(self.project.root), _wait_for_lock=True)
        self._session = lock_repo(self.repo)
        self._session.__enter__()
        try:
            self._find_stages(self.model)
        except BaseException as error:
            self.__exit__(*sys.exc_info())
            if "YAML" in type(error).__name__:
                raise RatchetError(
                    f"DVC cannot read {getattr(error, 'path', 'its files')}: {' '.join(str(error).split())[:300]}.",
                    "Correct dvc.yaml, or restore dvc.lock with `git checkout -- dvc.lock`. Then run again.",
                ) from error
            raise
        return self

    def __exit__(self, *about: Any) -> None:
        self._session.__exit__(*about)
        self.repo.close()

    def _find_stages(self, model: str) -> None:
        self._stages = {stage.addressing: stage for stage in self.repo.index.stages if _belongs(stage, model)}
        if not self._stages:
            raise RequestError(
                f"dvc.yaml has no stage for model {model!r}.",
                f"Add {model!r} to the list `models` under `vars` in dvc.yaml.",
            )

    @property
    def cache(self) -> Path:
        """Where DVC keeps what was made."""
        return cache_of(self.repo)

    def needs(self) -> dict[str, set[str]]:
        """Each stage, and the stages that it needs."""
        graph = self.repo.index.graph  # an edge points from a stage to what it depends on
        return {
            name: {needed.addressing for needed in graph.successors(stage)} & set(self._stages)
            for name, stage in self._stages.items()
        }

    def order(self) -> list[str]:
        """The stages, each after what it needs; those after the gate come last."""
        found = TopologicalSorter(self.needs()).static_order()
        return sorted(found, key=is_after_gate)

    def before_gate(self) -> list[str]:
        """The stages that make a model and measure it, in order: the decision depends on them."""
        return [stage for stage in self.order() if not is_after_gate(stage)]

    def after_gate(self) -> list[str]:
        """The other ones, in order: a run does them when it has decided."""
        return [stage for stage in self.order() if is_after_gate(stage)]

    def reproduce(self, stage: str, log: Path, before: Callable[[], None] = lambda: None) -> str:
        """Bring one stage up to date: "Unchanged", "Restored" from DVC's run cache, or "Ran".

        log: file for the command's output; before: called before it may run. Raises StageError with the stage's own
        paragraph.
        """
        from dvc.exceptions import DvcException

        from flows.graph import content

        if edited := content.edited(self.repo, self._stages[stage]):
            self.notices.append(edited)
        elif self.unchanged(stage):
            return "Unchanged"
        before()
        for leftover in (log, error := Path(f"{log}.error")):
            leftover.unlink(missing_ok=True)
        try:
            with environment.variable("RATCHET_STAGE_LOG", str(log)):
                changed = self.repo.reproduce(stage, single_item=True, force=bool(edited), run_cache=not edited)
        except Exception as problem:
            places = [self.project.data(self.model), self.cache, log.parent, self.project.state / "dvc"]
            kind, reason = _reason(problem, error, places)
            if not kind and stage_command.interrupted(reason):
                raise KeyboardInterrupt from problem
            if not kind and not isinstance(problem, DvcException):
                raise
            raise StageError(stage, stage_command.told(stage, reason, log), kind=kind) from problem
        finally:
            self._tell_dropped()
        self._stages |= {made.addressing: made for made in changed}  # which know what they have made
        return "Unchanged" if not changed else "Ran" if log.exists() else "Restored"

    def unchanged(self, stage: str) -> bool:
        """Whether the outputs of a stage are there, as dvc.lock names them, and were made of what its inputs are now.

        False if somebody wrote other outputs into dvc.lock. The cache gets back what it has lost of them.
        """
        from flows.graph import content

        found = self._stages[stage]
        if content.edited(self.repo, found):
            return False
        content.put_back(found.outs)
        return not found.changed()  # asked of what was read already: dvc.lock is not parsed again

    def _tell_dropped(self) -> int:
        """Add a notice for each wrong object that was removed from the cache; returns their number."""
        from flows.graph import content

        told = content.dropped(self.repo, [out for stage in self._stages.values() for out in stage.outs])
        self.notices += told
        return len(told)

    def check_outputs(self, stages: Sequence[str]) -> dict[Path, seal.Signature | None]:
        """The signature of every output of some stages, after reading it and comparing it with dvc.lock.

        Raises IntegrityError naming an output that differs.
        """
        from flows.graph import content

        outs = [out for stage in stages for out in self._stages[stage].outs]
        signed = seal.sign([Path(out.fs_path) for out in outs])
        if wrong := content.unlike(outs):
            raise IntegrityError(
                f"{wrong[0]} differs from dvc.lock: it changed after its stage made it. Nothing is published.",
                "Run again when nothing writes into the project's folder.",
            )
        return signed

    def sources(self) -> list[Path]:
        """The files that decide about a model: what its stages before the gate read and no stage makes.

        That is code and the pin, without the model's YAML.
        """
        return [self.project.root / path for path in sorted({p for files in self._sources().values() for p in files})]

    def _sources(self) -> dict[str, list[str]]:
        made = {str(out) for stage in self._stages.values() for out in stage.outs}
        return {
            name: sorted({str(dep) for dep in stage.deps if not hasattr(dep, "params")} - made)
            for name, stage in self._stages.items()
            if not is_after_gate(name)
        }

    def inputs(self) -> dict[str, Any]:
        """All that decides the result, known before a stage runs: commands, parameters, and files no stage makes.

        A stage after the gate decides nothing: its files may change without making another model.
        """
        declared = settings.read(self.model)
        content, sources = {}, self._sources()
        for name, stage in self._stages.items():
            if is_after_gate(name):
                continue
            sections = sorted({key for dep in stage.deps for key in getattr(dep, "params", [])})
            content[name] = {
                "command": stage.cmd,
                "parameters": {key: declared[key] for key in sections},
                "files": {path: _hash(self.project.root / path) for path in sources[name]},
            }
        return content

    def state(self, stage: str) -> dict[str, Any]:
        """A stage as it is now, in the form of an entry of dvc.lock: cmd, params by file, deps and outs by path.

        A path has DVC's hash of its content, or "" if nothing is there. Parameters that are not declared are left out.
        """
        found = self._stages[stage]
        params = {dep.def_path: dep.read_params() for dep in found.deps if hasattr(dep, "params")}
        files = [dep for dep in found.deps if not hasattr(dep, "params")]
        return {
            "cmd": found.cmd,
            "params": {path: _plain(values) for path, values in params.items()},
            "deps": {str(dep): _content(dep) for dep in files},
            "outs": {str(out): _content(out) for out in found.outs},
        }

    def in_run_cache(self, stage: str) -> bool:
        """Whether DVC could restore the outputs of an earlier run of the same stage on the same inputs."""
        found, runs = self._stages[stage], self.repo.stage_cache
        if not found.changed_stage() and not found.changed_deps():
            return bool(found.outs_cached())
        if any(not dep.exists for dep in found.deps):
            return False
        found.save_deps()
        earlier = runs._load(found)
        return bool(earlier and runs._create_stage(earlier, found.wdir).outs_cached())

    def write_lock_entries(self, entries: dict[str, Any]) -> None:
        """Replace this model's entries, in the form that DVC writes."""
        with lock_writer.modified(str(self.project.root / "dvc.lock")) as content:
            content["stages"].update(entries)
        self.reload()

    def reload(self) -> None:
        """Read DVC's files again, after they were written without DVC's commands."""
        self.repo._reset()
        self._find_stages(self.model)

    def checkout(self, entries: dict[str, Any]) -> None:
        """Bring the outputs that lock entries name, and the pinned source, back from DVC's cache."""
        self.write_lock_entries(entries)
        source = self.project.data(self.model) / "source.dvc"
        files = [str(source.relative_to(self.project.root))] if source.exists() else []
        self.bring([*files, *sorted(entries)])

    def bring(self, targets: list[str]) -> None:
        """Restore the files of stages or .dvc files from DVC's cache, after reading each object.

        If the cache lacks an output of a stage, the stage makes it again later. Raises IntegrityError if the cache
        lacks a file that no stage makes: then nothing was touched.
        """
        from flows.graph import content

        stages = {target: self.repo.stage.collect(target) for target in targets}
        lost = content.put_back(out for found in stages.values() for stage in found for out in stage.outs)
        held = self._tell_dropped()
        for out in lost:
            if out.stage.cmd:
                self.notices.append(f"DVC's cache lacks this version of {out}: `ratchet run {self.model}` makes it")
                continue
            found = "held wrong content, which was removed" if held else "does not have it"
            raise IntegrityError(
                f"{out} cannot be brought back: DVC's cache {found}. Nothing was touched.",
                f"If a DVC remote has it, run `dvc fetch {out.stage.addressing}`. Else put the files back where they "
                "came from, or restore the cache (.dvc/cache) from a backup.",
            )
        left = {out.stage.addressing for out in lost}
        self.repo.checkout(targets=[target for target in targets if target not in left], force=True)


def cache_folder(project: Project) -> Path:
    """Where DVC keeps what was made."""
    from dvc.repo import Repo

    with Repo(str(project.root)) as repo:
        return cache_of(repo)


def cache_of(repo: Any) -> Path:
    return Path(repo.cache.legacy.path)


def lend(project: Project, clone: Path) -> None:
    """Let DVC in a clone read the project's cache and remotes, and write into the clone's own cache."""
    from dvc.config import Config

    ours = Config(str(project.root / ".dvc"))
    with Config(str(clone / ".dvc")).edit("local") as local:
        local["cache"] = {"dir": str(clone / ".dvc" / "cache")}
        local["remote"] = {**ours["remote"], "recorded": {"url": str(cache_folder(project))}}
        if ours["core"].get("remote"):
            local["core"] = {"remote": ours["core"]["remote"]}


def share(project: Project, tree: Path) -> None:
    """Let DVC in a worktree use the cache and the remotes of the clone."""
    from dvc.config import Config

    ours = Config(str(project.home / ".dvc"))
    with Config(str(tree / ".dvc")).edit("local") as local:
        local["cache"] = {"dir": str(cache_folder(project))}
        local["remote"] = dict(ours["remote"])
        if ours["core"].get("remote"):
            local["core"] = {"remote": ours["core"]["remote"]}


def cached(project: Project, digest: str) -> Path | None:
    """The file in DVC's cache that has this hash of DVC's."""
    path = cache_folder(project) / "files" / "md5" / digest[:2] / digest[2:]
    return path if path.is_file() else None


def inputs_hash(inputs: dict[str, Any]) -> str:
    """The name of a run (docs/reference/files.md)."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def is_after_gate(stage: str) -> bool:
    """Whether a run does this stage after the decision. stage: as DVC names it. False for one that no longer exists."""
    known = STAGES.get(stage.partition("@")[0])
    return known is not None and known.after_gate


def _content(entry: Any) -> str:
    return str(entry.get_hash().value) if entry.exists else ""


def _plain(values: Any) -> Any:
    """DVC's own kinds of mapping and list as plain ones."""
    return json.loads(json.dumps(values))


def _belongs(stage: Any, model: str) -> bool:
    return bool(getattr(stage, "cmd", None)) and stage.addressing.partition("@")[2] == model


def _hash(path: Path) -> str:
    """The hash of a file, or of every file below a folder (without byte code) with their names."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
        content = {file.relative_to(path).as_posix(): _hash(file) for file in files}
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def _reason(problem: Exception, error: Path, places: list[Path]) -> tuple[str, str]:
    """The kind of error and the stage's own message, else "" and the innermost cause that DVC gives.

    places: where stage and DVC write. On a full disk the stage could not write its message.
    """
    if error.exists() and (said := error.read_text(encoding="utf-8")):
        kind, _, paragraph = said.partition("\n")
        return kind, paragraph
    if short := shortage.of(problem, places, words=False) or shortage.full(places, shortage.NOTHING):
        return type(short).__name__, str(short)
    while problem.__cause__ is not None and isinstance(problem.__cause__, Exception):
        problem = problem.__cause__
    return "", str(problem)
