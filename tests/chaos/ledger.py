"""The ledger: a process of its own that writes what it is told to SQLite, and answers only after the fsync."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SCHEMA = "CREATE TABLE event (seq INTEGER PRIMARY KEY, at REAL, what TEXT, k INTEGER, run INTEGER, pid INTEGER, note TEXT)"
ENVIRONMENT = "CHAOS_LEDGER"  # the socket's path

_idle: list[socket.socket] = []


def record(*events: tuple[str, int, int, str]) -> None:
    """Write events (what, number of the job, run, note). Returns after they are on the disk."""
    pid = os.getpid()
    line = json.dumps([[what, k, run, pid, note] for what, k, run, note in events]).encode() + b"\n"
    connection = _idle.pop() if _idle else _connect()
    connection.sendall(line)
    if connection.recv(1) != b"+":
        raise ConnectionError("the ledger is gone")
    _idle.append(connection)


def _connect() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ[ENVIRONMENT])
    return connection


class Server:
    """What arrives during one fsync goes out together with the next."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path)
        self.database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {SCHEMA}")
        self.waiting: list[tuple[float, list[list[Any]], asyncio.StreamWriter]] = []
        self.arrived = asyncio.Event()

    async def serve(self, address: str) -> None:
        """Until SIGTERM."""
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        writing = asyncio.create_task(self._write())
        server = await asyncio.start_unix_server(self._read, address, backlog=512, limit=1 << 22)
        await stopped.wait()
        server.close()
        writing.cancel()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                if not line.endswith(b"\n"):
                    break  # the writer was killed in the middle of it
                self.waiting.append((time.time(), json.loads(line), writer))
                self.arrived.set()
        except ConnectionError:
            pass  # killed: what it sent whole is kept
        finally:
            writer.close()

    async def _write(self) -> None:
        while True:
            await self.arrived.wait()
            self.arrived.clear()
            batch, self.waiting = self.waiting, []
            rows = [(at, *event) for at, events, _ in batch for event in events]
            with self.database:
                self.database.executemany("INSERT INTO event (at, what, k, run, pid, note) VALUES (?, ?, ?, ?, ?, ?)", rows)
            for _, _, writer in batch:
                if not writer.is_closing():
                    writer.write(b"+")


def read(path: Path) -> Iterable[tuple[int, float, str, int, int, int, str]]:
    """All events in the order written: seq, at, what, k, run, pid, note."""
    database = sqlite3.connect(path)
    try:
        yield from database.execute("SELECT seq, at, what, k, run, pid, note FROM event ORDER BY seq")
    finally:
        database.close()


def last(path: Path, *what: str) -> float:
    """When the last such event was written (Unix time), 0.0 when there is none."""
    database = sqlite3.connect(path)
    try:
        marks = ", ".join("?" * len(what))
        return float(database.execute(f"SELECT coalesce(max(at), 0) FROM event WHERE what IN ({marks})", what).fetchone()[0])
    finally:
        database.close()


async def _main(path: Path, address: str) -> None:
    await Server(path).serve(address)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2]))
