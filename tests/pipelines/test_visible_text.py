"""What comes from outside is seen as it is, and obeyed by nobody: terminal, Markdown, HTML, Prefect, MLflow."""

import json
import re
import warnings

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from flows.cli import terminal
from flows.cli.answer import answer as answer_command
from flows.cli.commands.inspect import plan_text
from flows.cli.commands.new import new_text
from flows.compare import render
from flows.report import failure_page, plots, progress
from flows.run import notify
from pipelines import visible_text
from pipelines.errors import DataError, StageError
from pipelines.safety import markdown

NASTY = "a\nFAKE  champion promoted\x1b[31m\x07\r\u202egnp.exe\u200b\u2028b\x00\x9b2J\ud800"
SEEN = r"a\nFAKE  champion promoted\x1b[31m\x07\r\u202egnp.exe\u200b\u2028b\x00\x9b2J\ud800"
LIVE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[here](https://evil.example)",
    "![here](https://evil.example/x.png)",
    "https://evil.example/path",
    "www.evil.example",
    "<https://evil.example>",
    "[a]: https://evil.example",
    "# heading",
    "- item",
    "1. item",
    "| a | b |\n|---|---|\n| c | d |",
    "`code`",
    "*bold* _too_ ~~gone~~",
    "```\nfence",
    "&lt;b&gt;",
    "=====",
    "\\[x](y)",
)


def test_what_cannot_be_seen_is_written_out_and_once():
    assert visible_text.line(NASTY) == SEEN
    assert visible_text.line(SEEN) == SEEN
    assert visible_text.line("Größe in m², 東京 🙂 1\u202f000") == "Größe in m², 東京 🙂 1\u202f000"
    assert visible_text.lines("a\nb\x1b") == "a\nb\\x1b"
    found = visible_text.every({"k\n": ["\t", 1, None, ("\x1b", True)], "yaml": "a:\n  b\n"}, ("yaml",))
    assert found == {r"k\n": [r"\t", 1, None, [r"\x1b", True]], "yaml": "a:\n  b\n"}


def test_an_error_is_one_paragraph_whatever_is_called_so():
    error = DataError(f"{NASTY} cannot be read.", f"Correct {NASTY}.")
    assert str(error) == f"{SEEN} cannot be read. Correct {SEEN}."
    assert str(StageError("ingest", str(error))) == str(error)


def test_a_note_of_a_stage_is_one_line(capsys, tmp_path):
    visible_text.note(f"{NASTY}\nnote: device: another")
    (log := tmp_path / "log").write_text(capsys.readouterr().out)
    assert len(log.read_text().splitlines()) == 1
    assert progress.device(log) == {}


def output(draw) -> str:
    console = Console(width=100, force_terminal=True, color_system=None)
    with console.capture() as capture:
        draw(progress.Shown(console), console)
    return capture.get()


@pytest.mark.parametrize(
    "draw",
    [
        lambda seen, console: seen.notice(NASTY),
        lambda seen, console: (seen.detail(NASTY), seen.end("ingest", "Ran", 1.0, NASTY)),
        lambda seen, console: (seen.detail(NASTY), console.print(progress._Line(seen))),
        lambda seen, console: (seen.detail("[link=https://evil.example]x[/link]"), console.print(progress._Line(seen))),
    ],
    ids=["notice", "end", "moving", "markup"],
)
def test_progress_obeys_nothing(draw):
    found = output(draw)
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(found)
    assert r"\x1b" in found or "[link=https://evil.example]x[/link]" in found


DECIDED = {  # as `ratchet new` decides about a file whose names and words are hostile
    "problem": {"kind": "table", "task": "classification", "target": NASTY, "why": NASTY},
    "rows": {"looked_at": 1, "more": False},
    "split": {"by": "time", "column": NASTY, "why": NASTY},
    "duplicates": None,
    "metric": {"metric": "accuracy", "direction": "at_least", "floor": 0.5, "margin": 0.1, "why": NASTY},
    "columns": [{"name": NASTY, "role": role, "why": NASTY} for role in ("number", "left out")],
    "look": [NASTY],
}


def test_an_answer_in_a_terminal(capsys):
    """By way of the command's own last step."""
    rows = [{"model": NASTY, "decision": ":x: [bold]", "reason": NASTY, "version": 1, "champion": None}]
    for answer, words in (
        ({"yaml": "a: 1\nb: \x1b\n", "written": False, "decided": DECIDED}, new_text),
        ({"path": "p", "written": True, "commit": "", "model": "m", "decided": DECIDED}, new_text),
        ({"model": "m", "source": NASTY, "stages": [], "power": None, "live": ""}, plan_text),
        (
            {"rows": rows},
            lambda found: terminal.table([{"a": row["model"], "b": row["decision"]} for row in found["rows"]]),
        ),
    ):
        answer_command(lambda project, answer=answer: answer, words, False, False)
        found = capsys.readouterr().out
        assert not {"\x1b", "\u202e", "\x9b"} & set(found)
        assert "FAKE" not in [line.strip()[:4] for line in found.splitlines()]
    assert ":x: [bold]" in found


