"""The page of a run whose data broke a rule: which, since when, beside the last good version, and what to do about it.

data/<model>/failed/page.md and page.html say the same; the pictures lie beside them, and inside of the HTML.
"""

import base64
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.data import last_good
from flows.project.environment import Project
from flows.records import attempts, outputs
from flows.report import broken_since, findings, pages, plots
from flows.report.findings import Finding
from pipelines import visible_text
from pipelines.model_file import Declaration
from pipelines.readers import sources
from pipelines.table import expectations, profile, row_groups
from pipelines.table.profile import Profile

MOST_PLOTS = 8
MOST_EXAMPLES = 10  # rows of a finding
MOST_COLUMNS = 8  # of an example, beside those that the rule is about


@dataclass(frozen=True)
class Page:
    """markdown: with its pictures inside; title: one line; broken: titles of the findings."""

    title: str
    markdown: str
    broken: list[str]
    warnings: list[str]
    files: list[Path]


def clear(folder: Path) -> None:
    """Take the page and the reports of an earlier run away, before the stages of the next one. folder: data/<model>/"""
    shutil.rmtree(folder / "failed", ignore_errors=True)


def write(project: Project, declared: Declaration, data: str, refusal: str = "") -> Page | None:
    """Write the page of this run; None if nothing is to be said.

    data: the version that was looked at (the tag `ratchet.pin`); refusal: what a stage said that refused it, or "".
    """
    model, folder = declared.model, project.data(declared.model)
    found = findings.of(folder, declared)
    if refusal and not any(one.level == "stop" for one in found):  # a stage that has no rules has refused
        found = [Finding("data", "stop", refusal.partition(".")[0], "A stage refused the data", refusal)]
    if not found:
        return None
    title = f"{model}: the data of pin {data[:8]} {'were refused' if refusal else 'were used, and break a rule'}"
    reference = profile.reference(sources.pin_path(model))
    before, lines = profile.without(reference, declared.data.sensitive), attempts.read(project, model)
    columns, pictures = _columns(found, before, findings.profile(folder))
    since = [broken_since.words(broken_since.since(lines, one.title, data)) for one in found]
    rows = [_rows(folder, declared, one) for one in found]
    text = embedded = pages.render(
        "failure.md.j2",
        title=title,
        rules=list(zip(found, since, rows, columns, strict=True)),
        counts=Counter(one.level for one in found),
        model=model,
        before=before,
        good=last_good.of(project, model),
        refusal=refusal,
    )
    target = folder / "failed"
    target.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (target / name).write_bytes(picture)
        inside = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        embedded = embedded.replace(f"]({name})", f"]({inside})")
    (target / "page.md").write_text(text, encoding="utf-8")
    (target / "page.html").write_text(as_html(title, embedded), encoding="utf-8")
    return Page(
        title=visible_text.line(title),
        markdown=embedded,
        broken=[one.title for one in found],
        warnings=[visible_text.line(one.title) for one in found if one.level == "warn"],
        files=outputs.page(folder),
    )


Beside = tuple[str, list[dict[str, str]], str]  # a column: its name, its table, the file of its picture or ""


def _columns(
    found: list[Finding], before: Profile | None, now: Profile | None
) -> tuple[list[list[Beside]], dict[str, bytes]]:
    """For each rule the columns that no rule above is about, beside the last good version; and the pictures by file."""
    shown, pictures = set[str](), dict[str, bytes]()
    every: list[list[Beside]] = [[] for _ in found]
    for one, columns in zip(found, every, strict=True):
        for name in one.columns:
            if now is None or name not in now["columns"] or name in shown:
                continue
            shown.add(name)
            bounds = one.bounds if len(one.columns) == 1 else []
            file = f"page-{len(pictures) + 1}.png"
            if len(pictures) < MOST_PLOTS and (picture := plots.png(before, now, name, bounds)):
                pictures[file] = picture
            columns.append((name, plots.table(before, now, name), file if file in pictures else ""))
    return every, pictures


def _rows(folder: Path, declared: Declaration, one: Finding) -> list[dict[str, str]]:
    """The whole rows of the examples, as far as they are shown."""
    data = declared.data
    ids = [example["row_id"] for example in one.examples[:MOST_EXAMPLES]]
    names = [name for name in one.columns if name in (*data.columns, data.target)]
    others = [name for name in (data.target, *data.columns) if name not in names]
    found = _raw(folder / "raw.parquet", ids, [*names, *others[:MOST_COLUMNS]]) if ids else {}
    rows = []
    for example in one.examples[:MOST_EXAMPLES]:
        row = {"row": example["row_id"][:8]}
        if not names:
            row["value"] = str(example["value"])
        for name, value in found.get(example["row_id"], {}).items():
            known = "missing" if value is None else _value(value)
            row[name] = expectations.HIDDEN if name in data.sensitive else known
        rows.append(row)
    return rows


def _raw(path: Path, ids: list[str], names: list[str]) -> dict[str, dict[str, Any]]:
    """Some raw rows by their row_id, {} if the table is not there."""
    found: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return found
    wanted = pa.array(ids)
    for batch in row_groups.batches(path, ["row_id", *names]):
        for row in batch.filter(pc.is_in(batch["row_id"], value_set=wanted)).to_pylist():
            found.setdefault(row.pop("row_id"), row)
        if len(found) == len(set(ids)):
            break
    return found


def _value(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def as_html(title: str, text: str) -> str:
    """The same as a page for a browser that needs nothing else."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("js-default", {"html": False, "linkify": False}).render(text)
    return pages.render("page.html.j2", title=title, body=body)
