"""Values reach SQL as parameters only: what a statement is put together from is constant, or listed here with its origin."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|COPY|SET|CREATE|ALTER|DROP|WHERE|EXECUTE|PREPARE|LISTEN|NOTIFY|RETURNING)\b")
CONSTANT = re.compile(r"(\w+\.)*_?[A-Z][A-Z_0-9]*(\[\d\])?( \+ 1)?")
OWN = "names of columns or tables that are written in this file"
TELL = "SQL of jobs.store.tell"
ALLOWED = {
    "jobs/celery_app/control.py": {"condition": "one of two texts in this file"},
    "jobs/store/canvas.py": {"tell('task_id')": TELL, "table": OWN, "key": OWN, "column": OWN, "done": "conditions of this file"},
    "jobs/store/insert.py": {
        **dict.fromkeys(("', '.join(columns)", "columns", "', '.join(_MADE)"), OWN),
        "', '.join(['%s'] * len(columns))": "marks for parameters", "found": "texts of this file",
    },
    "jobs/store/interventions.py": {"beside": "texts of this file"},
    "jobs/store/kept.py": {"body": "a statement of jobs.store", "name": "a digest of it"},
    "jobs/store/removal.py": {"unreferred(cursor)": "names that PostgreSQL has quoted", "names": "the same"},
    "jobs/store/replaced.py": {"tell('id')": TELL},
    "jobs/store/results.py": {"BUCKET.format('id')": "SQL of jobs.store.tell"},
    "jobs/store/search.py": dict.fromkeys(("_MORE.format('%s')", "_MORE.format('new.words')"), "SQL of this file"),
    "jobs/store/sent.py": {
        "', '.join(columns)": OWN, "marks": "marks for parameters, with types of this file", "statement": "SQL of jobs.store",
        **dict.fromkeys(("_REVOKED.format('jobs_job.task_id')", "_REVOKED.format('%s')"), "SQL of this file"),
    },
    "jobs/store/tell.py": {"update": "a statement of jobs.store", "tell('task_id')": "SQL of this file"},
    "jobs/store/links.py": {"tell('task_id')": TELL},
    "jobs/store/transitions.py": {"changed": "columns of this file"},
    "jobs/worker/flush.py": {
        "tell('task_id')": TELL, "tell('j.task_id')": TELL,
        **dict.fromkeys(("name", "other_end", "other_claim"), "texts of this file"),
    },
    "jobs/worker/process.py": {"', '.join(_DESCRIBED)": OWN},
    "jobs/worker/registration.py": {"columns": "the keys of the worker's own description", "marks": "marks for parameters"},
}  # fmt: skip


def put_together(source: str) -> Iterator[str]:
    """What is put into the SQL of a file and is no constant."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value for part in node.values if isinstance(part, ast.Constant) and isinstance(part.value, str))
            parts = [ast.unparse(part.value) for part in node.values if isinstance(part, ast.FormattedValue)]
            yield from (part for part in parts if SQL.search(text) and not CONSTANT.fullmatch(part))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_sql(node.left):
            yield f"% {ast.unparse(node.right)}"
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format" and _is_sql(node.func.value)
        ):
            yield "format()"


def _is_sql(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value) is not None


def test_statements_are_put_together_from_constants_only() -> None:
    found = {}
    for path in [*(ROOT / "jobs").rglob("*.py"), *(ROOT / "task_queue_project").rglob("*.py")]:
        name = path.relative_to(ROOT).as_posix()
        if strange := set(put_together(path.read_text("utf-8"))) - set(ALLOWED.get(name, {})):
            found[name] = strange
    assert found == {}


def test_what_is_allowed_is_still_there() -> None:
    for name, parts in ALLOWED.items():
        assert set(parts) <= set(put_together((ROOT / name).read_text("utf-8"))), name


@pytest.mark.parametrize(
    "source",
    ["c.execute(f'SELECT {name}')", "c.execute('DELETE FROM t WHERE a = %s' % name)", "c.execute('SET x = {}'.format(name))"],
)
def test_the_check_sees_a_value_in_a_statement(source: str) -> None:
    assert list(put_together(source)) != []
    assert list(put_together("c.execute('SELECT %s', [name])")) == []
