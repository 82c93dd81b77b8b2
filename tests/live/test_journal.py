"""The journal loses nothing it acknowledged, tells what was tampered with, and has one writer."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from engine.live.journal import Journal, canonical, read_journal, verify_journal
from parquet_store.errors import Failed, Halt, LockstepError, Usage
from tests.data import ROOT

WRITER = """
import sys
from engine.live.journal import Journal
with Journal(sys.argv[1]) as journal:
    n = journal.sequence
    print(n, flush=True)
    while True:
        n += 1
        if n % 5 == 0:
            n = journal.append_many([(n + k, "batch", {"n": n + k}) for k in range(7)], durable=n % 2 == 0)
        else:
            n = journal.append(n, "single", {"n": n, "text": "x" * (n % 300)}, durable=n % 3 == 0)
        print(n, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.sqlite"


def filled(path: Path, count: int = 6) -> bytes:
    with Journal(path) as journal:
        journal.append_many([(1_000 + k, "bar", {"close": k / 3, "a": [k]}) for k in range(count)])
        return journal.chain


def tamper(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_entries_are_read_back_in_order_with_the_chain_an_independent_loop_gives(path: Path) -> None:
    with Journal(path) as journal:
        assert (journal.sequence, journal.chain) == (0, bytes(32))
        assert journal.append(5, "start", {"b": 1, "a": [1.5, None, True, "é"]}, durable=True) == 1
        assert journal.append_many([(6, "x", b'{"raw":1}'), (4, "y", -0.0)], durable=False) == 3
        assert journal.append_many([]) == 3
        end = journal.chain
    found = list(read_journal(path))
    assert [(e.sequence, e.time_ns, e.kind, e.body) for e in found] == [
        (1, 5, "start", '{"a":[1.5,null,true,"é"],"b":1}'.encode()),
        (2, 6, "x", b'{"raw":1}'),
        (3, 4, "y", b"-0.0"),
    ]
    assert found[0].content == {"a": [1.5, None, True, "é"], "b": 1}
    chain = bytes(32)
    for e in found:
        kind = e.kind.encode()
        parts = (chain, struct.pack("<q", e.sequence), struct.pack("<q", e.time_ns), struct.pack("<q", len(kind)))
        chain = hashlib.sha256(b"".join((*parts, kind, e.body))).digest()
        assert e.chain == chain
    assert chain == end
    assert verify_journal(path) == (3, end)
    assert [e.sequence for e in read_journal(path, 2)] == [2, 3]


def test_a_journal_opened_again_goes_on_with_the_same_chain_as_one_never_closed(tmp_path: Path) -> None:
    entries = [(k, "k", {"n": k}) for k in range(20)]
    with Journal(tmp_path / "a" / "j") as one:
        for entry in entries:
            one.append(*entry)
    for entry in entries:
        with Journal(tmp_path / "b" / "j") as other:
            other.append(*entry, durable=True)
    assert one.chain == other.chain
    assert list(read_journal(tmp_path / "a" / "j")) == list(read_journal(tmp_path / "b" / "j"))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE entries SET body = x'7b7d' WHERE sequence = 3", "entry 3 was changed"),
        ("UPDATE entries SET time_ns = time_ns + 1 WHERE sequence = 1", "entry 1 was changed"),
        ("UPDATE entries SET kind = 'other' WHERE sequence = 6", "entry 6 was changed"),
        ("UPDATE entries SET chain = zeroblob(32) WHERE sequence = 4", "entry 4 was changed"),
        ("DELETE FROM entries WHERE sequence = 2", "entry 2 missing"),
        ("DELETE FROM entries WHERE sequence IN (1, 2, 3)", "entries 1 to 3 missing"),
    ],
)
def test_a_changed_or_missing_entry_is_named(path: Path, statement: str, told: str) -> None:
    filled(path)
    tamper(path, statement)
    with pytest.raises(Failed, match=told):
        verify_journal(path)


def test_a_repeated_entry_is_named(path: Path) -> None:
    filled(path)
    tamper(
        path,
        "UPDATE entries SET sequence = -sequence WHERE sequence > 3",
        "INSERT INTO entries SELECT 4, time_ns, kind, body, chain FROM entries WHERE sequence = 3",
        "UPDATE entries SET sequence = 1 - sequence WHERE sequence < 0",
    )
    with pytest.raises(Failed, match="entry 4 repeats entry 3"):
        verify_journal(path)


def test_two_entries_in_each_others_place_are_found(path: Path) -> None:
    filled(path)
    tamper(
        path,
        "UPDATE entries SET sequence = 100 WHERE sequence = 3",
        "UPDATE entries SET sequence = 3 WHERE sequence = 4",
        "UPDATE entries SET sequence = 4 WHERE sequence = 100",
    )
    with pytest.raises(Failed, match="entry 3 was changed"):
        verify_journal(path)


def test_entries_missing_at_the_end_are_found_with_the_chain_known_before(path: Path) -> None:
    end = filled(path)
    early = next(iter(read_journal(path))).chain
    assert verify_journal(path, end) == (6, end)
    assert verify_journal(path, early) == (6, end)
    tamper(path, "DELETE FROM entries WHERE sequence > 4")
    assert verify_journal(path)[0] == 4
    with pytest.raises(Failed, match="ends at entry 4, before the chain"):
        verify_journal(path, end)


