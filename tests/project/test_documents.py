"""The documents say what is there: files, commands, links, settings, keys and tags."""

import ast
import json
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.main import get_command
from typer.testing import CliRunner

from flows.cli.app import app
from flows.project import environment
from pipelines import model_file
from pipelines.config import yaml_text
from pipelines.process import seal

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"])
README, CONTRIBUTING = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
REFERENCE = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/reference/*.md")}
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
BENCHMARKS = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def section(text: str, title: str) -> str:
    """What stands under a heading of level two. Fails if there is no such heading."""
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def fences(text: str, language: str) -> list[str]:
    return [textwrap.dedent(body) for _, found, body in FENCE.findall(text) if found == language]


def prose(path: Path) -> str:
    """A document without its blocks of code."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def codes(text: str) -> set[str]:
    """What stands between single backticks, a line end being a space."""
    return {" ".join(found.split()) for found in CODE.findall(FENCE.sub("", text))}


def slug(title: str) -> str:
    """The anchor that a heading gets on GitHub."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def subclasses(kind: type) -> list[type]:
    return [one for sub in kind.__subclasses__() for one in (sub, *subclasses(sub))]


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


# ------------------------------------------------------------------ where things are


def test_the_readme_lists_every_name_at_the_top():
    lines = fences(section(README, "Where things are"), "text")[0].splitlines()
    assert all(len(line.split()) > 1 for line in lines)  # each has a description
    listed = {line.split()[0].partition("/")[0] for line in lines}
    assert listed == {path.partition("/")[0] for path in tracked()}


def packages() -> dict[str, str]:
    """Folder of each package -> the first paragraph of its docstring."""
    found = {}
    for path in sorted([*ROOT.glob("flows/*/__init__.py"), *ROOT.glob("pipelines/*/__init__.py")]):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.parent.relative_to(ROOT).as_posix() + "/"] = " ".join(text.split("\n\n")[0].split())
    return found


def test_the_architecture_lists_every_package_with_its_question():
    rows = re.findall(r"^\| `((?:flows|pipelines)/\w+/)` \| (.+) \|$", ARCHITECTURE, re.MULTILINE)
    assert dict(rows) == packages()
    assert all("?" in question or ":" in question for question in packages().values())


def test_the_architecture_draws_the_layers_of_the_contracts():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [one["layers"] for one in contracts if "containers" in one]
    drawn = [
        [re.split(r"\s{2,}", line)[0] for line in picture.splitlines()] for picture in fences(ARCHITECTURE, "text")
    ]
    assert drawn == layers


def test_no_folder_has_more_than_a_dozen_files():
    stages = {f"{folder}{name}.py" for name in seal.stages() for folder in ("pipelines/", "tests/pipelines/test_")}
    folders = Counter(
        str(Path(path).parent)
        for path in tracked()
        if path.startswith(("flows/", "pipelines/", "tests/")) and path not in stages  # a stage is a file of its own
    )
    most = Counter({"pipelines": 14 - 12})  # a file for each stage, and what all of them use
    assert {folder: count for folder, count in folders.items() if count > 12 + most[folder]} == {}


def test_a_package_says_what_it_is_for_in_at_most_three_lines():
    for path in [*ROOT.glob("flows/**/__init__.py"), *ROOT.glob("pipelines/**/__init__.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert all(isinstance(node, ast.ImportFrom | ast.Assign) for node in tree.body[1:]), path
        assert len((ast.get_docstring(tree) or "").splitlines()) <= 3, path


# ------------------------------------------------------------------ links and paths


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    for target in LINK.findall(prose(document)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", prose(file), re.MULTILINE)
            assert anchor in {slug(title) for title in titles}, target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_that_is_named_exists(document):
    named = {
        code for code in codes(prose(document)) if re.fullmatch(r"(flows|pipelines|benchmarks|tests)/[\w/]+\.py", code)
    }
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


# ------------------------------------------------------------------ commands


def test_the_readme_lists_every_command():
    assert re.findall(r"^\| `ratchet ([\w-]+)", section(README, "Commands"), re.MULTILINE) == list(COMMANDS)


def test_the_formats_list_the_object_of_every_command():
    rows = re.findall(r"^\| `ratchet ([\w-]+)[^`]*`", section(REFERENCE["answers"], "Commands"), re.MULTILINE)
    assert rows == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    answer = CliRunner().invoke(app, [command, "--help"])
    assert answer.exit_code == 0
    assert COMMANDS[command].help.split("\n")[0] in " ".join(re.sub(r"[│\s]+", " ", answer.output).split())


def invocations() -> list[str]:
    """Every `ratchet ...` that a reader may type."""
    found = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        lines = [line.split("#")[0].strip() for body in fences(text, "sh") for line in body.splitlines()]
        found |= {text for text in [*codes(text), *lines] if text.startswith("ratchet ")}
    return sorted(found)


@pytest.mark.parametrize("text", invocations())
def test_every_command_line_in_the_documents_is_valid(text):
    arguments = shlex.split(re.sub(r"[\[\]]", "", text).replace("VERSION", "1"))[1:]
    if arguments in (["--help"], ["--version"]):
        return
    name, *rest = arguments
    command = COMMANDS[name]
    if rest:  # a bare name is how prose speaks of a command
        command.make_context(name, rest)  # raises for an option or argument that it does not take


@pytest.mark.parametrize("name", ["commands", "model-yaml"])
def test_a_reference_is_what_the_code_says(name, tmp_path):
    """`make docs` writes both pages."""
    page = tmp_path / "page.md"
    page.write_text(REFERENCE[name], encoding="utf-8")
    (line,) = re.findall(rf"^\t@\$\(BIN\)/python (.*docs/reference/{name}\.md)$", MAKEFILE, re.MULTILINE)
    arguments = [str(page) if part.startswith("docs/reference/") else part for part in shlex.split(line)]
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    assert page.read_text(encoding="utf-8").strip() == REFERENCE[name].strip()


def test_the_documents_name_the_targets_of_make():
    targets = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS if document.name != "CHANGELOG.md"]
    said = [part for text in texts for part in [*codes(text), *fences(text, "sh")]]
    assert set(re.findall(r"\bmake ([a-z-]+)", "\n".join(said))) == targets


