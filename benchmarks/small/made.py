"""A clone with the models of small.py, and their exports. What is there already is not made again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from serving.project import Clone

EXPORTS = {
    "keras": [],
    "saved_model": [],
    "onnx": [],
    "onnx int8": ["--int8"],
    "litert": [],
    "litert int8": ["--int8"],
}
NEW = {"churn": ("telco-churn.csv", "Churn"), "pollution": ("pollution.csv", "pm2.5")}  # by `ratchet new`
MNIST = ("mnist", "mnist_cnn")
SIZES = ("filters", "recurrent", "hidden")  # keys of `train:` that a distilled network has a quarter of


class Project(Clone):
    """data: the folder of the files that models are made of."""

    def __init__(self, folder: Path, data: Path):
        super().__init__(folder)
        self.data = data

    def model(self, name: str) -> Path:
        """Train and register a model; returns the folder of its outputs."""
        found = self.root / "data" / name
        if name in NEW and not (self.root / "models" / f"{name}.yaml").exists():
            file, target = NEW[name]
            self.python("-m", "flows.cli", "new", name, "--data", str(self.data / file), "--target", target)
        if name in MNIST and not (self.root / "data" / "incoming" / "mnist").exists():
            shutil.copytree(self.data / "mnist", self.root / "data" / "incoming" / "mnist")
        if not (self.root / "made" / name).exists():
            ask_for_variants(self.root / "models" / f"{name}.yaml")
            self.python("-m", "flows.cli", "run", name)
            (self.root / "made").mkdir(exist_ok=True)
            (self.root / "made" / name).touch()
        return found

    def exports(self, name: str) -> dict[str, Path]:
        """The folders of the exports of a version; one that the format does not carry is told and left out."""
        found = {}
        for title, more in EXPORTS.items():
            place = self.root / "exports" / name / title.replace(" ", "-")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                done = self.asked("export", name, str(place), "--format", title.split()[0], "--version", "1", *more)
                if done:
                    print(f"{title}: {done}", flush=True)
                    continue
            found[title] = place
        return found

    def variants(self, name: str, whole: Path) -> dict[str, Path]:
        """Folders as those of exports, for what the stage `compress` has made. whole: the folder of the ONNX export."""
        compressed, found = self.root / "data" / name / "compressed", {}
        if not (compressed / "compressed.json").exists():
            return {}
        for variant, about in json.loads((compressed / "compressed.json").read_text())["variants"].items():
            if about["why"]:
                print(f"compress: {variant}: {about['why']}", flush=True)
                continue
            source, place = compressed / variant / "model.onnx", self.root / "exports" / name / f"variant-{variant}"
            if source.exists():
                shutil.copytree(whole, place, dirs_exist_ok=True)
                shutil.copyfile(source, place / "model.onnx")
                found[f"compress: {variant}"] = place
        return found

    def asked(self, *arguments: str) -> str:
        """Run a command of `ratchet`; returns why it failed, or ""."""
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", *arguments, "--json"],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        return "" if not done.returncode else str(_error(done.stdout, done.stderr))


def ask_for_variants(path: Path) -> None:
    """Ask for every variant in the YAML of a model, unless it says itself what it asks for."""
    text = path.read_text(encoding="utf-8")
    declared = YAML(typ="safe").load(text)
    if "compress" in declared:
        return
    sizes = {key: [max(1, size // 4) for size in declared["train"].get(key, [])] for key in SIZES}
    wanted = {"quantize": ["int8", "float16"], "prune": 0.5}
    if any(sizes.values()):
        wanted["distill"] = {key: value for key, value in sizes.items() if value}
    path.write_text(f"{text.rstrip()}\n\ncompress: {json.dumps(wanted)}\n", encoding="utf-8")


def _error(said: str, otherwise: str) -> Any:
    try:
        return json.loads(said)["error"]
    except ValueError:
        return otherwise[-500:]
