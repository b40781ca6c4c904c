"""The words behind a verdict, sentence by sentence: by how much a budget is missed, what cannot be known, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reports import report

from mcusim.render.verdict import verdict_reason
from mcusim.report import FlashInfo, LatencyInfo, Report, SramInfo, Verdict

MISSED, UNKNOWN = report(Verdict.DOES_NOT_FIT), report(Verdict.UNKNOWN)
ENOUGH_SRAM, ENOUGH_FLASH = MISSED.sram._replace(fits=True), UNKNOWN.flash._replace(fits=True)


def sram(known: SramInfo) -> Report:
    return replace(MISSED, sram=known)


def flash(known: FlashInfo) -> Report:
    return replace(MISSED, sram=ENOUGH_SRAM, flash=known)


def late(ms: float) -> Report:
    return replace(MISSED, sram=ENOUGH_SRAM, latency=MISSED.latency._replace(ms=ms, budget_ms=3000.0, fits=False))


def unsure(time: LatencyInfo) -> Report:
    return replace(UNKNOWN, flash=ENOUGH_FLASH, latency=time._replace(budget_ms=3000.0, fits=None))


BY_WHY = "the warnings below say why"
TOO_LARGE = MISSED.flash._replace(fits=False, budget_bytes=400_000)
CLOSE = UNKNOWN.flash._replace(low_bytes=390_000, high_bytes=410_000, budget_bytes=400_000)
REASONS: list[tuple[Report, str]] = [
    (report(Verdict.FITS), "with 106.0 KiB of SRAM to spare (41 %)"),
    # 153,600 bytes of 131,072: 22.0 KiB too many; a stack of 1,024 bytes must fit beside them.
    (MISSED, "SRAM 22.0 KiB over (17 %)"),
    (sram(MISSED.sram._replace(stack_bytes=1024)), "SRAM 23.0 KiB over (18 %)"),
    (sram(MISSED.sram._replace(is_bound=True)), "SRAM at least 22.0 KiB over (17 %)"),
    (flash(TOO_LARGE._replace(total_bytes=500_000)), "flash 97.7 KiB over (25 %)"),
    (
        flash(TOO_LARGE._replace(total_bytes=None, model_bytes=500_000, code_bytes=None)),
        "flash at least 97.7 KiB over (25 %)",
    ),
    (late(4000.0), "time 1.00 s over (33 %)"),
    (late(14_900.0), "time 11.9 s over (397 %)"),
    (late(15_000.0), "time 12.0 s over (5.00 times the budget)"),
    (UNKNOWN, f"flash cannot be known; {BY_WHY}"),
    (replace(UNKNOWN, sram=UNKNOWN.sram._replace(fits=None)), f"SRAM and flash cannot be known; {BY_WHY}"),
    (replace(UNKNOWN, flash=CLOSE), "not sure of the flash: 380.9 to 400.4 KiB, and there are 390.6"),
    (
        unsure(UNKNOWN.latency._replace(ms=3300.0, low_ms=2950.0, high_ms=3830.0)),
        "not sure of the time: 2,950 to 3,830 ms, allowed 3,000",
    ),
    (unsure(UNKNOWN.latency._replace(ms=None, low_ms=None, high_ms=None)), f"time cannot be known; {BY_WHY}"),
    (
        replace(UNKNOWN, flash=ENOUGH_FLASH, runtime=UNKNOWN.runtime._replace(runs=False)),
        f"tinyengine cannot run it; {BY_WHY}",
    ),
    (replace(UNKNOWN, flash=ENOUGH_FLASH), BY_WHY),
]


@pytest.mark.parametrize(("answer", "reason"), REASONS, ids=[reason for _, reason in REASONS])
def test_the_reason_behind_a_verdict(answer: Report, reason: str) -> None:
    assert verdict_reason(answer) == reason
