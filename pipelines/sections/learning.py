"""What the section `labels` asks of the others: that the log has the columns of the key, and all that is learned."""

from pathlib import Path

from pipelines.clean import Clean
from pipelines.config import words
from pipelines.config.data import Data
from pipelines.ingest import Ingest
from pipelines.sections.labels import Labels
from pipelines.sections.serve import Serve
from pipelines.table.splits import HashSplit

ARRIVALS = Path("data") / "incoming"
OWN = ("id", "label", "happened", "known", "asked")  # columns of label files


def problems(found: Labels, data: Data, ingest: Ingest, clean: Clean, serve: Serve) -> list[tuple[str, str]]:
    """What is wrong between this section and others: (key, problem)."""
    wrong = [("labels.key", problem) for problem in _of_key(found, data)]
    return wrong or ([("labels.learn", problem) for problem in _of_learn(found, data, ingest, clean, serve)])


def _of_key(found: Labels, data: Data) -> list[str]:
    """An event is named by columns that the log of answers has."""
    by_id = "leave out `key`: then a label names the id of an answer"
    if found.key and data.kind == "sequence":
        return [f"a forecast has rows of its own, and no columns that name it: {by_id}"]
    unknown = [name for name in found.key if name not in data.columns]
    own, hidden = [[name for name in found.key if name in some] for some in (OWN, data.sensitive)]
    return [
        *(f"there is no column {name!r}{words.nearest(name, list(data.columns))}" for name in unknown),
        *(f"{name!r} is a word of label files: give the column another name" for name in own),
        *(f"{name!r} is sensitive, so the log of answers does not have it: {by_id}" for name in hidden),
    ]


def _of_learn(found: Labels, data: Data, ingest: Ingest, clean: Clean, serve: Serve) -> list[str]:
    """An answered row becomes a row of the source only if the log has all of it, and if each event counts once."""
    if not found.learn:
        return []
    source, key = Path(ingest.source), sorted(found.key)
    hidden = [name for name in data.shown if name in data.sensitive]
    names = ", ".join(found.key)
    checks = [
        (hidden, f"the model sees {', '.join(map(repr, hidden))}, which is sensitive, so the log does not have it"),
        (not serve.log, "with `serve: log: false` nothing is kept to learn from"),
        (
            serve.sample < 1,
            f"with `serve: sample: {serve.sample:g}` the log has only a share of the rows",
        ),
        (
            not source.is_relative_to(ARRIVALS) or source == ARRIVALS or source.suffix,
            f"learned rows arrive in a folder of {ARRIVALS}/, but the source is {ingest.source}",
        ),
        (ingest.names, "learned rows are Parquet files, which name their columns, so `ingest: names:` has no place"),
        (sorted(clean.event) != key, f"each event has to count once: write `clean: {{event: [{names}]}}`"),
        (
            isinstance(clean.split, HashSplit) and sorted(clean.split.key) != key,
            f"each event has to stay in its split: write `clean: {{split: {{key: [{names}]}}}}`",
        ),
    ]
    return [problem for wrong, problem in checks if wrong]
