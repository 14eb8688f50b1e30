"""The environment and the `.env` file, read with errors of one line that name the variable."""

import importlib.util
import os
import re
import secrets
import time
import zoneinfo
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Final, NoReturn

import environ
from django.core.exceptions import ImproperlyConfigured

_env = environ.Env()
_FALSE: Final = ("false", "off", "no", "n", "0")  # django-environ takes every word that is not true for false


def load(folder: Path) -> None:
    """Read `folder`/.env (or the file that ENV_FILE names; empty: none). The environment wins over the file."""
    name = os.environ.get("ENV_FILE", ".env")
    if name and (folder / name).is_file():
        try:
            environ.Env.read_env(folder / name, encoding="utf-8-sig")  # programs of Windows begin a file with a mark
        except ValueError:  # UTF-16 (PowerShell 5), a code page
            stop(f"{folder / name} is not in UTF-8: save it as UTF-8")


def read(kind: str, name: str, default: Any, within: tuple[int, int] | None = None) -> Any:
    """The variable as django-environ's `kind` (str, bool, int, float, list, email_url); unset or empty gives the default.

    `within`: the least and the most of a number.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if kind == "bool" and text.lower() not in (*environ.Env.BOOLEAN_TRUE_STRINGS, *_FALSE):
        stop(f"{name} is neither True nor False: {text!r}")
    try:
        # django-environ's float leaves out whatever is no digit: 1e3 would be 13.
        value = float(text) if kind == "float" else getattr(_env, kind)(name)
    except (ValueError, ImproperlyConfigured):
        stop(f"{name} is not a valid {kind}: {text!r}" if kind in ("int", "float") else f"{name} cannot be read as {kind}")
    if within and not within[0] <= value <= within[1]:  # NaN is not either
        stop(f"{name} must be from {within[0]} to {within[1]}, not {text!r}")
    return value


def time_zone(name: str, default: str) -> str:
    """The variable as the name of a time zone."""
    zone: str = read("str", name, default)
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # no such zone, a path, a folder of zones
        stop(f"{name} is not a time zone: {zone!r} (Asia/Riyadh would be one)")
    return zone


def language(name: str, default: str, known: Iterable[str]) -> str:
    """The variable as the code of one of the languages, with a country if need be (en-gb)."""
    code: str = read("str", name, default)
    if not re.fullmatch(rf"({'|'.join(known)})(-[a-z0-9]+)*", code, re.IGNORECASE):
        stop(f"{name} must be one of {', '.join(known)}, not {code!r}")
    return code


def apps(name: str, others: Iterable[str] = ()) -> list[str]:
    """The variable as Django apps beside the others, each of which can be found; none is imported yet."""
    found: list[str] = []
    for app in (word.strip() for word in read("list", name, [])):
        if not _is_there(app):
            stop(f"{name} names an app that is not on PYTHONPATH: {app!r}")
        if app in (*others, *found):
            stop(f"{name} names an app that is there already: {app!r}")
        found.append(app)
    return found


def _is_there(app: str) -> bool:
    """Whether there is such a module; of `shop.apps.ShopConfig`, the module of the class."""
    parts = app.split(".")
    if len(parts) > 1 and parts[-1][:1].isupper():
        parts.pop()
    if not all(part.isidentifier() for part in parts):
        return False
    try:
        found = importlib.util.find_spec(parts[0])
        for number in range(2, len(parts) + 1):
            places = found and found.submodule_search_locations
            found = PathFinder.find_spec(".".join(parts[:number]), places) if places else None
    except (ImportError, ValueError):
        return False
    except KeyError:  # below a folder without __init__.py only an import can tell
        return True
    return found is not None


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
        return _read_whole(path) if path.exists() else _made_once(path)
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
    """Two processes that start at once agree: the file appears whole, and only the first link succeeds.

    Where there are no links (exFAT), only the first can open a new file, and the other waits until there is something in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(50), "ascii")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: its key counts
    except OSError:
        _copy_once(draft, path)
    finally:
        draft.unlink()
    return _read_whole(path)


def _copy_once(draft: Path, path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(draft.read_text("ascii"))


def _read_whole(path: Path) -> str:
    deadline = time.monotonic() + 2
    while not (text := path.read_text("ascii")) and time.monotonic() < deadline:
        time.sleep(0.01)
    return text
