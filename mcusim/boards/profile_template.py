"""The commented profile that `mcusim profiles new` writes."""

from __future__ import annotations

__all__ = ["TEMPLATE"]

TEMPLATE = """\
# A board for mcusim. Try it:   mcusim profiles check @NAME@.toml
#                               mcusim run --profile ./@NAME@.toml
# Sizes are bytes, clocks hertz, addresses 32-bit. TOML allows 0x20000000 and 100_000_000.
# What you do not know, leave out: mcusim then answers null and says why. Note in `source` where a number comes from.
# The numbers below are an example. Replace every one of them.

name = "@NAME@"
title = "My board"                 # for people
core = "cortex-m4"                 # cortex-m0, m0+, m3, m4, m7, m23, m33, m55 or m85, each with "cortex-" before it
clock_hz = 100_000_000             # the core clock
default_model = "mcunet-vww0"      # what `mcusim run` takes when no model is named; `mcusim models` lists them
# aliases = ["my-other-name"]      # further names
# series = "stm32f4"               # parts that share core, flash and buses: measurements of its kin then count for it
# reserved_bytes = 16_384          # SRAM that stack, heap and your application keep from the arena; 0 if left out
# source = "datasheet, page"       # where core and clock come from

# One [[memory]] for each bank. The arena lies in one piece, so the budget is the largest run of banks whose addresses
# follow one another.
[[memory]]
name = "SRAM1"
address = 0x20000000
size_bytes = 131_072               # 128 KiB
kind = "sram"                      # sram, axi, dtcm, itcm, ccm or external; itcm and external hold no arena
# arena = false                    # to keep a bank away from the arena
# bytes_per_second = 80_000_000    # of external memory: what it delivers, sustained
# source = "reference manual, memory map"

[flash]
address = 0x08000000
size_bytes = 524_288               # 512 KiB
# wait_states = 3                  # at clock_hz, 0 to 15
# The next four are recorded, and not yet used by the model of time.
# read_width_bits = 128            # bits in one flash read
# accelerator = true               # prefetch and small caches in front of the flash (ST's ART and its like)
# accelerator_icache_bytes = 1_024
# accelerator_dcache_bytes = 128
# bytes_per_second = 7_600_000     # of a flash outside the chip, read in place (QSPI, XIP): what it delivers
# source = "reference manual, flash chapter"

# [caches]                         # of the core; 0 where there is none
# icache_bytes = 16_384
# dcache_bytes = 16_384
# dcache_external_only = false     # true where it serves external memory only; recorded, and not yet used
# source = "datasheet, features"

# [power]                          # while the network runs; without it energy is null
# active_low_mw = 40.0
# active_high_mw = 50.0
# setting = "100 MHz, 3.3 V"
# source = "my own measurement"

# [price]                          # of the part
# usd = 4.0
# source = "distributor, quantity"
"""
