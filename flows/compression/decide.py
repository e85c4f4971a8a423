"""Decide in which form a version answers, after the gate has decided about the version itself.

Every smaller form that the stage `compress` has made is kept with the version, judged, and the smallest of those that
pass answers in its place; without one the version itself does. Inserting the line `compressed` into the ledger *is* the
decision: it moves no champion, and no other decision waits for it. Tags and pages follow, and are made up for after a
crash. The same forms are judged once: the key is of the version, its forms, the test rows, the sections `compress` and
`promote`, and the reference.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.compression import evidence, kept, variants, waiting
from flows.compression.evidence import Judged, Parent
from flows.compression.variants import Made
from flows.project import scratch
from flows.project.environment import Project
from flows.promotion import champion_alias
from flows.promotion.rivals import opponents
from flows.promotion.rivals.opponents import Rival
from flows.promotion.statistics import budget
from flows.promotion.statistics.budget import Budget
from flows.records import ledger
from flows.records.champion_state import Standing
from flows.records.ledger import Conflict, Ledger, Line
from flows.records.outputs import Published, StageOutputs
from flows.registry import model_registry, serving_folder
from flows.registry.model_registry import ModelVersion
from flows.tracking import evidence_files, mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.errors import IntegrityError
from pipelines.evaluate import device_of
from pipelines.model_file import Declaration
from pipelines.table import row_sample
from pipelines.visible_text import line as one_line

ACTION = "compressed"
NOT_ASKED = "the YAML asks for no smaller form"


@dataclass(frozen=True)
class Case:
    """What one decision is about."""

    project: Project
    store: MlflowClient
    declared: Declaration
    found: StageOutputs
    published: Published
    version: ModelVersion
    made: Made

    @property
    def number(self) -> int:
        return int(self.version.version)


def decide(project: Project, declared: Declaration, found: StageOutputs, published: Published) -> dict[str, Any]:
    """Returns state (Ran, Unchanged or Skipped), reason, served_as ("" for the version itself), and forms: what was
    found about each, for people.

    Raises RatchetError if the forms cannot be judged: then what answered before answers on.
    """
    made = variants.read(project, declared.model)
    if made is None or made.model_hash != found.model_hash:
        return _skipped("no smaller form was made of this version")
    store, book = mlflow_runs.client(project), ledger.of(project)
    standing = champion_alias.settle(store, book, declared.model)
    if not waiting.answers(standing, published.version):
        return _skipped("the version does not answer")
    version = store.get_model_version(declared.model, str(published.version))
    case = Case(project, store, declared, found, published, version, made)
    if (line := _known(case, standing)) is not None:
        _note(store, version, line)
        return _answer(line, "Unchanged")
    if not made.asked and not _served(standing, case.number):
        return _skipped(NOT_ASKED)
    kept.keep(store, version, made, project.data(declared.model) / variants.FOLDER, published.fresh)
    line = _judged(case, standing) if made.variants else _itself(case, standing)
    found.check()
    written = _write(case, book, standing, line)
    if written is None:
        return _skipped("somebody else moved the champion meanwhile")
    _note(store, version, written)
    return _answer(written, "Ran")


def _known(case: Case, standing: Standing) -> Line | None:
    before = standing.forms.get(case.number)
    wanted = waiting.key(case.made, case.declared, case.found.test_hash, standing)
    return before if before is not None and before.decision_key == wanted else None


def _served(standing: Standing, number: int) -> bool:
    """Whether a smaller form of it answers now."""
    line = standing.forms.get(number)
    return bool(line and line.facts.get("served_as"))


def _judged(case: Case, standing: Standing) -> Line:
    """The line about all forms of a version."""
    declared, found, made = case.declared, case.found, case.made
    entry, judgement = _entry(case, standing)
    each = evidence.shared(entry, len(made.variants), judgement)
    with scratch.folder("compressed") as place:
        parent, reference = _parent(case, standing, place), _reference(case, standing, place)
        rows = evidence.rows_of(found)
        judged = [evidence.judge(declared, found, one, parent, reference, each, rows) for one in made.variants]
    passed = sorted((one for one in judged if one.decision == "accepted"), key=lambda one: one.variant.bytes)
    chosen = passed[0] if passed else None
    facts = _facts(case, chosen) | {
        "metric": declared.promote.metric,
        "margin": declared.promote.margin,
        "judgement": judgement,
        "compared_with": standing.reference,
        "parent": {"bytes": parent.bytes, "serving_hash": parent.serving.hash, "runtime": parent.serving.runtime},
        "variants": {one.variant.name: one.content() for one in judged},
    }
    return _line(case, standing, _reason(chosen, judged, made), facts)


def _itself(case: Case, standing: Standing) -> Line:
    """The line of a version of which there is no smaller form, or none any more."""
    why = "; ".join(f"{name}: {one}" for name, one in case.made.failed.items()) or NOT_ASKED
    return _line(case, standing, f"the version itself answers: {why}", _facts(case, None) | {"variants": {}})


def _facts(case: Case, chosen: Judged | None) -> dict[str, Any]:
    return {
        "run_id": case.published.run_id,
        "model_hash": case.found.model_hash,
        "test_hash": case.found.test_hash,
        "compressed_hash": case.made.hash,
        "failed": case.made.failed,
        "served_as": chosen.variant.name if chosen else "",
        "serving_hash": chosen.variant.serving.hash if chosen else "",
        "served_model_hash": chosen.variant.model_hash if chosen else "",
    }


def _line(case: Case, standing: Standing, reason: str, facts: dict[str, Any]) -> Line:
    key = waiting.key(case.made, case.declared, case.found.test_hash, standing)
    actor = f"gate, run {case.published.run_id}"
    return standing.unmoved(case.declared.model, ACTION, case.number, reason, facts, actor, key)


def _reason(chosen: Judged | None, judged: list[Judged], made: Made) -> str:
    """One sentence: what answers, and why the others do not."""
    others = [f"{one.variant.name} is {one.decision}: {one.reason}" for one in judged if one.decision != "accepted"]
    others += [f"{one.variant.name} passes too, and is larger" for one in judged if _larger(one, chosen)]
    others += [f"{name} could not be made: {why}" for name, why in made.failed.items()]
    said = "the version itself answers" if chosen is None else f"{chosen.variant.name} answers: {chosen.reason}"
    return "; ".join([said, *others])


def _larger(one: Judged, chosen: Judged | None) -> bool:
    return one.decision == "accepted" and one is not chosen


def _entry(case: Case, standing: Standing) -> tuple[Budget, int]:
    """The entry of the budget that the decision about the version has spent, and which judgement of its forms this is.

    A version that the gate has not judged, because a person promoted it, is judged as a first candidate.
    """
    test = case.found.folder / "test.parquet"
    found = budget.of(standing, row_sample.of(evidence.row_ids(test)))
    verdict, before = standing.verdicts.get(case.number), standing.forms.get(case.number)
    spent = float(verdict.facts.get("judged_since_promotion", 0.0)) if verdict else 0.0
    judgement = 1 + (int(before.facts.get("judgement", 0)) if before else 0)
    return Budget(found.judged, spent, found.since_reference, found.promotions), judgement


def _parent(case: Case, standing: Standing, place: Path) -> Parent:
    """The version itself, as it is registered, and what would be served of it."""
    recorded = standing.artifacts.get(case.number)
    known = evidence_files.read(case.store, case.version, place, recorded)
    folder = model_registry.fetch(case.store, case.version, place, recorded) / "artifacts" / "model"
    rival = Rival("parent", case.version, folder, known, known.predictions)
    serving = _own_files(case)
    model = folder if serving.runtime != "onnx" else None
    return Parent(rival, serving, variants.size(serving, model))


def _own_files(case: Case) -> serving_folder.Serving:
    """The version's own files for serving, as the stage `export` has made them."""
    folder = case.project.data(case.declared.model) / serving_folder.FOLDER
    with suppress(IntegrityError):
        return serving_folder.check(folder, case.found.model_hash)
    return serving_folder.none("it was not exported")


