"""A command line that cannot be read is answered in one line; argparse writes the usage before it, and has no Arabic."""

import io
import sys

import pytest
from django.core.management import BaseCommand, CommandError, call_command, get_commands, load_command_class
from django.utils import translation

from jobs.management import base

WRONG = [
    (["seed_jobs", "--jobs=abc"], "--jobs is not a number: abc"),
    (["enqueue"], "missing: TASK"),
    (["enqueue", "jobs.tasks.sleep", "--later", "--now"], "unknown: --later --now"),
    (["enqueue", "jobs.tasks.sleep", "--run_at=x", "--delay=1"], "--delay and --run-at cannot be used together"),
    (["test_priority_concurrency", "--count=abc"], "--count is not a number: abc"),
    (["test_dead_letter_queue", "--timeout"], "--timeout needs a value"),
    (["services", "go"], "action must be one of start, stop, status, env, not go"),
    (["jobs", "--json=1"], "argument --json: ignored explicit argument 1"),
    (["dispatch", "--end=x\ny"], "--end is not a number: x\\ny"),
    (["up", "now"], "unknown: now"),
    (["demo", "-v", "9"], "-v must be one of 0, 1, 2, 3, not 9"),
]
DJANGO = {action.help for action in BaseCommand().create_parser("manage.py", "check")._actions}  # and argparse: they have no Arabic


@pytest.mark.parametrize(("words", "said"), WRONG, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_it_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with translation.override("en"), pytest.raises(SystemExit) as ended:
        load_command_class("jobs", words[0]).run_from_argv(["manage.py", *words])
    out, line = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert line.replace("'", "") == f"{said} (see manage.py {words[0]} --help)\n"


def test_all_commands_are_tried() -> None:
    assert {words[0] for words, _ in WRONG} == {name for name, app in get_commands().items() if app == "jobs"}


def test_it_is_in_the_reader_s_language(capsys: pytest.CaptureFixture[str]) -> None:
    with translation.override("ar"), pytest.raises(SystemExit):
        load_command_class("jobs", "enqueue").run_from_argv(["manage.py", "enqueue"])
    assert capsys.readouterr().err == "ناقص: \u2068TASK\u2069 (انظر \u2068manage.py enqueue --help\u2069)\n"


@pytest.mark.parametrize("name", sorted({words[0] for words, _ in WRONG}))
def test_help_is_in_the_reader_s_language(name: str) -> None:
    parser = load_command_class("jobs", name).create_parser("manage.py", name)
    own = [text for text in (parser.description, *(action.help for action in parser._actions)) if text and text not in DJANGO]
    with translation.override("en"):
        english = " ".join(parser.format_help().split())
    with translation.override("ar"):
        arabic = " ".join(parser.format_help().split())
    assert [text for text in own if text not in english] == []
    assert [text for text in own if text in arabic] == []


@pytest.mark.parametrize("name", sorted({words[0] for words, _ in WRONG}))
def test_help_says_what_each_option_is_for(name: str) -> None:
    parser = load_command_class("jobs", name).create_parser("manage.py", name)
    assert [action.option_strings for action in parser._actions if action.option_strings and not action.help] == []


def test_help_tells_the_options_for_people_from_those_of_workers() -> None:
    parser = load_command_class("jobs", "dispatch").create_parser("manage.py", "dispatch")
    with translation.override("en"):
        before, after = parser.format_help().split("Set by a worker for the leader that it starts:")
    assert ("--app" in before.split("options:")[1], "--deadlines" in before.split("options:")[1]) == (True, False)
    assert "--app" not in after


def test_help_is_in_english_where_the_output_has_no_arabic_letters() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    with translation.override("ar"):
        load_command_class("jobs", "enqueue").create_parser("manage.py", "enqueue").print_help(file)
    file.seek(0)
    assert "Create jobs of a task and print their numbers." in file.read()


def test_code_gets_an_error() -> None:
    with translation.override("en"), pytest.raises(CommandError, match=r"^--jobs is not a number: abc$"):
        call_command("seed_jobs", "--jobs=abc")


@pytest.mark.parametrize(("asked", "encoding"), [(None, "utf-8"), ("cp1256", "cp1256")])
def test_on_windows_a_pipe_is_utf_8_unless_asked_otherwise(monkeypatch: pytest.MonkeyPatch, asked: str | None, encoding: str) -> None:
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    if asked:
        monkeypatch.setenv("PYTHONIOENCODING", asked)
    pipe = io.BytesIO()
    stream = io.TextIOWrapper(pipe, encoding="cp1256", write_through=True)
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        base.take_all_letters(stream)
    stream.write("مهمة")
    assert pipe.getvalue().decode(encoding) == "مهمة"


def test_many_numbers_that_nobody_read_are_told_in_few_words(capsys: pytest.CaptureFixture[str]) -> None:
    class Closed:
        def write(self, text: str) -> None:
            raise base.OutputLost("Broken pipe")

    command = base.Command()
    command.stdout = Closed()  # type: ignore[assignment]
    with translation.override("en"):
        command.print_numbers([7, *range(19, 20_019), 20_020, 20_021])
    assert capsys.readouterr().err == "Accepted, but the output could not be written (Broken pipe): 7 19-20018 20020-20021\n"
