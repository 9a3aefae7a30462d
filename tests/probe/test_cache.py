"""Outcomes on disk: what was kept comes back whole or not at all, whatever happens to the files."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bisect_convert.errors import UsageError
from bisect_convert.probe.cache import Cache, opened, user_folder

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
answers = st.dictionaries(st.text(), plain, max_size=4)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def files(folder: Path) -> list[Path]:
    return [p for p in folder.glob("??/*") if p.is_file()]


@quick
@given(question=answers, answer=answers)
def test_what_was_kept_comes_back(tmp_path: Path, question: dict[str, object], answer: dict[str, object]) -> None:
    cache = Cache(tmp_path)
    key = Cache.key(question)
    cache.put(key, answer)
    assert cache.get(key) == answer
    assert Cache(tmp_path).get(Cache.key(dict(reversed(question.items())))) == answer


@quick
@given(data=st.data())
def test_a_damaged_entry_is_dropped_with_a_warning(tmp_path: Path, data: st.DataObject) -> None:
    said: list[str] = []
    cache = Cache(tmp_path, said.append)
    key = Cache.key({"a": 1})
    kept = {"outcome": {"seconds": 1.5, "reached": 4}, "timeout": None}
    cache.put(key, kept)
    (path,) = files(tmp_path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    path.write_bytes(damaged)
    found = cache.get(key)
    assert found in (None, kept)
    if found is None:
        assert not path.exists() and "damaged" in said[0]


def test_another_question_has_another_key() -> None:
    questions = [{"ops": ["a"]}, {"ops": ["b"]}, {"ops": ["a"], "frontend": True}, {"ops": "a"}, {}]
    assert len({Cache.key(q) for q in questions}) == len(questions)


def test_an_entry_under_another_key_does_not_count(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    one, two = Cache.key({"a": 1}), Cache.key({"a": 2})
    cache.put(one, {"x": 1})
    (path,) = files(tmp_path)
    other = tmp_path / two[:2] / f"{two}.json"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(path.read_bytes())
    assert cache.get(two) is None and cache.get(one) == {"x": 1}


def test_a_disk_that_takes_nothing_costs_the_answer_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    cache = Cache(tmp_path, said.append)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    for n in range(3):
        cache.put(Cache.key({"n": n}), {"n": n})
    assert len(said) == 1 and "No space left on device" in said[0]
    assert not files(tmp_path)
    monkeypatch.undo()
    cache.put(Cache.key({"n": 1}), {"n": 1})
    assert cache.get(Cache.key({"n": 1})) == {"n": 1}


def write_without_room(folder: str, told: Connection) -> None:
    """Keep an answer where the system lets no file grow beyond a few bytes, as a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    said: list[str] = []
    Cache(Path(folder), said.append).put(Cache.key({"n": 1}), {"n": 1})
    told.send(said)


def test_a_file_that_the_system_cuts_short_is_not_there_afterwards(tmp_path: Path) -> None:
    ours, theirs = multiprocessing.Pipe()
    writer = multiprocessing.get_context("spawn").Process(target=write_without_room, args=(str(tmp_path), theirs))
    writer.start()
    assert ours.poll(60)
    assert ours.recv() == [f"nothing more can be kept in the cache: File too large: {tmp_path}"]
    writer.join()
    assert not files(tmp_path) and Cache(tmp_path).get(Cache.key({"n": 1})) is None


def test_a_folder_that_cannot_be_made_is_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--no-cache"):
        Cache(tmp_path / "file" / "cache")


def test_the_users_own_is_done_without_where_it_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    said: list[str] = []
    assert opened(user_folder(), said.append) is None
    assert "nothing is kept for later runs" in said[0]
    with pytest.raises(UsageError):
        opened(tmp_path / "file" / "other", said.append)


def write_on(folder: str, number: int) -> None:
    cache, rng = Cache(Path(folder)), random.Random(number)
    while True:
        n = rng.randrange(40)
        cache.put(Cache.key({"n": n}), {"n": n, "text": "x" * 5000})


def test_writers_that_are_killed_leave_whole_entries_to_readers(tmp_path: Path) -> None:
    writers = [multiprocessing.get_context("spawn").Process(target=write_on, args=(str(tmp_path), n)) for n in range(2)]
    for writer in writers:
        writer.start()
    try:
        said: list[str] = []
        cache = Cache(tmp_path, said.append)
        deadline, seen = time.monotonic() + 30, 0
        while seen < 500 and time.monotonic() < deadline:
            for n in range(40):
                found = cache.get(Cache.key({"n": n}))
                assert found in (None, {"n": n, "text": "x" * 5000})
                seen += found is not None
    finally:
        for writer in writers:
            writer.kill()
            writer.join()
    assert seen >= 500 and not said
    for path in files(tmp_path):
        if not path.name.startswith("new-"):
            assert json.loads(path.read_text())["answer"]["text"] == "x" * 5000


def test_what_a_killed_run_left_is_tidied(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(Cache.key({}), {"a": 1})
    left = tmp_path / "ab" / "new-left"
    left.parent.mkdir(exist_ok=True)
    left.write_text("half")
    long_ago = time.time() - 2 * 24 * 3600
    for path in (left, tmp_path / "tidied"):
        os.utime(path, (long_ago, long_ago))
    assert Cache(tmp_path).get(Cache.key({})) == {"a": 1}
    assert not left.exists()


def test_the_users_folder_is_where_the_system_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if os.name == "posix" and os.uname().sysname == "Linux":
        assert user_folder() == tmp_path / "bisect-convert" / "answers"
