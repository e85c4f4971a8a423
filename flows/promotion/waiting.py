"""Waiting: a candidate of an experiment is judged, but moves no champion by itself.

An experiment is a run with `--no-promote`, or one whose stages read files that differ from the last commit: nobody has
said yet that this is how the model is to be made.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from flows.records.ledger import Line

MOST_NAMES = 3  # of files, in a reason


@dataclass(frozen=True)
class Experiment:
    """Why a candidate is to wait. Without a reason it is no experiment."""

    no_promote: bool = False
    uncommitted: list[str] = field(default_factory=list)  # files of the model's stages that differ from the last commit

    def against(self, champion: int | None) -> "Experiment":
        """Those reasons that count: uncommitted files do not keep a model from having a first champion."""
        return self if champion is not None else replace(self, uncommitted=[])

    def __bool__(self) -> bool:
        return self.no_promote or bool(self.uncommitted)

    def reason(self, version: int, said: str) -> str:
        """One sentence. said: the gate's reason to accept the version."""
        return f"version {version} waits, because {self.why()}; the gate would accept it: {said}"

    def advice(self, model: str, version: int) -> str:
        """What a person can do."""
        commit = "commit" if self.uncommitted else ""
        run = "run again without --no-promote" if self.no_promote else "run again"
        told = " and ".join(filter(None, [commit, run]))
        return f"{told}, or `ratchet promote {model} {version} --reason WHY`"

    def why(self) -> str:
        """Part of a sentence."""
        found = ["the run had --no-promote"] if self.no_promote else []
        if names := self.uncommitted:
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            verb = "differs" if len(names) == 1 else "differ"
            found.append(f"{', '.join(names[:MOST_NAMES])}{more} {verb} from the last commit")
        return " and ".join(found)

    def facts(self, said: str) -> dict[str, Any]:
        """For the evidence of a line: the experiment, and the gate's reason, which is that of a later promotion."""
        return {"experiment": asdict(self), "accepted_because": said}


def advice(line: Line) -> str:
    """What a person can do. line: one by which a version waits."""
    return Experiment(**line.facts["experiment"]).advice(line.model, line.version or 0)


def released(line: Line) -> tuple[str, dict[str, Any]]:
    """Reason and evidence of the line that promotes a version that has waited. line: the one that judged it."""
    facts = line.facts
    facts.pop("experiment")
    return facts.pop("accepted_because"), facts | {"waited": line.sequence}
