"""Files of rows: wanted rows go, every other byte stays, and a file that cannot be read line by line is left alone."""

import csv
import gzip
import io
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.forget import source_rows, table_files, wanted
from flows.forget.source_rows import Held
from pipelines.errors import IntegrityError
from pipelines.readers import hash_key, sources
from tests.flows.forget.conftest import HEADER, arrive, declare, held_of

TEXTS = st.text(st.sampled_from('ab,"\n 7'), max_size=6).map(str.strip)


def take_out(world, declared, path, *keys, columns=()):
    who, held = held_of(world, declared, *keys, columns=columns)
    table_files.take_out(path, declared, table_files.in_source(path.parent, declared, who, held))


def test_other_lines_stay_byte_for_byte(world, declared):
    path = arrive(world, "a.csv", f'{HEADER}\r\nann,1,30,Oslo,yes\r\n" ann ",2,31,,no\r\nbob,01,3e1, x ,yes')
    take_out(world, declared, path, "ann")
    assert path.read_bytes() == f"{HEADER}\r\nbob,01,3e1, x ,yes".encode()


def test_a_row_of_several_lines_goes_as_a_whole(world, declared):
    path = arrive(world, "a.csv", f'{HEADER}\nann,1,30,"Os\nlo",yes\nbob,2,31,"a\nb",no\n')
    take_out(world, declared, path, "ann")
    assert path.read_text() == f'{HEADER}\nbob,2,31,"a\nb",no\n'


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["ann", "bob", " ann "]), TEXTS), min_size=1, max_size=12), st.booleans())
def test_any_table_keeps_exactly_the_other_rows(tmp_path_factory, rows, packed):
    folder, declared = tmp_path_factory.mktemp("any"), declare()
    lines = []
    for number, (person, city) in enumerate(rows):
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerow([person, number, 30, city, "yes"])
        lines.append((person.strip(), out.getvalue()))
    text = HEADER + "\n" + "".join(line for _, line in lines)
    path = folder / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    who = wanted.of(declared, ["ann"], [])
    table_files.take_out(path, declared, table_files.in_source(folder, declared, who, Held()))
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    assert content.decode() == HEADER + "\n" + "".join(line for person, line in lines if person != "ann")
    assert [one.name for one in folder.iterdir()] == [path.name]


def test_titles_comments_and_totals_stay(world):
    layout = {"skip": 1, "skip_end": 1, "comment": "#", "delimiter": ";"}
    declared = declare(ingest=layout)
    head = "People of 2026\n" + HEADER.replace(",", ";") + "\n# from here\n"
    path = arrive(world, "a.csv", head + "bob;1;30;x;yes\nann;2;31;y;no\ntotal;2\n")
    take_out(world, declared, path, "ann")
    assert path.read_text() == head + "bob;1;30;x;yes\ntotal;2\n"


