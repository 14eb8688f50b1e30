"""Small drawings in a line of text: bars of the last hours, and how far a run is."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from jobs.store.clock import reckoned
from jobs.web.times import span

SHORT: Final = 1.0  # seconds: a run this short is not called long


def spark(numbers: Sequence[int]) -> SafeString:
    """Small bars, one for each number; the last one is now."""
    top = max([*numbers, 1])
    heights = [max(number * 20 / top, 0.5) for number in numbers]
    bars = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="3" height="{}"/>',
        (
            ("now" if place == len(numbers) - 1 else "", place * 4, f"{20 - height:.1f}", f"{height:.1f}")
            for place, height in enumerate(heights)
        ),
    )
    text = _("%(all)s in 24 hours, %(now)s in this hour") % {"all": f"{sum(numbers):,}", "now": f"{numbers[-1]:,}" if numbers else "0"}
    return format_html(
        '<svg class="spark" role="img" aria-label="{}" viewBox="0 0 {} 20" preserveAspectRatio="none"><title>{}</title>{}</svg>',
        text, max(len(numbers) * 4, 1), text, bars,
    )  # fmt: skip


def slot_meter(job: Any, usual: Mapping[str, float]) -> SafeString | str:
    """How far a running job is into the time that 95% of its kind take, else into its time limit; nothing where neither is known."""
    whole = _whole(job, usual)
    if whole is None:
        return ""
    took = _took(job)
    text = (
        _("%(took)s of the %(whole)s within which 95%% of its kind complete")
        if job.task in usual
        else _("%(took)s of its time limit, %(whole)s")
    )
    text %= {"took": span(took), "whole": span(whole)}
    value = f"{min(took / whole, 1.0):.3f}"
    return format_html('<meter value="{}" title="{}" aria-label="{}">{}</meter>', value, text, text, text)


def slot_is_long(job: Any, usual: Mapping[str, float]) -> bool:
    """Whether it has run longer than 95% of its kind do."""
    return job.task in usual and _took(job) > max(usual[job.task], SHORT)


def _whole(job: Any, usual: Mapping[str, float]) -> float | None:
    whole = usual.get(job.task, job.timeout)
    return None if whole is None else max(float(whole), SHORT)


def _took(job: Any) -> float:
    return max((reckoned() - job.started_at).total_seconds(), 0.0) if job.started_at else 0.0
