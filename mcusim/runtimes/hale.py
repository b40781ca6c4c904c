"""HALE, Bosch's code generator: closed, its times published with MLPerf Tiny."""

from __future__ import annotations

from mcusim.runtimes.timed import timed_runtime

__all__ = ["HALE"]

HALE = timed_runtime(
    "hale",
    "HALE",
    "HALE, Bosch's code generator, closed",
    ("1.0.175", "1.0"),
    "three MLPerf Tiny networks each on STM32L4R5, F746, H7A3, U575, G0B1 and CY8C62, some also with the options "
    "max-performance and min-ram",
    builds=(
        ("", "as Bosch submitted it to MLPerf Tiny, without an option"),
        ("max-performance", "as Bosch submitted it to MLPerf Tiny, option max-performance"),
        ("min-ram", "as Bosch submitted it to MLPerf Tiny, option min-ram"),
    ),
)
