"""The whole of models/<model>.yaml, checked at once, before anything runs.

Each section is declared where it is used. This module puts them together and checks what spans sections.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from pipelines.clean import Clean
from pipelines.compress import Compress
from pipelines.config import settings, user_code
from pipelines.config.data import PIXELS, Data
from pipelines.config.rules import Rules
from pipelines.config.section import Section
from pipelines.config.stages import STAGES
from pipelines.config.words import nearest
from pipelines.errors import DataError, SettingsError
from pipelines.evaluate import Evaluate
from pipelines.explain import Explain
from pipelines.ingest import Ingest
from pipelines.model.metrics import METRICS
from pipelines.readers import sources
from pipelines.readers.private import Hide
from pipelines.safety import regular_files
from pipelines.sections import learning
from pipelines.sections.labels import Labels
from pipelines.sections.monitor import Monitor
from pipelines.sections.promote import Promote
from pipelines.sections.schedule import Schedule
from pipelines.sections.serve import Serve
from pipelines.table.splits import HashSplit
from pipelines.train import Train

OPTIONAL = ("explain", "compress", "serve", "labels", "monitor")  # sections that a YAML of an older Ratchet lacks

SECTIONS: dict[str, type[Section]] = {
    "data": Data,
    **{name: stage.section for name, stage in STAGES.items() if stage.section},
    "promote": Promote,
    "schedule": Schedule,
    "serve": Serve,
    "labels": Labels,
    "monitor": Monitor,
}


@dataclass(frozen=True)
class Declaration:
    """A model's YAML, checked. `raw` is the file as it was read."""

    model: str
    raw: dict[str, Any]
    sections: dict[str, Section]

    @property
    def data(self) -> Data:
        return cast(Data, self.sections["data"])

    @property
    def ingest(self) -> Ingest:
        return cast(Ingest, self.sections["ingest"])

    @property
    def train(self) -> Train:
        return cast(Train, self.sections["train"])

    @property
    def evaluate(self) -> Evaluate:
        return cast(Evaluate, self.sections["evaluate"])

    @property
    def compress(self) -> Compress:
        return cast(Compress, self.sections["compress"])

    @property
    def promote(self) -> Promote:
        return cast(Promote, self.sections["promote"])

    @property
    def schedule(self) -> Schedule:
        return cast(Schedule, self.sections["schedule"])

    @property
    def serve(self) -> Serve:
        return cast(Serve, self.sections["serve"])

    @property
    def labels(self) -> Labels:
        return cast(Labels, self.sections["labels"])

    @property
    def monitor(self) -> Monitor:
        return cast(Monitor, self.sections["monitor"])


def check(model: str) -> Declaration:
    """The declaration of a model. Raises RequestError if there is none, SettingsError for the first section
    that is wrong."""
    declaration = of(model, settings.read(model))
    path = settings.FOLDER / f"{model}.py"
    if not os.path.lexists(path):
        raise SettingsError(
            f"{path} is missing: every model has one, if only a docstring.",
            f"Restore it, or create it with a docstring: git checkout -- {path}",
        )
    try:
        regular_files.check(path, [Path.cwd()])
    except DataError as error:
        raise SettingsError(error.what, error.do) from error
    return declaration


def of(model: str, raw: dict[str, Any]) -> Declaration:
    """The declaration in the content of a model's YAML. Raises SettingsError."""
    path = settings.FOLDER / f"{model}.yaml"
    for key in raw:
        if key not in (*SECTIONS, "format"):
            raise SettingsError(
                f"{path}: {key}: unknown section{nearest(str(key), list(SECTIONS))}.",
                "Correct the file and run again.",
            )
    given = {name: {} for name in OPTIONAL} | raw
    sections = {name: settings.parse(model, name, given.get(name), kind) for name, kind in SECTIONS.items()}
    declaration = Declaration(model, raw, sections)
    for key, problem in _contradictions(declaration):
        raise SettingsError(f"{path}: {key}: {problem}.", "Correct the file and run again.")
    return declaration


def _contradictions(found: Declaration) -> list[tuple[str, str]]:
    """Problems between sections: (key, problem)."""
    return [
        *_of_source(found),
        *_of_columns(found),
        *_of_dates(found),
        *_of_private(found),
        *_of_network(found),
        *_of_compression(found),
        *_of_metrics(found),
        *_of_slices(found),
        *_of_labels(found),
        *_of_callers(found),
        *_of_explanations(found),
    ]


