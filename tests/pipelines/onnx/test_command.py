"""python -m pipelines.onnx: one paragraph and a status for whatever is wrong, without a traceback."""

from pipelines.onnx.__main__ import main


def test_wrong_arguments_are_a_wrong_request(capsys):
    assert main(["model"]) == 2
    assert capsys.readouterr().err == "error: Run it with: python -m pipelines.onnx MODEL_FOLDER ROWS_PARQUET OUT.\n"


def test_a_folder_that_is_no_model_is_refused(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path / "rows.parquet"), str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.endswith("manifest.json is missing. Fetch the model again.\n")
    assert not (tmp_path / "out").exists()
