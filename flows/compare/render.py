"""A comparison as people read it: its tables, for the terminal and as a Markdown page."""

from dataclasses import dataclass, field
from typing import Any

from flows.project.plain_words import many
from flows.report import pages
from pipelines.model.metrics import METRICS

State = dict[str, Any]
MOST_PARTS = 3  # slices and classes in one sentence


@dataclass(frozen=True)
class Table:
    """rows: of each the columns by name; grey: the numbers of those that are not compared; note: said below."""

    title: str
    rows: list[dict[str, str]] = field(default_factory=list)
    grey: frozenset[int] = frozenset()
    note: str = ""

    @property
    def marks(self) -> list[str]:
        """One for each row: Markdown has no grey."""
        return ["*" if number in self.grey else "" for number in range(len(self.rows))]


def page(found: State) -> str:
    """The whole as Markdown."""
    return pages.render(
        "comparison.md.j2", title=title(found), sentence=sentence(found), at=found["at"], tables=tables(found)
    )


def title(found: State) -> str:
    a, b = _names(found)
    return f"{found['model']}: {b} beside {a}"


def sentence(found: State) -> str:
    """What came of it: of the metric that the gate looks at."""
    a, b = _names(found)
    (main,) = (entry for entry in found["metrics"] if entry["metric"] == found["metric"])
    told = f"{found['metric']}: {main['verdict']}"
    if main["gain"]:
        told += f", the gain of {b} over {a} is {_gain(main['gain'])} on {found['rows']['common']:,} common test rows"
    if found["a"]["version"] == found["b"]["version"]:
        return f"Both are {a}: there is nothing to gain. {told}."
    if found["same_model"]:
        return f"{a} and {b} are the same model, byte for byte: there is nothing to gain. {told}."
    return f"{told}.{_but(found, main['verdict'])}"


def _but(found: State, verdict: str) -> str:
    """Where it is worse, though the whole is not: the gate looks at the whole, and at promote.slices."""
    worse = [entry for kind in ("slices", "classes") for entry in found[kind] if entry["verdict"] == "worse"]
    if verdict == "worse" or not worse:
        return ""
    named = ", ".join(f"{entry['name']} ({_gain(entry['gain'])})" for entry in worse[:MOST_PARTS])
    more = f" and {len(worse) - MOST_PARTS} more" if len(worse) > MOST_PARTS else ""
    return (
        f" But it is worse where {named}{more}: the gate looks at the whole and at `promote: slices:`, so name "
        "there what must not become worse."
    )


def tables(found: State) -> list[Table]:
    """In the order in which they are read; those that would be empty are left out."""
    first = [_metrics(found), _recorded(found), *_parts(found), _parameters(found)]
    every = [*first, _made_of(found), _privacy(found), _cost(found)]
    return [table for table in every if table.rows or table.note]


def _names(found: State) -> tuple[str, str]:
    """Such as "version 1 (champion)"."""
    one, other = (
        f"version {found[key]['version']}" + (" (champion)" if found[key]["champion"] else "") for key in "ab"
    )
    return one, other


def _columns(found: State) -> tuple[str, str]:
    """The heads of the two columns, which must differ."""
    a, b = _names(found)
    return (a, b) if a != b else (f"{a}, a", f"{b}, b")


def _metrics(found: State) -> Table:
    a, b = _columns(found)
    rows = [
        {
            "metric": entry["metric"],
            a: _with_interval(entry["a"]),
            b: _with_interval(entry["b"]),
            "gain": _gain(entry["gain"]),
            "verdict": entry["verdict"],
        }
        for entry in found["metrics"]
    ]
    counts = found["rows"]
    tailed = [row["metric"] for row in rows if METRICS[row["metric"]].unbounded]
    seen = f", of {' and '.join(tailed)} only for errors of kinds that these rows show" if tailed else ""
    note = (
        f"In brackets: intervals of {found['confidence']:.0%}{seen}. Gain: how much better {b} is, on each row "
        f"against {a} (of an error: how much smaller). Noise: the interval of the gain holds 0. The versions were "
        f"tested on {counts['a']:,} and {many(counts['b'], 'row')}; those that either was trained or tuned on are left "
        "out."
    )
    return Table(f"Metrics on the {counts['common']:,} common test rows, computed now", rows, note=note)


def _recorded(found: State) -> Table:
    a, b = _columns(found)
    rows, grey = [], set()
    for number, entry in enumerate(found["recorded"]):
        rows.append({"metric": entry["metric"], a: _remembered(entry["a"]), b: _remembered(entry["b"])})
        if entry["a"]["marks"] or entry["b"]["marks"]:
            grey.add(number)
    note = "Numbers that are marked are not compared." if grey else ""
    return Table("Recorded by each version, on its own test rows", rows, frozenset(grey), note)