def _reference(case: Case, standing: Standing, place: Path) -> Rival | None:
    """The gate's reference with its answers to the test rows; None where it is the version itself."""
    if standing.reference in (None, case.number):
        return None
    test = case.found.folder / "test.parquet"
    there = opponents.rivals(case.project, case.store, case.declared, standing, test, place)
    there = [one for one in there if int(one.version.version) == standing.reference]
    evaluated = device_of(case.found.folder / "predictions.parquet")
    mine = evidence.predictions(case.found)
    found, _ = opponents.tried(case.declared, None, there, mine, evaluated, place)
    return Rival(**vars(found[0]) | {"role": "reference"})


def _write(case: Case, book: Ledger, standing: Standing, line: Line) -> Line | None:
    """The line as written; None if its version no longer answers. Somebody else's line that changes nothing of what was
    judged is no obstacle."""
    last = standing.last
    while True:
        try:
            return book.append(last, line)
        except Conflict:
            now = champion_alias.settle(case.store, book, line.model)
            if not waiting.answers(now, case.number) or now.reference != standing.reference:
                return None
            if (there := _known(case, now)) is not None:
                return there
            last = now.last


def _answer(line: Line, state: str) -> dict[str, Any]:
    facts = line.facts
    return {"state": state, "reason": line.reason, "served_as": facts["served_as"], "forms": told(facts)}


