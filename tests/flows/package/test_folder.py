"""The folder of a package: it holds what it names, needs nothing else, and is the same each time."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.package import folder
from flows.package.folder import Version
from flows.serving.engine import loading
from pipelines.errors import RequestError
from tests.support.served import versions
from tests.support.world import ROOT

HEAVY = {"tensorflow", "keras", "mlflow", "prefect", "dvc", "pandas", "pyarrow", "great_expectations"}


def version(state: Path, model: str = "pets", **changes: str) -> Version:
    """One that is ready to be packaged."""
    made = versions.promote(state, model, 7, **changes)
    return Version(json.loads((state / "serving" / model / "live.json").read_text()), made)


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """Of the model `pets`, version 7."""
    target = tmp_path_factory.mktemp("package")
    folder.fill(target, ROOT, version(tmp_path_factory.mktemp("state")))
    return target


def text(package: Path, name: str) -> str:
    return (package / name).read_text(encoding="utf-8")


def test_the_manifest_has_the_hash_of_every_other_file(package):
    manifest = json.loads(text(package, "manifest.json"))
    there = {path.relative_to(package).as_posix(): path for path in package.rglob("*") if path.is_file()}
    del there["manifest.json"]
    assert manifest["files"] == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()}
    assert (manifest["model"], manifest["version"]) == ("pets", 7)


def test_it_needs_a_handful_of_packages_and_none_of_the_heavy_ones(package):
    names = set(re.findall(r"^([\w.-]+)==", text(package, "requirements.lock"), re.MULTILINE))
    assert {"onnxruntime", "numpy", "uvicorn", "httptools", "uvloop", "orjson", "prometheus-client"} <= names
    assert not names & HEAVY
    assert len(names) <= 30
    assert set(text(package, "requirements.lock").splitlines()) <= set(text(ROOT, "requirements.lock").splitlines())


def test_its_modules_import_no_module_that_is_not_there(package):
    """In a process that finds this project nowhere else."""
    names = [
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if path.parts[len(package.parts)] in ("flows", "pipelines") and path.name not in ("__main__.py", "__init__.py")
    ]
    code = f"import sys; sys.path.insert(0, {str(package)!r})\nfor name in {names}: __import__(name)\n"
    code += f"heavy = {HEAVY} & sys.modules.keys(); assert not heavy, heavy\n"
    code += "outside = [m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in ('flows', 'pipelines')\n"
    code += f"           and not m.__file__.startswith({str(package)!r})]; assert not outside, outside\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=package)
    assert done.returncode == 0, done.stderr


def test_two_packages_of_a_version_are_equal(package, tmp_path):
    (tmp_path / "again").mkdir()
    folder.fill(tmp_path / "again", ROOT, version(tmp_path / "state"))
    assert text(tmp_path / "again", "manifest.json") == text(package, "manifest.json")


def test_the_kubernetes_manifest_asks_for_what_the_server_answers(package):
    deployment, service = YAML(typ="safe").load_all(text(package, "kubernetes.yaml"))
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "ratchet-pets:7"
    probes = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert {one["name"] for one in pod["volumes"]} == {one["name"] for one in container["volumeMounts"]}
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert service["metadata"]["name"] in container["args"]  # the name by which callers address it


def test_the_image_is_made_of_the_lock_and_runs_without_rights(package):
    lines = text(package, "Dockerfile").splitlines()
    assert any("--require-hashes -r requirements.lock" in line for line in lines)
    assert lines.index("USER 10001:10001") < next(i for i, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
    assert "tokens.json" in text(package, ".dockerignore").splitlines()
    assert "$" not in text(package, "Dockerfile") + text(package, "kubernetes.yaml")


def test_the_readme_names_every_name_at_the_top(package):
    table = text(package, "README.md").split("## Files")[1]
    listed = {name.split("/")[0] for name in re.findall(r"`([^`]+)`", table)}
    assert {path.name for path in package.iterdir()} - {"README.md"} <= listed
    assert "version 7" in text(package, "README.md")


def test_the_log_is_off_and_the_rest_of_live_json_stays(package, tmp_path):
    before = version(tmp_path).live
    after = json.loads(text(package, "serving/pets/live.json"))
    assert after["serve"] == {"log": False}
    assert {**after, "serve": before["serve"]} == before


def test_the_distributions_of_its_training_rows_stay_behind_and_the_rest_is_what_its_hash_says(tmp_path):
    there = version(tmp_path / "state")
    told = json.loads((there.folder / "files.json").read_text())
    (there.folder / "reference.parquet").write_bytes(b"values of rows")
    told["files"]["reference.parquet"] = hashlib.sha256(b"values of rows").hexdigest()
    (there.folder / "files.json").write_text(json.dumps(told))
    folder.fill(tmp_path / "package", ROOT, there)
    live = json.loads(text(tmp_path / "package", "serving/pets/live.json"))
    place = tmp_path / "package" / "serving" / "pets" / live["folder"]
    loading.check(place, live["files_hash"])
    assert not (place / "reference.parquet").exists()


def test_a_version_without_an_onnx_file_is_refused_with_the_reason(tmp_path):
    made = version(tmp_path, runtime="keras", why="the layer Odd has no ONNX form")
    with pytest.raises(RequestError, match=r"Version 7 of pets has no ONNX file.*the layer Odd has no ONNX form\. "):
        folder.check_onnx(made)


def test_a_name_from_outside_is_no_markup_in_the_readme(tmp_path):
    made = version(tmp_path / "state")
    (tmp_path / "package").mkdir()
    columns = json.loads((made.folder / "columns.json").read_text())
    row = {"<img src=x>": "| `'; rm -rf ~ #"}
    (made.folder / "columns.json").write_text(json.dumps(columns | {"example": row}))
    folder.fill(tmp_path / "package", ROOT, made)
    assert "<img" not in text(tmp_path / "package", "README.md")
    assert json.loads(text(tmp_path / "package", "example.json")) == row
