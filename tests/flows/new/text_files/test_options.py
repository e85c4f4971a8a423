"""Before there is a YAML no message names a key of it: where a key would help it names the option."""

import pytest

from flows.new.text_files import options
from pipelines.errors import DataError, RatchetError, RequestError
from tests.flows.new.test_new_files import REFUSED, project, yaml  # noqa: F401 (a fixture)
from tests.pipelines.readers.formats.test_text import BAD


@pytest.mark.parametrize("case", [*BAD, *REFUSED])
def test_no_message_of_new_names_a_key(project, tmp_path, case):  # noqa: F811
    name, content = BAD[case][:2] if case in BAD else (case, REFUSED[case][0])
    with pytest.raises(RatchetError) as caught:
        yaml(project, tmp_path / name, content)
    assert "ingest:" not in str(caught.value)
    assert "YAML" not in str(caught.value).replace("The YAML of", "")


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ('The delimiter seems to be ";": write `ingest: delimiter: ";"`.', 'write `--delimiter ";"`.'),
        ("Write `ingest: encoding: utf-16` in the model's YAML, or save it.", "Write `--encoding utf-16`, or save it."),
        ("Correct it, or `ingest: decimal:` and `ingest: thousands:` in the model's YAML.", "`--decimal` and `--thou"),
        ("Declare the mark as missing under `ingest: missing:`.", "Declare the mark as missing with `--missing`."),
        ("Correct the file, or `ingest:` in the model's YAML.", "Correct the file."),
        ("Correct the source, or `dates`, `timezone` or `missing` under `ingest:` in the model's YAML.", "the source."),
    ],
)
@pytest.mark.parametrize("kind", [DataError, RequestError])
def test_keys_become_options(kind, do, said):
    with pytest.raises(kind) as caught, options.named():
        raise kind("It is wrong.", do)
    assert said in str(caught.value)
    assert "ingest" not in str(caught.value)


def test_another_error_stays_as_it_is():
    first = DataError("It is wrong.", "Send it again.")
    with pytest.raises(DataError) as caught, options.named():
        raise first
    assert caught.value is first
