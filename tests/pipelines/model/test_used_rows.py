"""A use of test rows is noted once for each model, wherever the stages run."""

import json

from pipelines.model import used_rows


def test_a_model_whose_metrics_can_be_read_is_noted_once(made, monkeypatch, tmp_path):
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("RATCHET_TESTED", str(tmp_path / "tested"))
    used_rows.note("pets")
    used_rows.note("pets")
    (line,) = (tmp_path / "tested" / "pets.jsonl").read_text().splitlines()
    content = json.loads(line)
    assert content["format"] == 1
    assert content["test_rows"]["rows"] == len(content["test_rows"]["ids"]) > 0
    assert (tmp_path / "tested").stat().st_mode & 0o077 == 0