def _skipped(reason: str) -> dict[str, Any]:
    return {"state": "Skipped", "reason": reason, "served_as": "", "forms": []}


def told(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The forms as rows of a table for people. facts: the evidence of a line."""
    rows = [
        {
            "form": name,
            "verdict": "answers" if name == facts["served_as"] else one["decision"],
            "bytes": one["bytes"],
            "smaller": f"{one['smaller']:.2f} times",
            "time of one row": f"{one['latency_ratio']:.2f} of the version's" if one["latency_ratio"] else "",
            facts["metric"]: f"{one['metric']:.6g}",
            "gain": "" if one["gain"] is None else f"{one['gain']:+.4f} [{one['low']:+.4f}, {one['high']:+.4f}]",
            "labels changed": "" if one["labels_changed"] is None else one["labels_changed"],
            "what was found": one["reason"],
        }
        for name, one in facts["variants"].items()
    ]
    failed = facts["failed"].items()
    return rows + [{"form": name, "verdict": "not made", "what was found": why} for name, why in failed]


FIGURES = ("bytes", "smaller", "latency_ratio", "metric", "gain", "low", "high", "labels_changed", "largest")


def _note(store: MlflowClient, version: ModelVersion, line: Line) -> None:
    """Show the decision on the version and its run: figures, the evidence as compression.json, and tags, the number of
    the line last. Writing the same again changes nothing."""
    if version.tags.get(kept.LINE) == str(line.sequence):
        return
    facts, run_id = line.facts, str(version.run_id)
    names = ("format", "at", "reason", "version", "sequence", "hash", "decision_key")
    store.log_dict(run_id, {name: asdict(line)[name] for name in names} | facts, "compression.json")
    for name, one in facts["variants"].items():
        figures = {f"{ACTION}/{name}/{key}": float(f"{one[key]:.6g}") for key in FIGURES if one[key] is not None}
        mlflow_runs.log_step(store, run_id, figures, line.sequence)
    tags = {kept.SERVED_AS: facts["served_as"] or kept.ITSELF, kept.TOLD: one_line(line.reason)[:5000]}
    for name, value in tags.items():
        store.set_tag(run_id, name, value)
    for name, value in (tags | {kept.LINE: str(line.sequence)}).items():
        store.set_model_version_tag(version.name, str(version.version), name, value)
