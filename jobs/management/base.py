"""What every command here does in one line instead of a traceback or the usage: bad options, no server, nobody who reads, Ctrl-C."""

import codecs
import json
import os
import sys
from argparse import Action
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter, OutputWrapper
from django.db import NotSupportedError
from django.utils import translation
from django.utils.translation import gettext as _

from jobs.management.messages import said_of_options

INTERRUPTED: Final = 130  # what shells give a process that Ctrl-C ended
ISOLATES: Final = "\u2066\u2067\u2068\u2069"
ESCAPING: Final = "jobs.escape"  # a name for codecs


class OutputLost(Exception):
    """What a command said could not be written; the message is the system's reason."""


class Output(OutputWrapper):
    """Standard output or error of a command. Raises OutputLost."""

    def write(self, msg: str = "", *style: Any, **options: Any) -> None:  # type: ignore[override]
        """One line, as Django's."""
        self._try(super().write, msg, *style, **options)

    def flush(self) -> None:
        """What is in the buffer."""
        self._try(super().flush)

    def _try(self, act: Callable[..., None], *args: Any, **options: Any) -> None:
        try:
            act(*args, **options)
        except OSError as error:
            # What stays in the buffer would fail once more when the interpreter ends, with a traceback and another code.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise OutputLost(error.strerror) from error


class Parser(CommandParser):
    """Says what is wrong with a command line in one line; argparse writes the usage before it."""

    def error(self, message: str) -> NoReturn:
        """Exit 2; CommandError for a call from code."""
        line = said_of_options(message)
        if not self.called_from_command_line:
            raise CommandError(line)
        self.exit(2, _("%(error)s (see %(command)s --help)") % {"error": line, "command": self.prog} + "\n")

    def print_help(self, file: Any = None) -> None:
        """Where the output takes no Arabic letters: in English."""
        with readable(file or sys.stdout):
            super().print_help(file)


class Help(DjangoHelpFormatter):
    """Help in the reader's language: a command only marks its texts, which are looked up when they are shown."""

    def add_text(self, text: str | None) -> None:
        """What the command is for."""
        super().add_text(text and _(text))

    def _get_help_string(self, action: Action) -> str | None:
        return action.help and _(action.help)


class Refusing(BaseCommand):
    """Django's, but for its words about a command line that cannot be read, the language of its help, and outputs that lack letters."""

    def run_from_argv(self, argv: list[str]) -> None:
        """From a command line."""
        with readable():
            super().run_from_argv(argv)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django has no option for the parser's class."""
        kwargs.setdefault("formatter_class", Help)
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.__class__ = Parser
        return parser


class Command(Refusing):
    """Django's, but its ends are one line each, in any project."""

    def __init__(self, stdout: Any = None, stderr: Any = None, no_color: bool = False, force_color: bool = False) -> None:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by the caller, who wants to read nothing
                setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open as long as the process
        super().__init__(stdout, stderr, no_color, force_color)
        if stdout is None:
            self.stdout = Output(sys.stdout)
        if stderr is None:
            style = self.stderr.style_func
            self.stderr = Output(sys.stderr)
            self.stderr.style_func = style

    def run_from_argv(self, argv: list[str]) -> None:
        """From a command line; from code (`call_command`) errors are raised as they are."""
        with readable():
            self._run_from_argv(argv)

    def _run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except KeyboardInterrupt:
            print(_("Interrupted; accepted jobs continue."), file=sys.stderr)
            sys.exit(INTERRUPTED)
        except OutputLost as error:
            sys.exit(
                1 if isinstance(error.__cause__, BrokenPipeError) else _("The output could not be written: %(error)s") % {"error": error}
            )
        except Exception as error:  # every way in which a server can be missing; anything else goes on with its traceback
            if not is_connection_error(error) or "--traceback" in argv:
                raise
            line = " ".join(str(error).split()) or type(error).__name__
            raise SystemExit(
                _("A server failed: %(error)s (DATABASES and CELERY_BROKER_URL name PostgreSQL and Redis)") % {"error": line}
            ) from error

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it; what it said is written when this returns."""
        output = super().execute(*args, **options)
        self.stdout.flush()
        return output

    def print_numbers(self, ids: Sequence[int]) -> None:
        """The numbers of accepted jobs, one a line. Not to write them is no failure: who repeats the command makes the jobs twice."""
        try:
            for id in ids:
                self.stdout.write(str(id))
            self.stdout.flush()
        except OutputLost as lost:
            try:
                self.stderr.write(
                    _("Accepted, but the output could not be written (%(error)s): %(ids)s") % {"error": lost, "ids": ranges(ids)}
                )
            except OutputLost:
                pass  # it was the same pipe


@contextmanager
def readable(*streams: Any) -> Iterator[None]:
    """These outputs, or the process's own, take every letter; what is said is English where one of them has no Arabic ones."""
    outputs = streams or (sys.stdout, sys.stderr)
    for stream in outputs:
        take_all_letters(stream)
    with nullcontext() if all(map(_has_arabic, outputs)) else translation.override("en"):
        yield


def _has_arabic(stream: Any) -> bool:
    try:
        "م".encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def ranges(ids: Sequence[int]) -> str:
    """Numbers of jobs, in few words however many they are.

    >>> ranges([7, 8, 9, 12, 14, 15])
    '7-9 12 14-15'
    """
    ends: list[tuple[int, int]] = []
    for id in ids:
        if ends and ends[-1][1] == id - 1:
            ends[-1] = ends[-1][0], id
        else:
            ends.append((id, id))
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in ends)


def take_all_letters(stream: Any) -> None:
    """What the encoding of an output lacks is escaped; the output of a pipe on Windows, where no encoding was asked for, is UTF-8."""
    if not hasattr(stream, "reconfigure") or codecs.lookup(stream.encoding).name == "utf-8":
        return
    if sys.platform == "win32" and "PYTHONIOENCODING" not in os.environ:
        stream.reconfigure(encoding="utf-8")
    else:
        stream.reconfigure(errors=ESCAPING)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """One letter as JSON has it; marks of direction are left out: they are no letters, and Arabic encodings lack them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    return "" if letter in ISOLATES else json.dumps(letter)[1:-1], error.start + 1


codecs.register_error(ESCAPING, _escape)


def is_connection_error(error: BaseException | None) -> bool:
    """Whether this is the error of a driver, so that a missing server may be the cause, or one that takes no writes or is too old."""
    if isinstance(error, NotSupportedError) and error.__cause__ is None:  # Django's own word about the server's version
        return True
    kinds = {kind.__name__ for one in (error, error and error.__cause__) for kind in type(one).__mro__}
    return bool(kinds & {"OperationalError", "InterfaceError", "ConnectionError", "ReadOnlySqlTransaction"})
