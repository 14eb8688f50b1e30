"""Compiled translations, made from the .po files where they are missing: gettext need not be installed (Windows has none)."""

import os
from collections.abc import Iterable
from pathlib import Path


def compile_stale(locale_folders: Iterable[Path]) -> None:
    """Write each .mo that is missing or older than its .po; a folder that cannot be written is left as it is."""
    for folder in locale_folders:
        for source in folder.glob("*/LC_MESSAGES/*.po"):
            if _is_stale(source):
                _compile(source)


def _is_stale(source: Path) -> bool:
    target = source.with_suffix(".mo")
    return not target.exists() or target.stat().st_mtime < source.stat().st_mtime


def _compile(source: Path) -> None:
    import polib

    draft = source.with_name(f".{source.stem}.{os.getpid()}.mo")
    try:
        polib.pofile(str(source)).save_as_mofile(str(draft))
        draft.replace(source.with_suffix(".mo"))  # at once: another process never reads half a file
    except OSError:
        draft.unlink(missing_ok=True)  # a read-only installation brings its own
