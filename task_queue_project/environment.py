"""The environment and the `.env` file, read with errors of one line that name the variable."""

import os
import secrets
from pathlib import Path
from typing import Any, NoReturn

import environ
from django.core.exceptions import ImproperlyConfigured

_env = environ.Env()


def load(folder: Path) -> None:
    """Read `folder`/.env (or the file that ENV_FILE names; empty: none). The environment wins over the file."""
    name = os.environ.get("ENV_FILE", ".env")
    if name and (folder / name).is_file():
        environ.Env.read_env(folder / name)


def read(kind: str, name: str, default: Any) -> Any:
    """The variable as django-environ's `kind` (str, bool, int, float, list, email_url); unset or empty gives the default."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        return getattr(_env, kind)(name)
    except (ValueError, ImproperlyConfigured):
        stop(f"{name} is not a valid {kind}: {text!r}" if kind in ("int", "float") else f"{name} cannot be read as {kind}")


def secret_key(data_dir: Path, *, debug: bool) -> str:
    """SECRET_KEY; with DEBUG, or where SECRET_KEY_FILE names a place, a key made once and kept: it outlives a restart."""
    key = os.environ.get("SECRET_KEY", "").strip()
    if key:
        return key
    place = os.environ.get("SECRET_KEY_FILE", "").strip()
    if not (debug or place):
        stop("SECRET_KEY is not set, and DEBUG is off: set SECRET_KEY to a long random text, or SECRET_KEY_FILE to a place for one")
    path = Path(place) if place else data_dir / "secret-key.txt"
    try:
        return path.read_text("ascii") if path.exists() else _made_once(path)
    except OSError as error:
        stop(f"SECRET_KEY is not set, and none can be kept: {error}")


def make_folder(path: Path) -> None:
    """Make a folder where that is possible; a read-only installation brings its own."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        pass


def stop(message: str) -> NoReturn:
    """End the process with one line: whatever reads the settings (manage.py, celery, gunicorn) shows no traceback."""
    raise SystemExit(message)


def _made_once(path: Path) -> str:
    """Two processes that start at once agree: the file appears whole, and only the first link succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(50), "ascii")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: its key counts
    finally:
        draft.unlink()
    return path.read_text("ascii")