def test_the_measured_table_has_the_rows_that_the_benchmark_prints():
    source = (ROOT / "benchmarks" / "overhead.py").read_text(encoding="utf-8")
    table = section(BENCHMARKS, "What it costs").partition("\n\n| ")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[1:]  # after the line below the head
    assert rows == re.findall(r'^        \("(.+)", .+\),$', source, re.MULTILINE)


# ------------------------------------------------------------------ settings


def test_the_variables_that_the_reference_lists_are_those_that_are_read():
    source = (ROOT / "flows" / "project" / "environment.py").read_text(encoding="utf-8")
    read = set(re.findall(r'environ\.get\(\s*"(RATCHET_\w+)"', source))
    assert set(re.findall(r"^\| `(RATCHET_\w+)`", REFERENCE["environment"], re.MULTILINE)) == read
    guides = [path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *ROOT.glob("docs/guides/*.md")]]
    assert set(re.findall(r"RATCHET_\w+", "\n".join(guides))) <= read


def test_the_switches_of_the_guide_are_those_that_are_set():
    lines = fences((ROOT / "docs" / "guides" / "security.md").read_text(encoding="utf-8"), "sh")[0].split()
    assert dict(line.split("=") for line in lines) == environment.QUIET


def examples() -> list[tuple[str, dict]]:
    """Every block of YAML that shows sections of a model: its document, and its content."""
    blocks = [(path, body) for path in DOCUMENTS for body in fences(path.read_text(encoding="utf-8"), "yaml")]
    found = [(path, yaml_text.plain(body)) for path, body in blocks if "\n---\n" not in body]
    return [(path.name, content) for path, content in found if set(content) <= {"format", *model_file.SECTIONS}]


@pytest.mark.parametrize(("name", "content"), examples())
def test_an_example_in_the_documents_is_a_valid_model(name, content):
    """One that shows some keys is laid over the whole YAML of the README."""
    whole = yaml_text.plain(fences(README, "yaml")[0])
    changed = {key: {**whole.get(key, {}), **value} for key, value in content.items() if key != "format"}
    model_file.of("churn", {**whole, **changed})


def test_every_key_of_a_model_has_a_description():
    kinds = subclasses(model_file.Section)
    keys = [
        f"{kind.__name__}.{key}"
        for kind in kinds
        for key, field in kind.model_fields.items()
        if key in kind.__annotations__ and not field.description and key != "by"
    ]
    assert keys == []


# ------------------------------------------------------------------ files and tags


def test_the_formats_name_every_output_of_a_stage():
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage, declared in stages.items():
        entries = [entry for kind in ("outs", "metrics", "plots") for entry in declared["do"].get(kind, [])]
        for entry in entries:
            name = Path(entry if isinstance(entry, str) else next(iter(entry))).name
            (row,) = (
                line
                for line in section(REFERENCE["files"], "Files of a model").splitlines()
                if line.startswith("| `") and name in leading(line)
            )
            assert row.split("|")[2].strip() == stage


def leading(row: str) -> set[str]:
    """The file names in the first cell of a row."""
    return {code.rstrip("/") for code in codes(row.split("|")[1])}


def test_the_formats_name_every_tag_and_no_other():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "flows").rglob("*.py")]
    used = {tag for source in sources for tag in re.findall(r"\bratchet\.[a-z_]+", source)}
    assert set(re.findall(r"\bratchet\.[a-z_]+", "\n".join(REFERENCE.values()))) == used


@pytest.mark.parametrize("name", ["pin.json", "fingerprint.json"])
def test_committed_files_carry_a_format_and_the_keys_that_are_documented(name):
    (row,) = re.findall(rf"^\| `{name}` \|(.*)$", REFERENCE["files"], re.MULTILINE)
    found = [ROOT / path for path in tracked() if Path(path).name == name]
    for path in found:
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content["format"] == 1
        assert set(content) <= codes(row), path


def test_the_changelog_begins_with_the_version_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == project["version"]