def _parts(found: State) -> list[Table]:
    """Slices and classes."""
    missing = f"Not available: {found['slices_missing']}." if found["slices_missing"] else ""
    named = [("Slices of promote.slices", found["slices"], missing), ("Rows of each class", found["classes"], "")]
    result = []
    for name, entries, note in named:
        if len(entries) > 1:
            chance = len(entries) * (1 - found["confidence"])
            note = f"Of {len(entries)} true gains about {chance:.1g} lie outside of their interval, by chance."
        metric = f": {entries[0]['metric']}" if entries else ""
        result.append(Table(f"{name}{metric}", [_part(found, entry) for entry in entries], note=note))
    return result


def _part(found: State, entry: State) -> dict[str, str]:
    a, b = _columns(found)
    return {
        "rows where": entry["name"],
        "rows": f"{entry['rows']:,}",
        a: _number(entry["a"]),
        b: _number(entry["b"]),
        "gain": _gain(entry["gain"]),
        "verdict": entry["verdict"],
    }


def _parameters(found: State) -> Table:
    a, b = _columns(found)
    rows = [{"parameter": name, a: _text(pair[0]), b: _text(pair[1])} for name, pair in found["parameters"].items()]
    return Table("Parameters that differ", rows, note="" if rows else "None.")


def _made_of(found: State) -> Table:
    a, b = _columns(found)
    data, same, rows = found["data"], [], []
    pairs = {"data (hash)": data["data_hash"], "test rows (hash)": data["test_hash"]}
    for name, split in data["splits"].items():
        pairs[f"{name} split"] = [
            f"{many(count, 'row')}, {_short(digest)}" if count is not None else None
            for count, digest in zip(split["rows"], split["hash"], strict=True)
        ]
    pairs |= {"git commit": found["commits"]["commit"], "commit of the tree": found["commits"]["tree"]}
    for name, pair in pairs.items():
        if pair[0] == pair[1]:
            same.append(name)
        else:
            rows.append({"what": name, a: _short(pair[0]), b: _short(pair[1])})
    notes = [f"The same in both: {', '.join(same)}."] if same else []
    if found["made"] is None:
        notes.append("Code, machine and packages were not recorded with both.")
    else:
        notes += [f"{kind.capitalize()}: {'; '.join(words)}." for kind, words in found["made"].items()]
        notes += ["Code, machine and packages are the same."] if not found["made"] else []
    return Table("What they were made of", rows, note=" ".join(notes))


def _privacy(found: State) -> Table:
    """By the gate's test of membership, which no comparison repeats."""
    a, b = _columns(found)
    given = [found["membership"][key] for key in "ab"]
    if given == [None, None]:
        return Table("What they give away of their training rows")
    told = [[_given(one, part) for one in given] for part in ("advantage", "auc", "rows")]
    heads = ("guessed more often than other rows, points", "ROC AUC of the guess (0.5: nothing)", "rows of each kind")
    rows = [{"what": head, a: pair[0], b: pair[1]} for head, pair in zip(heads, told, strict=True)]
    note = "Somebody who has a row guesses by its loss whether the model was trained on it: a lower bound."
    return Table("What they give away of their training rows", rows, note=note)


def _given(one: State | None, part: str) -> str:
    if one is None:
        return "none"
    if part == "rows":
        return f"{one['rows']:,}"
    if part == "auc":
        return f"{one['auc']:.3f}"
    return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * one[name] for name in ("advantage", "low", "high")))


def _cost(found: State) -> Table:
    a, b = _columns(found)
    cost = found["cost"]
    kinds = {"megabytes": "size, MB", "single_ms": "one row, ms"}
    kinds |= {"batch_ms": f"{cost['batch_rows']:,} rows at once, ms"} if "batch_rows" in cost else {}
    kinds |= {"training_seconds": "its epochs, s", "watt_hours": "its stages, Wh"}
    rows = [
        {"what": name, a: _size(cost[key]["a"]), b: _size(cost[key]["b"]), "ratio": _size(cost[key]["ratio"], ".2f")}
        for key, name in kinds.items()
        if key in cost and cost[key] != {"a": None, "b": None, "ratio": None}
    ]
    note = (
        f"Not timed: {cost['failure']}" if cost["failure"] else "Times: medians, the two taking turns, on this machine."
    )
    return Table("Size and time", rows, note=note)


def _with_interval(estimate: State) -> str:
    if estimate["low"] is None:
        return _number(estimate["value"])
    return f"{_number(estimate['value'])} [{_number(estimate['low'])}, {_number(estimate['high'])}]"


def _gain(gain: State | None) -> str:
    if gain is None:
        return "none"
    value, low, high = (f"{round(gain[key], 9):+.4g}" for key in ("value", "low", "high"))  # no +1.11e-16
    return f"{value} [{low}, {high}]"


def _remembered(entry: State) -> str:
    marks = f" ({', '.join(entry['marks'])})" if entry["marks"] else ""
    return f"{_number(entry['value'])}{marks}"


def _size(value: float | None, form: str = ".3g") -> str:
    return "none" if value is None else format(value, form)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _text(value: str | None) -> str:
    return "none" if value is None else value


def _short(value: str | None) -> str:
    """A hash by its beginning, other text as it is."""
    if value is None:
        return "none"
    return value[:12] if len(value) in (40, 64) and value.isalnum() else value
