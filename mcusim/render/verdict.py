"""The words of the verdict: `fits`, `does not fit`, `unknown`, and why.

fits, with 41.4 KiB of SRAM to spare (16 %)
does not fit, SRAM 4.1 KiB over (1.6 %), time 3.26 s over (33.6 times the budget)
unknown, not sure of the time: 2,950 to 3,830 ms, allowed 3,000
unknown, SRAM cannot be known, x-cube-ai cannot run it; the warnings below say why
"""

from __future__ import annotations

from mcusim.render.text import in_kib, kib, stored_bytes
from mcusim.report import Report, Verdict
from mcusim.units import format_ms, format_percent, three_digits

__all__ = ["VERDICT_STYLES", "VERDICT_WORDS", "verdict_reason"]

VERDICT_WORDS = {Verdict.FITS: "fits", Verdict.DOES_NOT_FIT: "does not fit", Verdict.UNKNOWN: "unknown"}
VERDICT_STYLES = {Verdict.FITS: "bold green", Verdict.DOES_NOT_FIT: "bold red", Verdict.UNKNOWN: "bold yellow"}

MANY_TIMES = 5
"""From so many times the budget on, the excess is said in times, not in percent."""


def verdict_reason(report: Report, says_why: str = "the warnings below say why") -> str:
    """Which budgets are missed, and by how much; or which cannot be judged.   says_why: where the reasons are."""
    sram, flash, time = report.sram, report.flash, report.latency
    reasons = []
    if report.verdict is Verdict.DOES_NOT_FIT:
        if sram.fits is False:
            reasons.append(_over("SRAM", sram.with_stack_bytes, sram.budget_bytes, at_least=sram.is_bound))
        if flash.fits is False:
            at_least = stored_bytes(flash)
            reasons.append(_over("flash", at_least, flash.budget_bytes, at_least=flash.total_bytes is None))
        if time.fits is False and time.ms is not None and time.budget_ms is not None:
            late = format_ms(time.ms - time.budget_ms)
            reasons.append(f"time {late} over ({_excess(time.ms / time.budget_ms)})")
    elif report.verdict is Verdict.UNKNOWN:
        is_close = flash.fits is None and flash.low_bytes is not None and flash.high_bytes is not None
        unknown = ["SRAM"] * (sram.fits is None) + ["flash"] * (flash.fits is None and not is_close)
        unsure = time.budget_ms is not None and time.fits is None
        if unsure and time.ms is None:
            unknown.append("time")
        if unknown:
            reasons.append(f"{' and '.join(unknown)} cannot be known")
        if is_close and flash.low_bytes is not None and flash.high_bytes is not None:
            interval = f"{kib(flash.low_bytes)} to {in_kib(flash.high_bytes)}"
            reasons.append(f"not sure of the flash: {interval}, and there are {kib(flash.budget_bytes)}")
        if unsure and time.low_ms is not None and time.high_ms is not None and time.budget_ms is not None:
            interval = f"{three_digits(time.low_ms)} to {three_digits(time.high_ms)} ms"
            reasons.append(f"not sure of the time: {interval}, allowed {time.budget_ms:,g}")
        if report.runtime.runs is False:
            reasons.append(f"{report.runtime.name} cannot run it")
        is_explained = unknown or report.runtime.runs is False or not reasons
        return "; ".join(filter(None, (", ".join(reasons), says_why if is_explained else "")))
    else:
        left = sram.budget_bytes - sram.peak_bytes
        reasons.append(f"with {in_kib(left)} of SRAM to spare ({format_percent(left / sram.budget_bytes)})")
    return ", ".join(reasons)


def _over(what: str, used: int, budget: int, at_least: bool = False) -> str:
    least = "at least " if at_least else ""
    return f"{what} {least}{in_kib(used - budget)} over ({_excess(used / budget)})"


def _excess(times: float) -> str:
    """By how much a budget is missed: `1.6 %`; of a large excess, how many times the budget is needed."""
    return f"{three_digits(times)} times the budget" if times >= MANY_TIMES else format_percent(times - 1)
