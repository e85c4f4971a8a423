"""The benchmark of serving: what it asks, what it counts, and what it calls right."""

import asyncio
import base64
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support.world import ROOT


@pytest.fixture
def parts(monkeypatch):
    """The modules of the benchmark, which stand beside each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from serving import load, project, promotions, servers

    return {"load": load, "project": project, "promotions": promotions, "servers": servers}


def test_a_server_that_does_nothing_is_asked_and_its_processor_time_counted(parts, tmp_path):
    servers = parts["servers"]
    kind = servers.kinds("digits", tmp_path)[-1]
    (tmp_path / "bodies").write_bytes(b'{"a": 1}\n{"a": 2}')
    command = [sys.executable, str(ROOT / "benchmarks" / "serving" / "load.py")]
    with servers.started(kind, tmp_path, b"{}", dict(os.environ), tmp_path / "log") as server:
        before = server.processor()
        arguments = [str(server.port), kind.path, str(tmp_path / "bodies"), "4", "0.1", "0.4"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=True)
        spent = server.processor() - before
    begun, result = done.stdout.splitlines()
    found = json.loads(result)
    assert begun == "begun"
    assert found["failed"] == 0 < found["requests"]
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert spent > 0
    assert not server.process.is_running()


def test_an_answer_that_comes_in_pieces_is_one_answer_and_a_lost_connection_a_failure(parts):
    load, told = parts["load"], []
    pieces = (b"HTTP/1.1 404 Not Fo", b'und\r\nContent-Length: 8\r\n\r\n{"a":', b" 5}")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"first")).startswith(b"POST /here HTTP/1.1\r\n")
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        await reader.readuntil(b"second")
        writer.close()

    async def asked() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            bodies = load.requests("/here", [b"first", b"second"])
            await load.ask(port, bodies, 1, lambda *about: told.append(about[:3]), lambda: False)

    asyncio.run(asyncio.wait_for(asked(), 60))
    assert told == [(0, 404, b'{"a": 5}'), (1, 0, b"the connection ended")]


def test_every_server_is_sent_the_same_picture(parts):
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    rows = [{"image": base64.b64encode(file.getvalue()).decode()}, {"image": pixels.tolist()}, {"age": 1, "word": None}]
    ours = [json.loads(line) for line in parts["project"].bodies(rows, mlflow=False).splitlines()]
    theirs = [json.loads(line)["dataframe_records"] for line in parts["project"].bodies(rows, mlflow=True).splitlines()]
    assert ours[0] == ours[1] == {"image": pixels.tolist()}
    assert theirs[0] == theirs[1] == [{"image": base64.b64encode(pixels.tobytes()).decode()}]
    assert [ours[2]] == theirs[2] == [rows[2]]


def test_an_answer_of_another_version_is_told_apart(parts):
    watch = parts["promotions"].Watch(
        {1: [{"prediction": 3, "probability_3": 0.9}], 2: [{"prediction": 3, "probability_3": 0.8}]}
    )
    for version, probability in ((1, 0.9), (1, 0.8), (2, 0.8), (3, 0.8)):
        said = {"version": version, "prediction": 3, "probabilities": {"3": probability}}
        watch.tell(0, 200, json.dumps(said).encode(), 0.0)
    watch.tell(0, 503, b"no champion", 0.0)
    assert (watch.failed, watch.wrong, dict(watch.by_version)) == (1, 2, {1: 2, 2: 1, 3: 1})
