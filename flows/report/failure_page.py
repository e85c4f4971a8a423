"""The page of a run whose data broke a rule: which, since when, beside the last good version, and what to do about it.

data/<model>/failed/page.md and page.html say the same; the pictures lie beside them, and inside of the HTML.
"""

import base64
import html
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.data import last_good
from flows.project.environment import Project
from flows.records import attempts, outputs
from flows.report import broken_since, findings, plots
from flows.report.findings import Finding
from pipelines import visible_text
from pipelines.model_file import Declaration
from pipelines.readers import sources
from pipelines.safety import markdown
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
        found = [Finding("data", "stop", refusal.partition(".")[0], refusal, "refused")]
    if not found:
        return None
    title = f"{model}: the data of pin {data[:8]} {'were refused' if refusal else 'were used, and break a rule'}"
    writer = _Writer(project, declared, data, title, refusal)
    writer.parts.append(_summary(found))
    for one in found:
        writer.finding(one)
    writer.end()
    text = embedded = "\n\n".join(writer.parts) + "\n"
    target = folder / "failed"
    target.mkdir(parents=True, exist_ok=True)
    for name, picture in writer.pictures.items():
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


class _Writer:
    """Puts a page together, part by part."""

    def __init__(self, project: Project, declared: Declaration, data: str, title: str, refusal: str):
        self.declared, self.data, self.refusal = declared, data, refusal
        self.folder = project.data(declared.model)
        self.now: Profile | None = findings.profile(self.folder)
        reference = profile.reference(sources.pin_path(declared.model))
        self.before = profile.without(reference, declared.data.sensitive)
        self.good = last_good.of(project, declared.model)
        self.lines = attempts.read(project, declared.model)
        self.parts, self.pictures = [f"# {markdown.plain(title)}"], dict[str, bytes]()
        self._shown: set[str] = set()

    def finding(self, one: Finding) -> None:
        """One rule: what it asks, what was found, the column beside the last good version, what to write."""
        self.parts.append(f"## {markdown.plain(one.words if one.stage != 'data' else 'A stage refused the data')}")
        lines = [f"- {markdown.plain(one.found if one.stage != 'data' else one.words)}"]
        if one.stage != "data":
            lines.append(f"- {LEVELS[one.level]}, in `{one.stage}`: {markdown.code(one.declared or one.title)}")
        lines.append(f"- {markdown.plain(broken_since.words(broken_since.since(self.lines, one.title, self.data)))}")
        self.parts.append("\n".join(lines))
        if one.examples:
            rows = self._rows(one)
            self.parts += [f"Rows that break it, {len(rows)} of {one.found.split()[0]}:", markdown.table(rows)]
        for name in one.columns:
            self._column(name, one.bounds if len(one.columns) == 1 else [])
        if one.accept or one.aside:
            self._repair(one)

    def _column(self, name: str, bounds: list[float]) -> None:
        if self.now is None or name not in self.now["columns"] or name in self._shown:
            return
        self._shown.add(name)
        known = "none is known, these are the first data"
        if self.before:
            known = f"data {self.before['data_hash'][:8]}, pin {self.before['pin'][:8]}"
        about = f"The column {markdown.code(name)} beside the last good version ({known}):"
        self.parts += [about, markdown.table(plots.table(self.before, self.now, name))]
        if len(self.pictures) < MOST_PLOTS and (picture := plots.png(self.before, self.now, name, bounds)):
            file = f"page-{len(self.pictures) + 1}.png"
            self.pictures[file] = picture
            self.parts.append(f"![{markdown.plain(name)}: last good version and now]({file})")

    def _repair(self, one: Finding) -> None:
        section = f"{one.stage}: rules" if (one.aside or one.accept).startswith("- ") else one.stage
        self.parts.append(f"In `models/{self.declared.model}.yaml`, under `{section}:`, write")
        lines = ["# to accept these data", one.accept] if one.accept else []
        lines += ["# to set such rows aside", one.aside] if one.aside else []
        self.parts.append("```yaml\n" + "\n".join(map(visible_text.line, lines)) + "\n```")

    def end(self) -> None:
        """What can be done with the data as a whole."""
        if not self.refusal:
            return
        model = self.declared.model
        self.parts.append("## What can be done")
        lines = ["- Correct the data at their source; the next run takes what is there then."]
        if self.good is not None:
            lines.append(
                f"- Go back to the last good version, data {self.good.data_hash[:8]}: "
                f"`ratchet run {model} --data {self.good.data_hash[:12]}`"
            )
        lines.append(f"- After a change of `models/{model}.yaml`: `ratchet run {model}`")
        self.parts.append("\n".join(lines))

    def _rows(self, one: Finding) -> list[dict[str, str]]:
        """The whole rows of the examples, as far as they are shown."""
        data = self.declared.data
        ids = [example["row_id"] for example in one.examples[:MOST_EXAMPLES]]
        names = [name for name in one.columns if name in (*data.columns, data.target)]
        others = [name for name in (data.target, *data.columns) if name not in names]
        found = _raw(self.folder / "raw.parquet", ids, [*names, *others[:MOST_COLUMNS]])
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


def _summary(found: list[Finding]) -> str:
    counts = {level: sum(one.level == level for one in found) for level in LEVELS}
    told = [f"{count} {words[count > 1]}" for level, words in SUMMARY.items() if (count := counts[level])]
    return f"Of the rules that do not hold, {', '.join(told)}."


SUMMARY = {  # of one rule, of several
    "stop": ("stops the run", "stop the run"),
    "quarantine": ("sets rows aside", "set rows aside"),
    "warn": ("only warns", "only warn"),
}
LEVELS = {
    "stop": "It stops the run",
    "quarantine": "Its rows are set aside",
    "warn": "It only warns",
}


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
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>'
        f"{html.escape(visible_text.line(title))}</title>\n"
        f"<style>{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )


STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2733}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem;border-top:1px solid #d5dbe2;padding-top:1rem}"
    "table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto}"
    "th,td{padding:.25rem .7rem;border-bottom:1px solid #d5dbe2;text-align:left;white-space:nowrap}"
    "code,pre{background:#f2f4f7;border-radius:4px;font-size:.85rem}code{padding:.1rem .3rem}pre code{padding:0}"
    "pre{padding:.8rem;overflow-x:auto}img{max-width:100%}"
)