def test_json_lines_and_parquet(world, declared):
    rows = [{"person": who, "number": 1.5, "age": 30.0, "city": "x", "bought": "yes"} for who in ("ann", "bob", "ann")]
    lines = arrive(world, "a.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    table = world.root / "data" / "incoming" / "people" / "b.parquet"
    pd.DataFrame(rows).to_parquet(table, index=False, compression="gzip")
    schema = pq.read_schema(table)
    for path in (lines, table):
        take_out(world, declared, path, "ann")
    assert lines.read_text() == json.dumps(rows[1]) + "\n\n"
    assert pq.read_table(table).to_pylist() == [rows[1]]
    assert pq.read_schema(table).equals(schema, check_metadata=True)
    assert pq.ParquetFile(table).metadata.row_group(0).column(0).compression == "GZIP"


def test_a_checksum_beside_the_file_speaks_of_the_rest(world, declared):
    path = arrive(world, "a.csv", f"{HEADER}\nann,1,30,x,yes\nbob,2,31,y,no\n")
    sums = path.with_name("a.csv.sha256")
    sums.write_text(f"{sources.file_hash(path)}  a.csv\n")
    take_out(world, declared, path, "ann")
    assert sums.read_text() == f"{sources.file_hash(path)}  a.csv\n"


def test_a_file_without_any_other_row_keeps_its_header(world, declared):
    path = arrive(world, "a.csv", f"{HEADER}\nann,1,30,x,yes\n")
    take_out(world, declared, path, "ann")
    assert path.read_text() == f"{HEADER}\n"


def test_lines_that_are_no_rows_are_not_guessed(world, declared, monkeypatch):
    path = arrive(world, "a.csv", f"{HEADER}\nann,1,30,x,yes\nbob,2,31,y,no\n")
    before = path.read_bytes()
    monkeypatch.setattr(table_files, "_rows", lambda path, declared: [range(1, 2)])
    with pytest.raises(IntegrityError, match="cannot be told apart line by line"):
        take_out(world, declared, path, "ann")
    assert path.read_bytes() == before


def test_a_row_is_named_by_its_identity_too(world, declared):
    path = arrive(world, "a.csv", f"{HEADER}\nann,1,30,x,yes\nbob,2,31,y,no\n")
    _, held = held_of(world, declared, "bob")
    (row_id,) = held.row_ids
    take_out(world, declared, path, columns=(f"row_id={row_id}",))
    assert path.read_text() == f"{HEADER}\nann,1,30,x,yes\n"


def test_values_tell_of_a_person_if_nobody_else_has_them(world, declared):
    arrive(world, "a.csv", f"{HEADER}\nann-of-oslo,48213.75,30,Trondheim,yes\nbob-of-oslo,77001,30,Trondheim,no\n")
    _, held = held_of(world, declared, "ann-of-oslo")
    assert held.values == {"ann-of-oslo", "48213.75"}
    assert len(held.asked) == 1
    arrive(world, "b.csv", f"{HEADER}\ncyd-of-oslo,48213.75,30,Trondheim,yes\n")
    _, held = held_of(world, declared, "ann-of-oslo")
    assert held.values == {"ann-of-oslo"}
    assert held.asked == set()  # an answer to the same columns may be Cyd's


def test_a_picture_is_a_row(world):
    from PIL import Image

    declared = declare()
    folder = world.root / "data" / "incoming" / "people"
    for label, grey in (("cat", 10), ("dog", 20)):
        (folder / label).mkdir()
        Image.new("L", (2, 2), grey).save(folder / label / "1.png")
    raw = {"kind": "image", "task": "classification", "target": "label", "shape": [2, 2, 1]}
    pictures = declared.__class__(
        "people", declared.raw, declared.sections | {"data": declared.data.__class__.model_validate(raw)}
    )
    ids = {
        path: typed["row_id"][0].as_py()
        for path in source_rows.files(world, pictures)
        for _, typed in source_rows.rows_of(path, folder, pictures)
    }
    take_out(world, pictures, folder / "cat" / "1.png", columns=(f"row_id={ids[folder / 'cat' / '1.png']}",))
    assert not (folder / "cat" / "1.png").exists()
    assert (folder / "dog" / "1.png").exists()


def test_a_table_of_ones_own_loses_rows_by_key_or_identity(world, declared):
    arrive(world, "a.csv", f"{HEADER}\nann,1,30,x,yes\nbob,2,31,y,no\n")
    who, held = held_of(world, declared, "ann")
    (row_id,) = held.row_ids
    look = table_files.in_any(declared, who, held)
    mine = world.root / "mine.csv"
    for text, rest in (
        (f"row_id,prediction\n{row_id},yes\n{'0' * 32},no\n", f"row_id,prediction\n{'0' * 32},no\n"),
        ("person,note\nann,hello\nbob,bye\n", "person,note\nbob,bye\n"),
    ):
        mine.write_text(text)
        table_files.take_out(mine, declared, look)
        assert mine.read_text() == rest


def test_a_hashed_key_is_given_as_the_person_has_it(world, monkeypatch):
    place = world.state / "hash-key"
    place.write_text("ab" * 32)
    place.chmod(0o600)
    monkeypatch.setenv("RATCHET_HASH_KEY", str(place))
    private = {"private": {"person": "hash"}, "hash_key": hash_key.fingerprint(bytes.fromhex("ab" * 32))}
    declared = declare(ingest=private)
    path = arrive(world, "a.csv", f"{HEADER}\nann,1,30,x,yes\nbob,2,31,y,no\n")
    who, held = held_of(world, declared, "ann")
    assert held.files == {path: 1}
    (typed,) = (typed for _, typed in source_rows.rows_of(path, path.parent, declared))
    assert who.mask(typed).tolist() == [True, False]  # as raw.parquet and the log have it
    take_out(world, declared, path, "ann")
    assert path.read_text() == f"{HEADER}\nbob,2,31,y,no\n"


def test_a_masked_key_names_nobody_else(world):
    declared = declare(ingest={"private": {"person": {"mask": {"first": 1}}}})
    path = arrive(world, "a.csv", f"{HEADER}\nann,1,30,x,yes\nabe,2,31,y,no\n")
    take_out(world, declared, path, "ann")
    assert path.read_text() == f"{HEADER}\nabe,2,31,y,no\n"
