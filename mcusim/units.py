"""Units for people. Inside mcusim everything is bytes, cycles and hertz; KiB, ms and MHz exist only here."""

from __future__ import annotations

__all__ = [
    "BYTES_PER_KIB",
    "cycles_to_ms",
    "format_bytes",
    "format_count",
    "format_hz",
    "format_ms",
    "format_percent",
    "format_seconds",
    "ms_to_cycles",
    "parse_bytes",
    "parse_count",
    "parse_hz",
    "three_digits",
]

BYTES_PER_KIB = 1024

_BYTE_UNITS = {
    **{"": 1, "b": 1},
    **{"k": 1024, "kb": 1024, "kib": 1024},
    **{"m": 1024**2, "mb": 1024**2, "mib": 1024**2},
    **{"g": 1024**3, "gb": 1024**3, "gib": 1024**3},
}
_COUNT_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_HZ_UNITS = {"": 1.0, "hz": 1.0, "khz": 1e3, "k": 1e3, "mhz": 1e6, "m": 1e6, "ghz": 1e9, "g": 1e9}


def cycles_to_ms(cycles: float, clock_hz: float) -> float:
    """Milliseconds that `cycles` take at `clock_hz`."""
    return cycles / clock_hz * 1e3


def ms_to_cycles(ms: float, clock_hz: float) -> float:
    """Cycles in `ms` milliseconds at `clock_hz`."""
    return ms * clock_hz / 1e3


def format_bytes(size_bytes: float) -> str:
    """`512 B`, `12.5 KiB`, `1.94 MiB`: three significant digits or so, binary units."""
    magnitude = abs(size_bytes)
    if magnitude < BYTES_PER_KIB:
        return f"{size_bytes:.0f} B"
    if magnitude < 10 * BYTES_PER_KIB**2:
        return f"{size_bytes / BYTES_PER_KIB:,.1f} KiB"
    return f"{size_bytes / BYTES_PER_KIB**2:,.2f} MiB"


def format_count(count: float) -> str:
    """`951`, `12.3 k`, `81.8 M`, `1.20 G`: decimal, for MACs and parameters."""
    for limit, divisor, suffix, digits in ((1e3, 1.0, "", 0), (1e6, 1e3, " k", 1), (1e9, 1e6, " M", 1)):
        if abs(count) < limit:
            return f"{count / divisor:.{digits}f}{suffix}"
    return f"{count / 1e9:.2f} G"


def format_ms(ms: float) -> str:
    """`0.42 ms`, `27.3 ms`, `336 ms`, `7.82 s`, `48.3 s`."""
    return f"{three_digits(ms / 1000)} s" if ms >= 1000 else f"{three_digits(ms)} ms"


def three_digits(amount: float) -> str:
    """`0.42`, `27.3`, `336`, `48,300`: no more digits than an estimate deserves."""
    rounded = float(f"{amount:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:.1f}" if rounded >= 10 else f"{rounded:.2f}"


def format_seconds(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`: for how long a person waits."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def format_hz(clock_hz: float) -> str:
    """`480 MHz`, `32 kHz`."""
    return f"{clock_hz / 1e6:g} MHz" if clock_hz >= 1e6 else f"{clock_hz / 1e3:g} kHz"


def format_percent(ratio: float) -> str:
    """`12 %` for 0.12; one decimal below ten percent; from ten times on `12x`, `>999x` for more than anybody reads."""
    percent = ratio * 100
    if percent >= 999.5:
        return f"{ratio:.0f}x" if ratio < 999.5 else ">999x"
    return f"{percent:.0f} %" if abs(percent) >= 10 else f"{percent:.1f} %"


def parse_bytes(text: str) -> int:
    """Bytes of `256k`, `256KiB`, `1M`, `2G` or `262144`. Units are binary. Raises ValueError."""
    return _parse(text, _BYTE_UNITS)


def parse_count(text: str) -> int:
    """`119M`, `0.67M`, `1.2e6` or `64000`. Units are decimal. Raises ValueError."""
    return _parse(text, _COUNT_UNITS)


def parse_hz(text: str) -> int:
    """Hertz of `480MHz`, `64e6` or `32k`. Units are decimal. Raises ValueError."""
    return _parse(text, _HZ_UNITS)


def _parse(text: str, units: dict[str, int] | dict[str, float]) -> int:
    compact = text.strip().lower().replace(" ", "").replace("_", "")
    number = compact.rstrip("abcdfghijklmnopqrstuvwxyz")
    unit = compact[len(number) :]
    if unit not in units:
        raise ValueError(f"{text!r} has an unknown unit {unit!r}")
    amount = round(float(number) * units[unit], 6)  # 0.67 M is whole, though 0.67 is no binary number
    if not 0 < amount < 2**63 or amount != int(amount):
        raise ValueError(f"{text!r} is not a positive whole amount")
    return int(amount)
