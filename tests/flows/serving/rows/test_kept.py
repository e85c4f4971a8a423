"""Columns that no model takes, and that the log has all the same: those that name an event."""

import base64

import pytest

from flows.serving.rows.reader import RowReader
from tests.support.served import models, versions


@pytest.mark.parametrize("name", ["pets", "tiles"])
def test_a_kept_column_is_in_the_raw_row_as_it_came(tmp_path, name):
    folder = versions.make(tmp_path, name, 1)
    row = models.pets_row() if name == "pets" else {"image": base64.b64encode(bytes(36)).decode()}
    sent = row | {"chip": 12, "other": "x"}
    kept, bare = RowReader(folder, kept=["chip", "absent"]), RowReader(folder)
    assert kept.read([sent]).raw == [row | {"chip": 12}]
    assert bare.read([sent]).raw == [row]
    assert kept.read([row]).raw == [row]  # nobody has to send it