def _of_source(found: Declaration) -> list[tuple[str, str]]:
    source, project = found.ingest.source, Path.cwd().resolve()
    if not source.isprintable() or source.startswith("~"):
        return [("ingest.source", f"{source!r} is not a path: write the full path, in visible letters and without ~")]
    name = source.removeprefix("builtin:")
    if name != source:
        known = list(sources.BUILTIN)
        return [] if name in known else [("ingest.source", f"no built-in set {name!r}{nearest(name, known)}")]
    if sources.followed(source):
        return [("ingest.source", problem)] if (problem := _of_address(source, found.data.kind)) else []
    if not Path(source).resolve().is_relative_to(project):
        hint = f"write its whole path, or copy it into data/incoming/{found.model}/"
        return [("ingest.source", f"{source!r} lies outside the project; {hint}")]
    return []


def _of_address(source: str, kind: str) -> str:
    """What is wrong with a path or URL to follow, or ""."""
    address = urlsplit(source)
    if address.scheme not in ("", "https", "s3") and address.hostname not in ("127.0.0.1", "localhost"):
        return f"{address.scheme}:// is not followed: write https://, s3://, or the whole path of a file or folder"
    if address.password or address.username:
        return "a login does not belong in a file: give it to DVC or to the environment (docs/guides/sources.md)"
    if address.scheme.startswith("http") and address.path.endswith("/") and kind != "image":  # MNIST's four files
        return f"{source!r} is a folder, which the web cannot list: name one file"
    return ""


def _of_columns(found: Declaration) -> list[tuple[str, str]]:
    data, split = found.data, cast(Clean, found.sections["clean"]).split
    every = [*data.columns, *(["image"] if data.kind == "image" else []), data.target]
    needed = split.key if isinstance(split, HashSplit) else [split.column]
    problems = [
        ("clean.split", f"there is no column {name!r}{nearest(name, every)}") for name in needed if name not in every
    ]
    seen = [*data.columns, data.target, "row_id", *(PIXELS if data.kind == "image" else [])]
    windowed = {*data.past_numbers, *data.past_categories} if data.kind == "sequence" else set()
    for section in ("validate", "check"):
        seen = seen if section == "validate" else [name for name in seen if name not in windowed]
        for index, rule in enumerate(cast(Rules, found.sections[section]).rules):
            problems += [
                (f"{section}.rules.{index}", f"there is no column {column!r}{nearest(str(column), seen)}")
                for column in rule.columns
                if column not in seen and not str(column).startswith(user_code.OWN)
            ]
    return problems


def _of_dates(found: Declaration) -> list[tuple[str, str]]:
    data, config = found.data, found.ingest
    problems = []
    for key, names in (("dates", config.dates), ("instants", config.instants)):
        problems += [
            (f"ingest.{key}", f"{name!r} is not a column of role date{nearest(name, data.dates)}")
            for name in names
            if name not in data.dates
        ]
    if config.instants and config.timezone is None:
        problems.append(("ingest.timezone", "declare the time zone of the `instants`, such as UTC"))
    if data.kind == "sequence":
        split = cast(Clean, found.sections["clean"]).split
        if split.by != "time" or split.column != data.time:
            why = "windows of neighbouring rows overlap, so any other split would train on test rows"
            problems.append(("clean.split", f"a sequence must be split `by: time`, by its column {data.time!r}: {why}"))
    return problems


def _of_private(found: Declaration) -> list[tuple[str, str]]:
    data, config = found.data, found.ingest
    if config.private and config.reader == 1:
        return [("ingest.private", "it needs reader 2: `ratchet upgrade-reader` says what that changes")]
    parts = {part for parts in config.instants.values() for part in parts}
    problems = []
    for name, how in config.private.items():
        where, role = f"ingest.private.{name}", data.columns.get(name, "")
        if how == "drop":
            if name in {data.target, *data.columns, *config.ignore, *parts}:
                problems.append((where, f"{name!r} is dropped, so it cannot be one of the columns that are read"))
        elif not role:
            problems.append((where, f"there is no column {name!r}{nearest(name, list(data.columns))}"))
        elif name in parts:
            problems.append((where, f"{name!r} is a part of a date: hide that date"))
        elif isinstance(how, Hide) and how.bin is not None:
            wanted = "date" if isinstance(how.bin, str) else "number"
            if role != wanted or name == data.time:
                problems.append((where, f"such a bin needs a column of role {wanted} that is not the `time`"))
        elif role not in ("category", "carried"):
            problems.append((where, f"only a category or a carried column can be so, and {name!r} is a {role}"))
    return problems


