"""The files that a run's stages read are those of one moment, from the first stage to the last."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flows.graph import lockfile, provenance, untracked
from flows.graph.pipeline import Graph, inputs_hash
from flows.project.environment import Project
from pipelines.errors import IntegrityError
from pipelines.process import seal


@dataclass
class Tree:
    """The files of the stages. inputs: the hash that names the run; hash: the tree in git's store, "" if none ran."""

    inputs: str
    hash: str = ""
    uncommitted: list[str] = field(default_factory=list)  # files of the stages that differ from the last commit


@contextmanager
def held(project: Project, graph: Graph, ran: Callable[[], bool]) -> Iterator[Tree]:
    """Around the stages. Raises IntegrityError if their inputs changed from first to last.

    ran: whether a stage has run. Each stage is sealed while it runs (pipelines/process/seal.py). This check covers the
    time between stages, and the outputs of stages: without it a run could mix two trees under the name of one.
    """
    model = graph.model
    untracked.check(project, [*graph.sources(), project.root / "models" / f"{model}.yaml"])
    inputs, signed = graph.inputs(), seal.sign(graph.sources())
    tree = Tree(inputs_hash(inputs))
    yield tree
    if ran():
        tree.hash = provenance.tree(project)
    tree.uncommitted = provenance.uncommitted(project, model, graph.sources())
    moved = [str(path.relative_to(project.root)) for path in seal.changed(signed)]
    if graph.inputs() != inputs:
        moved.append(f"models/{model}.yaml")
    if found := [*moved, *lockfile.torn(lockfile.deciding(lockfile.effective(project, model)))]:
        raise IntegrityError(
            f"{found[0]} changed while {model} was being made. So nobody knows which content made it: nothing is "
            "published.",
            "Run again when nothing edits the project's files.",
        )
