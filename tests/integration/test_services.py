"""The embedded servers: started, found again, stopped; after kill -9, cut-off beginnings and stale files."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from jobs.dev import embedded, locking, places
from task_queue_project import servers
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def manage(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run one management command to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def query(address: str, statement: str) -> list[tuple[object, ...]]:
    """Rows of one statement, committed."""
    connection = psycopg2.connect(address)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def servers_of(data_dir: Path) -> Iterator[psutil.Process]:
    """The living PostgreSQL and Redis processes of a data folder."""
    sockets = str(places.socket_folder(data_dir / "postgres"))
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and (f"{data_dir}/postgres" in command or sockets in command):
                yield process
        except psutil.Error:
            continue


def kill_servers(data_dir: Path) -> None:
    """kill -9, children of the postmaster included."""
    for process in list(servers_of(data_dir)):
        members = [process]
        with contextlib.suppress(psutil.NoSuchProcess):
            members += process.children(recursive=True)
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):  # the postmaster's end is that of its children
                member.kill()
    until(lambda: not list(servers_of(data_dir)))


def test_the_command_starts_shows_and_stops(own_environ: dict[str, str], data_dir: Path) -> None:
    assert manage(own_environ, "services", "env").returncode == 1
    started = manage(own_environ, "services", "start")
    assert started.returncode == 0, started.stderr
    shown = manage(own_environ, "services", "env")
    assert shown.stdout == started.stdout
    named = dict(line.split("=", 1) for line in shown.stdout.splitlines())
    assert set(named) == {"DATABASE_URL", "REDIS_URL"}
    assert query(named["DATABASE_URL"], "SELECT current_database(), current_setting('server_encoding')") == [("task_queue_db", "UTF8")]
    with redis.Redis.from_url(named["REDIS_URL"]) as client:
        assert client.ping()
    assert "not running" not in manage(own_environ, "services", "status").stdout
    assert manage(own_environ, "services", "stop").returncode == 0
    assert manage(own_environ, "services", "status").returncode == 1
    assert not list(servers_of(data_dir))


def test_any_command_finds_them_while_they_run(own_environ: dict[str, str], data_dir: Path) -> None:
    embedded.start(data_dir)
    found = servers.find({}, data_dir)
    assert (found.database_source, found.redis_source) == ("embedded", "embedded")
    ended = manage(own_environ, "showmigrations", "sessions")
    assert ended.returncode == 0, ended.stderr
    embedded.stop(data_dir)
    assert servers.find({}, data_dir).database_source == "default"


def test_data_outlive_kill_9_and_a_second_start(data_dir: Path) -> None:
    named = embedded.start(data_dir)
    query(named["DATABASE_URL"], "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    with redis.Redis.from_url(named["REDIS_URL"]) as client:
        client.rpush("kept", *range(1000))
    kill_servers(data_dir)
    assert embedded.start(data_dir) == named
    assert query(named["DATABASE_URL"], "SELECT count(*) FROM kept") == [(1000,)]
    with redis.Redis.from_url(named["REDIS_URL"]) as client:
        assert client.llen("kept") == 1000


def test_starting_twice_uses_what_runs(data_dir: Path) -> None:
    embedded.start(data_dir)
    before = sorted(process.pid for process in servers_of(data_dir))
    embedded.start(data_dir)
    assert sorted(process.pid for process in servers_of(data_dir)) == before


def test_another_folder_for_temporary_files_finds_what_runs(own_environ: dict[str, str], data_dir: Path) -> None:
    """Two Redis would write one append-only file."""
    places_for_files = [data_dir.parent / name for name in "ab"]
    for place in places_for_files:
        place.mkdir()
    first, second = (manage(own_environ | {"TMPDIR": str(place)}, "services", "start") for place in places_for_files)
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert str(places_for_files[0]) in first.stdout
    assert first.stdout == second.stdout
    before = list(servers_of(data_dir))
    assert len([process for process in before if "redis.sock" in " ".join(process.cmdline())]) == 1
    assert manage(own_environ, "services", "stop").returncode == 0
    assert not [process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert [list(place.iterdir()) for place in places_for_files] == [[], []]


def test_two_starts_at_once_agree(own_environ: dict[str, str], data_dir: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: manage(own_environ, "services", "start"), range(2)))
    assert [item.returncode for item in ended] == [0, 0], [item.stderr for item in ended]
    assert ended[0].stdout == ended[1].stdout
    assert len([process for process in servers_of(data_dir) if "redis.sock" in " ".join(process.cmdline())]) == 1


def test_a_beginning_that_was_cut_off_is_made_anew(data_dir: Path) -> None:
    data = data_dir / "postgres" / "data"
    (data / "base").mkdir(parents=True)
    (data / "postgresql.conf").write_text("half a fi")
    named = embedded.start(data_dir)
    assert query(named["DATABASE_URL"], "SELECT 1") == [(1,)]


def test_a_pid_file_that_names_another_program_is_stale(data_dir: Path) -> None:
    named = embedded.start(data_dir)
    embedded.stop(data_dir)
    (data_dir / "postgres" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{data_dir}/postgres/data\n")
    assert embedded.start(data_dir) == named


def test_a_stop_in_the_middle_of_up_is_refused(own_environ: dict[str, str], data_dir: Path) -> None:
    with locking.held(data_dir / "up.lock", wait=0):
        ended = manage(own_environ, "services", "stop")
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [["--help"], ["check"], ["makemigrations", "--check", "--dry-run"], ["migrate", "--help"]])
def test_some_commands_need_no_server(own_environ: dict[str, str], words: list[str]) -> None:
    own_environ |= {"DATABASE_URL": "postgres://u@127.0.0.1:1/d", "REDIS_URL": "redis://127.0.0.1:1/0"}
    ended = manage(own_environ, *words)
    assert ended.returncode == 0, ended.stderr


def test_a_folder_that_others_may_not_enter_is_fine(tmp_path: Path) -> None:
    """Below /root, say: there root's unprivileged PostgreSQL keeps its data elsewhere, and a note says where."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "var"
    try:
        named = embedded.start(data_dir)
        query(named["DATABASE_URL"], "CREATE TABLE kept (n int)")
        embedded.stop(data_dir)
        assert embedded.start(data_dir) == named
        assert query(named["DATABASE_URL"], "SELECT count(*) FROM kept") == [(0,)]
    finally:
        embedded.stop(data_dir)
        note = data_dir / "postgres" / "location"
        if note.exists():
            shutil.rmtree(note.read_text("utf-8").strip())