def test_an_error_in_a_terminal(capsys, world):
    from typer import Exit

    def fails(project):
        raise OSError(NASTY)

    with pytest.raises(Exit):
        answer_command(fails, str, True, False)
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert SEEN in said.err
    assert SEEN in json.loads(said.out)["error"]


@pytest.fixture(scope="module")
def pages() -> MarkdownIt:
    """As strict as Markdown is, and with tables; links in plain text are looked for by their pattern."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


BARE = re.compile(r"(https?|ftp)://|www\.", re.IGNORECASE)


@pytest.mark.parametrize("text", [*LIVE, NASTY.replace("\ud800", "")])
@pytest.mark.parametrize("write", [markdown.plain, markdown.told], ids=["plain", "told"])
def test_markdown_makes_nothing_of_a_text(text, write, pages):
    written = write(text)
    html = pages.render(written)
    inside = (
        re.sub(r"</?(p|code)>", "", html) if write is markdown.told else html.removeprefix("<p>").removesuffix("</p>\n")
    )
    assert not re.search(r"<(?!/?p>|/?code>)", html), html
    assert "\n" not in written
    assert not BARE.search(written)
    if write is markdown.plain:
        import html as entities

        assert entities.unescape(inside) == visible_text.line(text)


@pytest.mark.parametrize("text", [*LIVE, "``", "`", "a`b``c", ""])
def test_code_is_that_text(text, pages):
    import html as entities

    found = pages.render(f"x {markdown.code(text or ' ')} y")
    assert found.startswith("<p>x <code>")
    assert entities.unescape(found.removeprefix("<p>x <code>").removesuffix("</code> y</p>\n")) == visible_text.line(
        text or " "
    )


@pytest.mark.parametrize("text", [*LIVE, "a|b", "a\\|b", "a\n| forged | row |", NASTY.replace("\ud800", "")])
def test_a_cell_stays_in_its_column(text, pages):
    import html as entities

    found = pages.render(markdown.table([{"name": text, text: "x"}, {"name": "y"}]))
    assert found.count("<tr>") == 3
    cells = re.findall(r"<t[hd]>(.*?)</t[hd]>", found)
    assert [entities.unescape(cell) for cell in cells] == [
        "name",
        visible_text.line(text),
        visible_text.line(text),
        "x",
        "y",
        "",
    ]


def test_the_page_of_a_comparison_and_html(pages):
    table = render.Table("Slices: <b>", [{"rows where": text, "rows": "1"} for text in LIVE])
    found = pages.render(markdown.table(table.rows))
    assert not re.search(r"<(?!/?(table|thead|tbody|tr|th|td)>)", found)
    html = failure_page.as_html(NASTY.replace("\ud800", "") + "</title><script>", markdown.plain("<script>x</script>"))
    assert "<script" not in html
    assert not {"\x1b", "\u202e", "\x9b"} & set(html)


def test_a_picture_says_nothing_about_letters_that_a_font_lacks():
    name = f"{NASTY} $\\frac$ 東京 😀"
    column = {"kind": "word", "missing": 0, "known": 3, "distinct": 2, "words": {name: 2, "$x$ $": 1}, "quantiles": []}
    profile = {"rows": 3, "columns": {name: column}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plots.png(None, profile, name, []).startswith(b"\x89PNG")


def test_a_confusion_matrix_of_odd_classes_is_drawn(tmp_path):
    import pandas as pd

    from pipelines import evaluate
    from pipelines.config.data import Data

    words = ["$5 to $10", "$\\frac$", NASTY.replace("\ud800", ""), "東京 😀"]
    frame = pd.DataFrame({"actual": words, "prediction": words[::-1]})
    data = Data(kind="table", task="classification", target="$\\frac$", columns={"a": "number"})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        evaluate.draw(frame, data, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size


def test_a_hook_gets_what_can_be_shown(monkeypatch, world, tmp_path):
    sent = []
    monkeypatch.setattr(notify, "emit_event", lambda *_, **about: sent.append(about["payload"]))
    monkeypatch.setenv("RATCHET_HOOK", f"/usr/bin/tee {tmp_path / 'told'}")
    from flows.project.environment import Project

    project = Project(world.root, world.root / ".ratchet", "", "")
    notify.tell(project, {"model": "pets", "outcome": "failed", "reason": NASTY}, lambda text: None)
    assert sent[0]["reason"] == json.loads((tmp_path / "told").read_text())["reason"] == SEEN


def test_numbers_stay_numbers():
    assert visible_text.every({"a": np.float64(1.5), "b": 2})["a"] == 1.5
