"""Stages: their order is that of `after`, and none imports another."""

import sys
from pathlib import Path

import pytest

from pipelines.config import stages
from pipelines.config.stage import Stage
from pipelines.process import seal


def test_each_runs_after_the_one_that_it_names():
    before: list[str] = [""]
    for name, one in stages.STAGES.items():
        assert one.after in before
        assert name == one.name
        before.append(name)
    assert stages.STAGES["export"].after == stages.STAGES["evaluate"].after == "train"


def test_what_a_run_does_after_its_decision_comes_last_and_no_stage_waits_for_it():
    later = [name for name, one in stages.STAGES.items() if one.after_gate]
    assert later == list(stages.STAGES)[-len(later) :] == ["export", "explain", "compress"]
    assert not set(later) & {one.after for one in stages.STAGES.values() if not one.after_gate}


@pytest.mark.parametrize("stage", stages.STAGES)
def test_no_stage_imports_another_or_what_puts_them_together(stage):
    imported = {path.stem for path in seal.modules(stage) if path.parent == seal.PACKAGE}
    assert imported & {*stages.STAGES, "model_file"} == {stage}
    assert Path(stages.__file__) not in seal.modules(stage)


@pytest.mark.parametrize(("after", "order"), [("b", ["a", "b", "c"]), ("", ["a", "c", "b"])])
def test_a_module_that_declares_one_is_one_more(after, order, tmp_path, monkeypatch):
    declared = {"a": Stage("a"), "b": Stage("b", after="a"), "c": Stage("c", after=after)}
    monkeypatch.setattr(seal, "PACKAGE", tmp_path)
    for name, one in declared.items():
        (tmp_path / f"{name}.py").write_text("\nSTAGE = here\n")
        monkeypatch.setitem(sys.modules, f"pipelines.{name}", type("module", (), {"STAGE": one}))
    assert list(stages.found()) == order


def test_one_that_comes_after_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(seal, "PACKAGE", tmp_path)
    (tmp_path / "x.py").write_text("\nSTAGE = here\n")
    monkeypatch.setitem(sys.modules, "pipelines.x", type("module", (), {"STAGE": Stage("x", after="y")}))
    with pytest.raises(ValueError, match="no stage for x to come after"):
        stages.found()
