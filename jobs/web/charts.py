"""Charts as SVG made here: numbers in, coordinates out; their texts and tables are HTML."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from django.utils import formats
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.store.history import History, Period, Step, Times
from jobs.web.times import local, seconds, span

LINES: Final = 4  # parts of the upright axis
MARKS: Final = 6  # parts of the time axis
PERIODS: Final[dict[Period, Promise]] = {
    Period.HOUR: gettext_lazy("1 hour"), Period.DAY: gettext_lazy("24 hours"), Period.WEEK: gettext_lazy("7 days"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One rectangle, in hundredths of the plot."""

    x: str
    y: str
    width: str
    height: str
    bad: bool
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: what it says in words, its marks, and the same numbers as a table."""

    id: str
    title: str
    summary: str
    half: str = ""  # for the legend: the median
    most: str = ""  # and what 95% do not exceed
    bars: tuple[Bar, ...] = ()
    half_path: str = ""
    most_path: str = ""
    zero: str = "100.0"  # height of the zero line
    grid: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()  # of the upright axis, from the top
    marks: tuple[str, ...] = ()  # of the time axis
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def charts(history: History) -> tuple[Chart, ...]:
    """Throughput, waiting time and run time of the period."""
    wait, run = _seconds(history, "wait", _("Time to start"), history.wait), _seconds(history, "run", _("Run time"), history.run)
    return _ended(history), wait, run


def _ended(history: History) -> Chart:
    steps = history.steps
    top, bottom = max(step.completed for step in steps), max(step.failed for step in steps)
    unit = _unit(lambda unit: math.ceil(top / unit) + math.ceil(bottom / unit) <= LINES, whole=True)
    up, down = max(math.ceil(top / unit), 1), math.ceil(bottom / unit)
    scale = 100 / ((up + down) * unit)
    zero = up * unit * scale
    bars: list[Bar] = []
    for place, step in enumerate(steps):
        for number, bad in ((step.completed, False), (step.failed, True)):
            if number:
                height = number * scale
                bars.append(
                    Bar(
                        x=_at(place * 100 / len(steps) + 15 / len(steps)), y=_at(zero if bad else zero - height),
                        width=_at(70 / len(steps)), height=_at(height), bad=bad, title=f"{_clock(step.start, history)} · {number:,}",
                    )
                )  # fmt: skip
    completed, failed = sum(step.completed for step in steps), sum(step.failed for step in steps)
    return Chart(
        id="ended",
        title=_("Ended per minute") if history.seconds == 60 else _("Ended per %(time)s") % {"time": span(history.seconds)},
        summary=_("%(completed)s completed and %(failed)s failed.") % {"completed": f"{completed:,}", "failed": f"{failed:,}"},
        bars=tuple(bars),
        zero=_at(zero),
        grid=tuple(_at(line * 100 / (up + down)) for line in range(up + down + 1)),
        labels=tuple(f"{abs(line * unit):,.0f}" for line in range(up, -down - 1, -1)),
        marks=_marks(history),
        columns=(_("Time"), _("Completed"), _("Failed")),
        rows=tuple((_clock(step.start, history), f"{step.completed:,}", f"{step.failed:,}") for step in reversed(steps)),
    )


def _seconds(history: History, what: str, title: str, whole: Times) -> Chart:
    times = [(step, _times(step, what)) for step in history.steps]
    top = max((one.most for _step, one in times if one.most is not None), default=0.0)
    unit = _unit(lambda unit: top / unit <= LINES, whole=not top)
    half, most = seconds(whole.half), seconds(whole.most)
    if whole.half is None:
        summary = _("Nothing completed in this period.")
    else:
        summary = _("Half take at most %(half)s, 95%% at most %(most)s.") % {"half": half, "most": most}
    return Chart(
        id=what,
        title=title,
        summary=summary,
        half=half,
        most=most,
        half_path=_path([one.half for _step, one in times], unit),
        most_path=_path([one.most for _step, one in times], unit),
        grid=tuple(_at(line * 100 / LINES) for line in range(LINES + 1)),
        labels=tuple(_label(line * unit) for line in range(LINES, -1, -1)),
        marks=_marks(history),
        columns=(_("Time"), "50%", "95%"),
        rows=tuple(
            (_clock(step.start, history), seconds(one.half), seconds(one.most)) for step, one in reversed(times) if one.half is not None
        ),
    )


def _times(step: Step, what: str) -> Times:
    return step.wait if what == "wait" else step.run


def _path(values: Sequence[float | None], unit: float) -> str:
    """One stroke for each stretch of values; a value alone is as long as its step."""
    places = [(place, value) for place, value in enumerate(values)]
    strokes, width = [], 100 / max(len(values), 1)
    for known, part in groupby(places, key=lambda pair: pair[1] is not None):
        if known:
            spots = [((place + 0.5) * width, 100 - (value or 0) * 100 / (unit * LINES)) for place, value in part]
            if len(spots) == 1:
                spots = [(spots[0][0] - width / 2, spots[0][1]), (spots[0][0] + width / 2, spots[0][1])]
            strokes.append("M" + "L".join(f"{_at(x)} {_at(y)}" for x, y in spots))
    return "".join(strokes)


def _unit(fits: Callable[[float], bool], *, whole: bool) -> float:
    """The smallest of 1, 2, 5, 10, 20 … (or of 0.001, 0.002 …) that fits."""
    power = 0 if whole else -3
    while True:
        for digit in (1, 2, 5):
            unit = digit * 10.0**power
            if fits(unit):
                return unit
        power += 1


def _marks(history: History) -> tuple[str, ...]:
    """The edges of equal parts, from the start of the first step to the end of the last."""
    part = timedelta(seconds=history.seconds * len(history.steps)) / MARKS
    return tuple(_clock(history.steps[0].start + place * part, history) for place in range(MARKS + 1))


def _clock(moment: datetime, history: History) -> str:
    return formats.date_format(local(moment), "j M H:i" if history.period is Period.WEEK else "H:i")


def _label(value: float) -> str:
    """A number without digits that say nothing, and never as a power of ten.

    >>> _label(0.004), _label(0.30000000000000004), _label(20.0), _label(2_000_000.0)
    ('0.004', '0.3', '20', '2,000,000')
    """
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def _at(value: float) -> str:
    return f"{value:.2f}"
