"""docs/api.md lists every public name, option, field, verb, setting, command and task, and nothing else."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import jobs
import jobs.tasks
from jobs import JobTask, control, dead_letters, enqueueing
from jobs.conf import PREFIX, Configuration
from jobs.management import commands
from jobs.models import Job

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text("utf-8")
# Workers start their leader with these.
OF_WORKERS = {"--database-name", "--key-prefix", "--deadlines", "--end", "--signals", "--parent", "--logfile", "--loglevel"}
DJANGO = {"--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color", "--skip-checks"}


def rows(section: str, table: int = 0) -> list[list[str]]:
    """The cells of a table of a section, without its head."""
    (body,) = [part for part in TEXT.split("\n## ") if part.startswith(section)]
    found = [part for part in body.split("\n\n") if part.startswith("|")][table].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found]


def quoted(*cells: str) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_names() -> None:
    assert quoted(*(row[0] for row in rows("Names of"))) == jobs.__all__


def test_options_of_enqueue() -> None:
    options = {**enqueueing.Options.__annotations__, **enqueueing.SharedOptions.__annotations__}
    taken = {**inspect.signature(enqueueing.validate).parameters, **inspect.signature(enqueueing._new).parameters}
    assert options.keys() == taken.keys() - {"errors", "own", "options", "task", "unknown", "way"}
    found = {quoted(row[0])[0]: row[1] for row in rows("`enqueue(")}
    assert found.keys() == options.keys()
    for name, shown in found.items():
        if re.fullmatch(r"`(\d+|None|\"\")`", shown):
            assert ast.literal_eval(shown.strip("`")) == taken[name].default, name
    assert [found[name] for name in ("priority", "timeout")] == [f"the task's own, else `{usual}`" for usual in (5, "JOBS_DEFAULT_TIMEOUT")]


def test_options_of_enqueue_many() -> None:
    own = set(inspect.signature(enqueueing.enqueue_many).parameters) - {"task", "calls", "options"}
    assert set(quoted(*(row[0] for row in rows("`enqueue_many(")))) == own | enqueueing.SharedOptions.__annotations__.keys()


def test_what_a_task_has() -> None:
    own = {name for name in vars(JobTask) if not name.startswith("_")}
    shown = {name.removeprefix("self.").split("(")[0] for name in quoted(*(row[0] for row in rows("In a task")))}
    of_celery = {name for name in own if any(hasattr(base, name) for base in JobTask.__mro__[1:])}
    assert shown | {"timeout"} == own - of_celery - {"override_max_retries"}  # Celery sets that one


def test_fields_of_a_job() -> None:
    assert sorted(quoted(*(row[0] for row in rows("Fields of a job")))) == sorted(field.name for field in Job._meta.concrete_fields)


@pytest.mark.parametrize(("module", "table"), [(control, 0), (dead_letters, 1)], ids=["control", "dead_letters"])
def test_verbs(module: ModuleType, table: int) -> None:
    made = {
        name: ", ".join(_parameters(verb))
        for name, verb in vars(module).items()
        if inspect.isfunction(verb) and verb.__module__ == module.__name__ and not name.startswith("_")
    }
    assert dict(call.removesuffix(")").split("(") for call in quoted(*(row[0] for row in rows("Verbs", table)))) == made


@pytest.mark.parametrize("answer", [control.Report, control.Foreseen])
def test_answers_of_verbs(answer: Any) -> None:
    (text,) = [part for part in TEXT.split("\n## ") if part.startswith("Verbs")]
    assert {field.name for field in fields(answer)} <= set(quoted(text))


def _parameters(verb: Any) -> Iterator[str]:
    parameters = inspect.signature(verb).parameters
    named = [name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    for name, parameter in parameters.items():
        if name in named[:1]:
            yield "*"  # what follows is given by name
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        yield stars + name + ("" if parameter.default is parameter.empty else "=" + repr(parameter.default).replace("'", '"'))


def test_settings_and_their_defaults() -> None:
    shown = {quoted(row[0])[0]: ast.literal_eval(quoted(row[1])[0]) for row in rows("Settings")}
    assert shown == {PREFIX + field.name.upper(): getattr(Configuration(), field.name) for field in fields(Configuration)}


def test_commands_and_their_options() -> None:
    setup = (ROOT / "setup.py").read_text("utf-8")
    bundled = ast.literal_eval(re.search(r'"jobs\.management\.commands": (\{[^}]*\})', setup).group(1))  # type: ignore[union-attr]
    made = {}
    for module in pkgutil.iter_modules(commands.__path__):
        if module.name not in bundled:
            command = importlib.import_module(f"{commands.__name__}.{module.name}").Command()
            actions = command.create_parser("manage.py", module.name)._actions
            longest = [next((name for name in action.option_strings if name.startswith("--")), "") for action in actions]
            made[module.name] = {name for name in longest if name} - DJANGO - OF_WORKERS
    assert {quoted(row[0])[0].split()[0]: set(quoted(row[1])) for row in rows("Commands")} == made


def test_tasks_and_their_arguments() -> None:
    tasks = {value.name: value for value in vars(jobs.tasks).values() if str(getattr(value, "name", "")).startswith("jobs.tasks.")}
    made = {name: list(inspect.signature(task.run).parameters) for name, task in tasks.items()}
    assert {quoted(row[0])[0]: quoted(row[1]) for row in rows("Built-in tasks")} == made