def _of_network(found: Declaration) -> list[tuple[str, str]]:
    train, data = cast(Train, found.sections["train"]), found.data
    problems = []
    if data.kind == "table" and train.architecture.grid:
        problems.append(("train.network", f"{train.network!r} needs images or a sequence, but data.kind is 'table'"))
    elif why := train.architecture.problem(data):
        problems.append(("train.network", why))
    if data.kind != "image" and train.augment is not None:
        problems.append(("train.augment", f"only images can be augmented, but data.kind is {data.kind!r}"))
    if data.kind != "sequence" and train.predict is not None:
        problems.append(("train.predict", f"it belongs to a sequence, but data.kind is {data.kind!r}"))
    if data.kind != "table" and train.numbers != "scaled":
        problems.append(("train.numbers", f"only the numbers of a table have bins, but data.kind is {data.kind!r}"))
    if data.kind == "image" and train.min_count > 1:
        problems.append(("train.min_count", "an image has no categories"))
    if data.task == "regression":
        if train.loss == "cross_entropy":
            problems.append(("train.loss", "'cross_entropy' belongs to a classification"))
        if train.class_weights != "equal":
            problems.append(("train.class_weights", "a regression has no classes"))
    return problems


def _of_compression(found: Declaration) -> list[tuple[str, str]]:
    problem = found.compress.problem(found.train)
    return [(f"compress.{problem[0]}", problem[1])] if problem else []


def _of_metrics(found: Declaration) -> list[tuple[str, str]]:
    task, promote = found.data.task, found.promote
    fitting = [name for name, metric in METRICS.items() if metric.task == task]
    for name in found.evaluate.metrics:
        if name not in fitting:
            return [("evaluate.metrics", f"no metric {name!r} for a {task}{nearest(name, fitting)}")]
    if promote.metric not in found.evaluate.metrics:
        hint = nearest(promote.metric, found.evaluate.metrics)
        return [("promote.metric", f"{promote.metric!r} is not one of evaluate.metrics{hint}")]
    right, wrong = ("at_least", "at_most") if METRICS[promote.metric].greater_is_better else ("at_most", "at_least")
    if getattr(promote, wrong) is not None or getattr(promote, right) is None:
        return [(f"promote.{right}", f"write the floor of {promote.metric} as `{right}`")]
    return []


def _of_labels(found: Declaration) -> list[tuple[str, str]]:
    clean = cast(Clean, found.sections["clean"])
    known = [
        (f"clean.event.{place}", f"there is no column {name!r}{nearest(name, list(found.data.columns))}")
        for place, name in enumerate(clean.event)
        if name not in found.data.columns
    ]
    if clean.event and found.data.kind == "sequence":
        known = [("clean.event", "a sequence has series and times, and no events")]
    return known + learning.problems(found.labels, found.data, found.ingest, clean, found.serve)


def _of_callers(found: Declaration) -> list[tuple[str, str]]:
    """The key of a canary."""
    key, data = found.serve.canary.key if found.serve.canary else [], found.data
    for name in key:
        if name not in data.columns:
            hint = nearest(name, list(data.columns))
            return [
                ("serve.canary.key", f"there is no column {name!r}{hint}: declare it under data.columns as carried")
            ]
    if hidden := sorted(set(key) - set(found.serve.logged(data))):
        why = "is sensitive, so the log could not tell callers apart: write `sensitive: hash`"
        return [("serve.canary.key", f"{hidden[0]!r} {why}")]
    return []


def _of_explanations(found: Declaration) -> list[tuple[str, str]]:
    known = found.data.features
    fixed = cast(Explain, found.sections["explain"]).fixed
    return [
        ("explain.fixed", f"the model sees no column {name!r}{nearest(name, known)}")
        for name in fixed
        if name not in known
    ]


def _of_slices(found: Declaration) -> list[tuple[str, str]]:
    data, words = found.data, {*found.data.categories, *found.data.dates, *found.data.carried}
    if data.task == "classification" and data.label == "text":
        words.add(data.target)
    problems = []
    for name, part in found.promote.slices.items():
        lists = data.past_numbers + data.past_categories if data.kind == "sequence" else []
        where, known = (
            f"promote.slices.{name}",
            [column for column in (*data.columns, data.target) if column not in lists],
        )
        if part.column not in known:
            problems.append((where, f"there is no column {part.column!r}{nearest(part.column, known)}"))
        elif part.column in data.sensitive:
            problems.append((where, f"{part.column!r} is sensitive, so it cannot define a slice"))
        elif part.column in words and not part.values:
            problems.append((where, f"{part.column!r} holds text: choose its rows by `values`"))
    return problems
