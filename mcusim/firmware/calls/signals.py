"""Calls of the audio front end: fixed point, in the widths that TFLM's signal library has."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from mcusim.arithmetic.fourier import RealTransform
from mcusim.firmware.calls.shared import refused
from mcusim.firmware.steps import StepText, product
from mcusim.ops.registry import attributes_of
from mcusim.ops.signal_delay import SignalDelayAttributes
from mcusim.ops.signal_energy import Band
from mcusim.ops.signal_filter_bank_log import SEGMENT_TABLE, SignalFilterBankLogAttributes
from mcusim.ops.signal_filter_bank_spectral_subtraction import SignalFilterBankSpectralSubtractionAttributes
from mcusim.ops.signal_framer import SignalFramerAttributes
from mcusim.ops.signal_stacker import SignalStackerAttributes

__all__ = ["SIGNAL_WRITERS"]

MOST_STAGES = 16
"""Of a transform that `signal_fft.h` has room for."""


def _memories(s: StepText) -> list[str]:
    """Where the step keeps what it remembers; only the network itself has room for it, not its subgraphs."""
    addresses = s.remembered()
    if not addresses:
        raise refused(s, "inside of a subgraph, where it would remember something,")
    return addresses


def _window(s: StepText) -> None:
    size = s.kind(1).elements
    frames = s.output.elements // size
    s.call("mcu_signal_window", frames, size, cast(int, s.prepared), s.whole(0), s.whole(1), s.whole_output())


def _auto_scale(s: StepText) -> None:
    s.call("mcu_signal_fft_auto_scale", s.kind(0).elements, s.whole(0), s.whole_output(0), s.whole_output(1))


def _transform(s: StepText) -> None:
    p = cast(RealTransform, s.prepared)
    if len(p.radices) > MOST_STAGES:
        raise refused(s, f"of {p.length} samples")
    tables = [
        s.store(name, np.stack(turns, axis=1).reshape(-1).astype(np.int32))
        for name, turns in (("turns", p.turns), ("ends", p.ends))
    ]
    layer = s.define(
        "mcu_signal_fft_layer",
        {
            "frames": product(s.kind(0).shape[:-1]),
            "half": p.length // 2,
            "given": s.kind(0).channels,
            "wide": p.bits == 32,
            "inverse": p.is_inverse,
            "stages": len(p.radices),
            "radices": tuple(p.radices),
            "turns": tables[0],
            "ends": tables[1],
        },
    )
    s.call("mcu_signal_fft", layer, s.whole(0), s.scratch(), s.whole_output())


def _energy(s: StepText) -> None:
    band = cast(Band, s.prepared)
    s.call("mcu_signal_energy", s.output.elements, band.start, band.end, s.whole(0), s.whole_output())


def _filter_bank(s: StepText) -> None:
    tables = [s.whole(position) for position in range(6)]
    s.call("mcu_signal_filter_bank", cast(int, s.prepared), *tables, s.whole_output())


def _square_root(s: StepText) -> None:
    function = "mcu_signal_filter_bank_square_root"
    s.call(function, s.output.elements, s.whole(0), s.whole(1), s.whole_output())


def _subtraction(s: StepText) -> None:
    p = attributes_of(s.step.signature, SignalFilterBankSpectralSubtractionAttributes)
    layer = s.define(
        "mcu_signal_subtraction_layer",
        {
            "channels": p.num_channels,
            "new_share": tuple(share & 0xFFFFFFFF for share in (p.smoothing, p.alternate_smoothing)),
            "old_share": tuple(
                share & 0xFFFFFFFF for share in (p.one_minus_smoothing, p.alternate_one_minus_smoothing)
            ),
            "least_share": p.min_signal_remaining & 0xFFFFFFFF,
            "channel_bits": p.smoothing_bits,
            "share_bits": p.spectral_subtraction_bits,
            "clamping": p.clamping,
        },
    )
    outputs = s.whole_output(0), s.whole_output(1)
    s.call("mcu_signal_filter_bank_spectral_subtraction", layer, s.whole(0), *_memories(s), *outputs)


def _pcan(s: StepText) -> None:
    inputs = [s.whole(position) for position in range(3)]
    s.call("mcu_signal_pcan", s.output.elements, cast(int, s.prepared), *inputs, s.whole_output())


def _log(s: StepText) -> None:
    p = cast(SignalFilterBankLogAttributes, s.prepared)
    pieces = s.store("pieces", np.array(SEGMENT_TABLE, np.uint16))
    scale = f"{p.output_scale & 0xFFFFFFFF}u"
    function = "mcu_signal_filter_bank_log"
    s.call(function, s.output.elements, p.input_correction_bits, scale, pieces, s.whole(0), s.whole_output())


def _delay(s: StepText) -> None:
    samples, delay = s.kind(0).channels, attributes_of(s.step.signature, SignalDelayAttributes).delay_length
    streams = s.kind(0).elements // samples
    s.call("mcu_signal_delay", streams, samples, delay, s.whole(0), *_memories(s), s.whole_output())


def _overlap_add(s: StepText) -> None:
    *outer, frames, size = s.kind(0).shape
    sizes = product(outer), frames, size, cast(int, s.prepared)
    s.call("mcu_signal_overlap_add", *sizes, s.whole(0), *_memories(s), s.whole_output())


def _framer(s: StepText) -> None:
    p = attributes_of(s.step.signature, SignalFramerAttributes)
    layer = s.define(
        "mcu_signal_framer_layer",
        {
            "streams": product(s.kind(0).shape[:-1]),
            "frames": s.kind(0).channels // p.frame_step,
            "step": p.frame_step,
            "size": p.frame_size,
            "held": p.held,
            "missing": 0 if p.prefill else p.held,
        },
    )
    s.call("mcu_signal_framer", layer, s.whole(0), *_memories(s), s.whole_output(0), s.whole_output(1))


def _stacker(s: StepText) -> None:
    p = attributes_of(s.step.signature, SignalStackerAttributes)
    layer = s.define(
        "mcu_signal_stacker_layer",
        {
            "channels": p.num_channels,
            "stacked": p.stacked,
            "copies": 1 + p.stacker_left_context,
            "dropped": p.num_channels * p.stacker_step,
        },
    )
    s.call("mcu_signal_stacker", layer, s.whole(0), *_memories(s), s.whole_output(0), s.whole_output(1))


SIGNAL_WRITERS: dict[str, Callable[[StepText], None]] = {
    "CUSTOM:SignalWindow": _window,
    "CUSTOM:SignalFftAutoScale": _auto_scale,
    "CUSTOM:SignalRfft": _transform,
    "CUSTOM:SignalIrfft": _transform,
    "CUSTOM:SignalEnergy": _energy,
    "CUSTOM:SignalFilterBank": _filter_bank,
    "CUSTOM:SignalFilterBankSquareRoot": _square_root,
    "CUSTOM:SignalFilterBankSpectralSubtraction": _subtraction,
    "CUSTOM:SignalPCAN": _pcan,
    "CUSTOM:SignalFilterBankLog": _log,
    "CUSTOM:SignalDelay": _delay,
    "CUSTOM:SignalOverlapAdd": _overlap_add,
    "CUSTOM:SignalFramer": _framer,
    "CUSTOM:SignalStacker": _stacker,
}
"""By operator, what writes its call."""
