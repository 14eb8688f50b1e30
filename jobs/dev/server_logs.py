"""The logs of the embedded servers, which nobody else makes shorter: a long one is put aside, in the place of the one before."""

from pathlib import Path

from jobs.dev import console, postgres
from jobs.dev.places import run

# PostgreSQL keeps its log open for appending. As its own user, who may do with the folder what he likes.
_BEGIN_ANEW = 'cp "$0" "$1" && : > "$0"'


def put_aside(data_dir: Path) -> None:
    """What is longer than the logs of `up` may be. Raises EmbeddedError, OSError."""
    if (data_dir / "postgres").is_dir() and _is_long(log := postgres.log(data_dir / "postgres")):
        run("sh", "-c", _BEGIN_ANEW, log, log.with_suffix(".1.log"))
    if _is_long(log := data_dir / "redis" / "server.log"):
        log.replace(log.with_suffix(".1.log"))  # Redis opens it for each line


def _is_long(log: Path) -> bool:
    return log.exists() and log.stat().st_size > console.LIMIT
