"""Advisory locks are listed in one place, and no two share a class."""

import ast
import re
from pathlib import Path

from jobs.store import locks

ROOT = Path(__file__).resolve().parents[2]
USED = re.compile(r"pg_(?:try_)?advisory_\w*(?:lock|shared)\w*")
PAIRS = {name: value for name, value in vars(locks).items() if isinstance(value, tuple)}
CLASSES = {name: value for name, value in vars(locks).items() if isinstance(value, int)}


def test_no_two_share_a_class() -> None:
    """Some have a class of their own to hold any number of it, so a class is never shared."""
    found = sorted([*CLASSES.values(), *(kind for kind, _ in PAIRS.values())])
    assert found == sorted(set(found))
    assert len(found) == 6


def test_all_others_take_them_from_there() -> None:
    users = {path: text for path in _sources() if USED.search(text := path.read_text("utf-8"))}
    assert len(users) > 8
    for path, text in users.items():
        if path.parent.name == "migrations":  # SQL that stays as it is
            assert set(re.findall(rf"{USED.pattern}\(([^)]*)\)", text)) <= {f"{kind}, {number}" for kind, number in PAIRS.values()}, path
        else:
            assert re.search(r"^from jobs\.store(\.locks)? import .*(\blocks\b|[A-Z])", text, re.MULTILINE), path
            assert _pairs(text) == [], path


def test_their_numbers_are_written_nowhere_else() -> None:
    kinds = {kind for kind, _ in PAIRS.values()} | set(CLASSES.values())
    for path in _sources():
        if path.parent.name != "migrations":
            numbers = {node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)}
            assert not numbers & kinds, path


def _sources() -> list[Path]:
    return [path for path in (ROOT / "jobs").rglob("*.py") if path != Path(locks.__file__).resolve()]


def _pairs(text: str) -> list[str]:
    """Pairs of numbers, as the key of a lock is one."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Tuple) and len(node.elts) == 2
        if all(isinstance(part, ast.Constant) and type(part.value) is int for part in node.elts)
    ]