def test_a_journal_damaged_at_its_end_does_not_open(path: Path) -> None:
    filled(path)
    tamper(path, "UPDATE entries SET body = x'00' WHERE sequence = 6")
    with pytest.raises(Failed, match="entry 6 is damaged"):
        Journal(path)


def test_a_second_writer_is_refused_and_a_reader_is_not(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(1, "a", 1)
        with pytest.raises(Failed, match="another process is at work"):
            Journal(path)
        code = f"from engine.live.journal import Journal; Journal({str(path)!r})"
        second = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert "another process is at work" in second.stderr
        assert [e.body for e in read_journal(path)] == [b"1"]
        journal.append(2, "a", 2)
        assert verify_journal(path)[0] == 2
    with Journal(path) as journal:
        assert journal.append(3, "a", 3) == 3


def test_threads_take_turns(path: Path) -> None:
    with Journal(path) as journal:

        def work(name: str) -> None:
            for k in range(50):
                journal.append_many([(k, name, k), (k, name, -k)], durable=k % 10 == 0)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert verify_journal(path, journal.chain) == (400, journal.chain)


def test_every_acknowledged_entry_is_there_after_a_kill_at_any_moment(path: Path) -> None:
    chance = random.Random(7)
    acknowledged = 0
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        started = int(writer.stdout.readline())
        assert started >= acknowledged
        time.sleep(chance.random() * 0.15)
        os.kill(writer.pid, signal.SIGKILL)
        told = [int(line) for line in writer.stdout.read().split(b"\n")[:-1]]
        writer.wait()
        writer.stdout.close()
        acknowledged = max([started, *told])
        count, _ = verify_journal(path)
        assert acknowledged <= count <= acknowledged + 7, "at most the transaction that was on its way"
        batches = [e.content["n"] for e in read_journal(path) if e.kind == "batch"]
        assert len(batches) % 7 == 0, "a batch is there whole or not at all"
    assert acknowledged > 50


def limited(path: Path) -> None:
    """Append to a journal until files may not grow: a disk that is full, as a process sees it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Journal(path) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        for what in ("first", "second"):
            try:
                while True:
                    journal.append(1, "fill", {"text": "x" * 3_000}, durable=True)
                    print(journal.sequence)
            except Halt as error:
                print(what, error)


def test_a_full_disk_halts_and_keeps_what_was_acknowledged(path: Path) -> None:
    code = f"from pathlib import Path; from tests.live.test_journal import limited; limited(Path({str(path)!r}))"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    *numbers, first, second = made.stdout.splitlines()
    assert first.startswith("first ")
    assert str(path) in first
    assert "takes no entries since" in second
    count, _ = verify_journal(path)
    assert len(numbers) <= count <= len(numbers) + 1
    assert int(numbers[-1]) == len(numbers) > 10
    with Journal(path) as journal:
        assert journal.append(2, "after", None, durable=True) == count + 1


def test_sqlite_saying_full_is_told_as_a_full_disk(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(1, "a", 1)
        pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
        journal._connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(Halt, match="no space left on the disk"):
            journal.append_many([(k, "a", "x" * 5_000) for k in range(3)])
        with pytest.raises(Halt, match=r"takes no entries since .*no space left"):
            journal.append(2, "a", 2)
    assert verify_journal(path)[0] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Failed, match="may not write"):
        Journal(tmp_path / "journal.sqlite")


def test_a_file_that_may_not_be_written_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path)
    connect = sqlite3.connect
    read_only = lambda p, **rest: connect(f"{Path(p).as_uri()}?mode=ro", uri=True, **rest)  # noqa: E731
    monkeypatch.setattr("engine.live.journal.sqlite3.connect", read_only)
    with Journal(path) as journal, pytest.raises(Halt, match="may not be opened or written"):
        journal.append(1, "a", 1)


def test_another_file_is_no_journal(tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("hello " * 100)
    other = tmp_path / "other.sqlite"
    tamper(other, "CREATE TABLE t (x)")
    for wrong in (text, other):
        for opened in (Journal, verify_journal):
            with pytest.raises(Failed, match="not a journal"):
                opened(wrong)
    with pytest.raises(Usage, match="no such file"):
        verify_journal(tmp_path / "absent")


@pytest.mark.parametrize("content", [object(), {1: 2}, 2**70, {"x": {1, 2}}])
def test_what_is_no_plain_data_is_refused_and_nothing_is_appended(path: Path, content: Any) -> None:
    with Journal(path) as journal:
        with pytest.raises(Usage, match="plain data"):
            journal.append_many([(1, "a", 1), (1, "a", content)])
        assert journal.append(1, "a", 1) == 1


def test_the_same_content_has_one_text_and_unknown_is_null() -> None:
    assert canonical({"b": 1, "a": {"d": 2, "c": float("nan")}}) == b'{"a":{"c":null,"d":2},"b":1}'
    assert canonical({"a": {"c": None, "d": 2}, "b": 1}) == canonical({"b": 1, "a": {"d": 2, "c": None}})


def test_a_closed_journal_takes_nothing(path: Path) -> None:
    journal = Journal(path)
    journal.close()
    with pytest.raises(LockstepError, match="it was closed"):
        journal.append(1, "a", 1)
