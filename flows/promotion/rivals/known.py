"""Whether a model is published and decided about already: asked before a run begins, so that it need not begin."""

from typing import Any

from flows.project.environment import Project
from flows.promotion import champion_alias, decide
from flows.promotion.waiting import Experiment
from flows.records import ledger
from flows.records.outputs import Published, StageOutputs
from flows.tracking import mlflow_runs, publish
from pipelines.model_file import Declaration


def known(
    project: Project, declared: Declaration, found: StageOutputs, experiment: Experiment
) -> tuple[Published, dict[str, Any]] | None:
    """Where the outputs of the stages are published, and the answer of `decide`; None if one of them has work to do.

    Raises IntegrityError if the ledger is broken or the alias was changed outside Ratchet. What a crash has kept from
    following a decision follows now.
    """
    store, book = mlflow_runs.client(project), ledger.of(project)
    published = publish.known(store, declared.model, found)
    if published is None:
        return None
    version = store.get_model_version(declared.model, str(published.version))
    standing = champion_alias.settle(store, book, declared.model)
    if published.version in standing.pruned:
        return None
    counts = experiment.against(standing.champion)
    answer = decide.known(decide.Case(project, store, declared, found, published, version, standing, counts))
    return (published, answer) if answer and answer["decision"] == "unchanged" else None
