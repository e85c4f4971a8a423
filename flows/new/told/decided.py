"""Decided: what a draft decided, each with its reason, as `ratchet new` prints it and `--json` has it."""

from typing import Any

from flows.new.draft import Draft
from flows.new.target import FEWEST_OF_CLASS
from flows.new.yaml_comments import Said, plain


def decided(draft: Draft) -> dict[str, Any]:
    """problem, rows, split, duplicates, metric, columns (name, role, why) and look (sentences for a person)."""
    data, promote = draft.data(), draft.promote()
    return {
        "problem": {key: plain(data[key]) for key in ("kind", "task", "target")} | {"why": draft.target.why},
        "rows": {"looked_at": draft.rows, "more": draft.more} | (_splits(draft)),
        "split": plain(draft.split()) | {"why": _why(draft.split())},
        "duplicates": _duplicates(draft),
        "metric": _metric(draft, promote),
        "columns": _columns(draft, data.get("columns", {})),
        "look": look(draft),
    }


def _why(content: Any) -> str:
    return content.why if isinstance(content, Said) else ""


def _splits(draft: Draft) -> dict[str, Any]:
    return {"splits": draft.found.rows, "removed": draft.found.removed} if draft.found else {}


def _duplicates(draft: Draft) -> dict[str, str] | None:
    known = draft.relations
    return {"duplicates": known.equal, "why": known.why_equal} if known else None


def _metric(draft: Draft, promote: dict[str, Any]) -> dict[str, Any]:
    """constant: of the best constant answer; linear: of a quick linear fit, null where there was none."""
    name = promote["metric"]
    floor = promote.get("at_least") or promote["at_most"]
    scores = draft.judged.scores.get(name) if draft.judged else None
    return {
        "metric": name,
        "direction": "at_least" if "at_least" in promote else "at_most",
        "floor": plain(floor),
        "margin": plain(promote["margin"]),
        "constant": float(f"{scores.constant:.4g}") if scores else None,
        "linear": float(f"{scores.linear:.4g}") if scores else None,
        "why": _why(floor),
    }


def _columns(draft: Draft, declared: dict[str, Any]) -> list[dict[str, str]]:
    seen = [{"name": name, "role": plain(role), "why": _why(role)} for name, role in declared.items()]
    return [*seen, *({"name": c.name, "role": "left out", "why": c.why} for c in draft.left_out)]


def look(draft: Draft) -> list[str]:
    """What nobody but a person can decide."""
    out = tuple(f"{column.name}: " for column in draft.left_out)
    found = [said for said in draft.relations.look if not said.startswith(out)] if draft.relations else []
    if rare := draft.target.rare:
        rows = sum(draft.target.classes[name] for name in rare)
        some = ", ".join(map(repr, rare[:5])) + (" ..." if len(rare) > 5 else "")
        found.append(f"{rows:,} rows of {some} are set aside: a class needs {FEWEST_OF_CLASS} rows")
    scores = draft.judged.scores.get(draft.judged.metric) if draft.judged else None
    if scores and not scores.wins:
        found.append("a quick linear fit is no better than a constant answer: do the columns tell of the target?")
    known = draft.relations
    if known and known.equal == "keep" and known.different < draft.rows / 2:
        found.append(f"of {draft.rows:,} rows only {known.different:,} are different: is a column missing?")
    return found
