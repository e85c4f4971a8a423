"""What a watch has found (`ratchet watch --json`), as people read it in a terminal and on a page."""

from typing import Any


def interval(found: dict[str, Any] | None) -> str:
    """A metric with its interval: "0.912 (0.897 to 0.927)"."""
    if not found or found["value"] is None:
        return "-"
    ends = [found["low"], found["high"]]
    shown = [("?" if end is None else f"{end:.3g}") for end in ends]
    return f"{found['value']:.3g}" + (f" ({shown[0]} to {shown[1]})" if ends != [None, None] else "")


def figures(found: dict[str, Any], narrow: bool = False) -> str:
    """What a column looks like, short: a median with its range (not if `narrow`), or the share of the word that changed
    most."""
    if found.get("median") is not None:
        around = "" if narrow else f" ({found['low']:.4g} to {found['high']:.4g})"
        return f"{found['median']:.4g}{around}"
    if found.get("shares"):
        word, part = next(iter(found["shares"].items()))
        return f"{word[:12]!r} {share(part)}"
    return f"missing {share(found['missing'])}" if "missing" in found else ""


def verdict(column: dict[str, Any]) -> str:
    """Of a column: missing, unknown, constant, unit, drifted, or ""."""
    return column["broken"] or ("drifted" if column["alarm"] else "")


def answers(found: dict[str, Any]) -> str:
    """ "550 rows a day; 730 on 2026-11-13"."""
    mean = f"{found['a_day']:,} rows a day" if found["a_day"] is not None else ""
    last = found["days"][-1] if found["days"] else None
    return "; ".join(filter(None, [mean, f"{last['rows']:,} on {last['day']}" if last else ""]))


def labels(found: dict[str, Any] | None) -> str:
    """How many, how late, and what was kept aside."""
    if found is None:
        return "none yet: `ratchet label` takes them"
    of = f"{found['answered']:,} answered row{'' if found['answered'] == 1 else 's'}"
    part = "no answered row" if found["share"] is None else f"{share(found['share'])} of {of}"
    delay = found["delay"]
    late = (
        f"half within {span(delay['median'])}, 9 of 10 within {span(delay['p90'])}" if delay["p90"] is not None else ""
    )
    counted = {"never served": found["never_served"], "corrected": found["corrected"], "asked for": found["asked"]}
    others = [f"{number:,} {name}" for name, number in counted.items() if number]
    aside = ", ".join(f"{number:,} {why}" for why, number in found["aside"].items())
    others += [f"kept aside: {aside}"] if aside else []
    return "; ".join(filter(None, [part, late, ", ".join(others), found["said"]]))


def drift(found: dict[str, Any] | None) -> str:
    """How many columns; a table has the rest."""
    if not found or not found["columns"]:
        return str(found["said"]) if found else "not known"
    alarms = len(found["alarms"])
    count = f"{alarms} of {len(found['columns'])}" if alarms else "none"
    told = f"{count} on {found['day']}, compared with {found['reference']}"
    others = [f"{name}: {why}" for name, why in found["unwatched"].items()]
    return "; ".join([told, *([f"not watched: {', '.join(others)}"] if others else [])])


def share(value: float) -> str:
    """ "41 %", "0.4 %"."""
    percent = 100 * value
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{percent:.0f} %"


def span(seconds: float) -> str:
    """A time in its unit: "36 h", "3.5 d"."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
