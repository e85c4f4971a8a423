"""How a model is: the worst of its parts, with the part named; and what is wrong with the machine, for all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from flows.overview.facts import Machine, ModelFacts
from flows.overview.told import age

Status = Literal["ok", "notice", "warning", "broken"]
ORDER: tuple[Status, ...] = ("ok", "notice", "warning", "broken")
FREE_BYTES = 5 << 30  # as `ratchet doctor` has it
FREE_SHARE = 0.05
LATE = timedelta(minutes=10)  # after which a run that should have begun is told
UNREPRODUCED = "different"  # the worst verdict of `ratchet verify`


@dataclass(frozen=True)
class Condition:
    """part: of the model, such as "data" or "schedule". words: one sentence, what is wrong and where it is known from.
    do: what helps, "" where the sentence says it."""

    status: Status
    part: str
    words: str
    do: str = ""


FINE = Condition("ok", "", "nothing is wrong")


def worst(facts: ModelFacts, now: datetime | None = None) -> Condition:
    """The gravest of what is wrong; of two that are as grave, the one that `all_of` names first."""
    found = all_of(facts, now)
    return found[0] if found else FINE


def all_of(facts: ModelFacts, now: datetime | None = None) -> list[Condition]:
    """Everything that is wrong, the gravest first."""
    found = [*_broken(facts), *_warnings(facts, now), *_notices(facts)]
    return sorted(found, key=lambda one: -ORDER.index(one.status))


def of_machine(machine: Machine) -> list[Condition]:
    """What is wrong with the machine that all models share."""
    if machine.free > max(FREE_BYTES, FREE_SHARE * machine.total):
        return []
    words = f"{machine.free / 2**30:.1f} of {machine.total / 2**30:,.0f} GiB of the disk are free"
    status: Status = "broken" if machine.free < FREE_BYTES else "warning"
    return [Condition(status, "disk", words, "`ratchet prune` shows what no needed version depends on")]


def _broken(facts: ModelFacts) -> Iterator[Condition]:
    model = facts.model
    if facts.alias:
        moved = "changed outside" in facts.alias
        do = f"`ratchet promote {model} --adopt --reason WHY`, or `ratchet rollback {model}`" if moved else ""
        yield Condition("broken", "alias" if moved else "ledger", facts.alias, do)
    if facts.settings:
        yield Condition("broken", "settings", facts.settings)
    if facts.live and facts.live.worse:
        yield Condition("broken", "live quality", facts.live.said or "it is below what the gate promised")
    if facts.verified and facts.verified.verdict == UNREPRODUCED:
        words = f"version {facts.champion} was not made again as it was"
        yield Condition("broken", "verification", words, f"`ratchet verify {model}` says where the first difference is")
    if facts.refused:
        yield Condition("broken", "data", facts.refused.reason, f"`ratchet data {model}` shows the versions")
    if facts.failed:
        yield Condition("broken", "run", facts.failed.reason)
    if facts.died and facts.schedule:
        yield Condition("broken", "schedule", "the scheduler has ended by itself: no run begins", "`ratchet up`")
    if facts.serving and not facts.alias:
        yield Condition("broken", "serving", facts.serving, "`ratchet doctor --fix`")


def _warnings(facts: ModelFacts, now: datetime | None) -> Iterator[Condition]:
    drifted = [event for event in facts.events if event.kind in ("drift", "broken")]
    if drifted:
        yield Condition("warning", "drift", drifted[0].said)
    elif facts.live and facts.live.drifted:
        yield Condition("warning", "drift", f"{', '.join(facts.live.drifted[:3])} drifted")
    last = facts.decision
    if last and last.action == "undecided" and last.missing:
        words = f"version {last.version} is undecided: about {last.missing:,} test rows are missing"
        yield Condition("warning", "decision", words, "`ratchet promote` decides")
    elif last and last.action == "undecided":
        yield Condition("warning", "decision", f"version {last.version} is undecided: {last.reason}")
    if facts.held:
        yield Condition("warning", "promotion", f"held since a rollback: {facts.held}", "`ratchet promote` lifts it")
    if facts.schedule and not facts.served and not facts.died:
        yield Condition("warning", "schedule", f"{facts.schedule}, but no scheduler serves it", "`ratchet up`")
    late = age(facts.next_run, now) if now else None
    if late is not None and late > LATE and not facts.running:
        yield Condition("warning", "schedule", "a run should have begun, and has not")
    for event in facts.events:
        if event.kind in ("rollout", "labels") and event.said:
            yield Condition("warning" if event.kind == "rollout" else "notice", event.kind, event.said)


def _notices(facts: ModelFacts) -> Iterator[Condition]:
    model, live = facts.model, facts.live
    if facts.waits:
        yield Condition("notice", "decision", facts.waits.reason, facts.waits.next)
    if facts.champion is None:
        yield Condition("notice", "champion", "there is none yet", f"`ratchet run {model}`")
        return
    if live is None:
        yield Condition("notice", "monitor", "its live rows were never looked at", f"`ratchet watch {model}`")
    elif not live.answers:
        yield Condition("notice", "monitor", "it has answered no row that was kept", "`ratchet serve`")
    if live is None or not live.labels:
        yield Condition("notice", "labels", "no label says how good its answers are", f"`ratchet label {model}`")
    if facts.registered and facts.verified is None:
        yield Condition("notice", "verification", "nobody made it again", f"`ratchet verify {model}`")
    elif facts.verified and facts.verified.verdict not in ("identical", UNREPRODUCED):
        yield Condition("notice", "verification", facts.verified.verdict)


def waiting(facts: ModelFacts) -> list[str]:
    """What waits for a person, in words."""
    found = []
    if facts.waits:
        found.append(f"version {facts.waits.version} to be promoted or left")
    if facts.refused:
        found.append("data that were refused")
    if facts.alias:
        found.append("the alias" if "changed outside" in facts.alias else "the ledger")
    if facts.decision and facts.decision.action == "undecided":
        found.append(f"version {facts.decision.version}, which rows do not decide")
    if facts.held:
        found.append("promotion, which is held")
    return found


def counted(conditions: Sequence[Condition]) -> dict[Status, int]:
    """How many models have each status, the gravest first, without zeros."""
    numbers = {status: sum(one.status == status for one in conditions) for status in reversed(ORDER)}
    return {status: number for status, number in numbers.items() if number}
