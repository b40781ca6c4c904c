"""Which networks to try of TFLM's custom operators: the audio front end, and what detectors end with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from flatbuffers import flexbuffers
from one_operator import Network, Operand, constant, joined, lists

__all__: list[str] = []


def _custom(
    label: str, name: str, inputs: Sequence[Operand | None], outputs: Sequence[Operand], **options: Any
) -> Network:
    stored = bytes(flexbuffers.Dumps(options)) if options else b""
    return joined(label, name, inputs, outputs, custom=name, custom_options=stored)


def _of(shape: tuple[int, ...], dtype: str, low: float | None = None, high: float | None = None) -> Operand:
    return Operand(shape, dtype, low=low, high=high)


@lists("SignalWindow")
def _window(name: str) -> Iterator[Network]:
    weights = constant(np.random.default_rng(2).integers(0, 4096, 16), "int16")
    for dtype, shape, shift in product(("int16", "int32"), ((16,), (3, 16)), (12, 3)):
        yield _custom(f"{dtype} {shape} {shift}", name, [_of(shape, dtype), weights], [_of(shape, dtype)], shift=shift)


@lists("SignalFftAutoScale")
def _auto_scale(name: str) -> Iterator[Network]:
    for high in (0, 1, 5, 1000, 16383, 16384, 32767):
        outputs = [_of((32,), "int16"), _of((), "int32")]
        yield _custom(f"int16 up to {high}", name, [_of((32,), "int16", -high, high)], outputs)
    yield _custom("int16 lowest", name, [_of((32,), "int16", -32768, -32760)], [_of((32,), "int16"), _of((), "int32")])


_TYPES = {"int16": 7, "int32": 2, "float32": 0}


@lists("SignalRfft", "SignalIrfft")
def _rfft(name: str) -> Iterator[Network]:
    lengths = ((16, 16), (64, 40), (512, 480), (256, 256), (30, 30), (10, 9))
    for (dtype, code), (length, given), outer in product(_TYPES.items(), lengths, ((), (2,))):
        limit = 1 << 30 if dtype == "int32" else None
        spectrum = 2 * (length // 2 + 1)
        low = None if limit is None else -limit
        if name == "SignalRfft":
            operands = [_of((*outer, given), dtype, low, limit)], [_of((*outer, spectrum), dtype)]
        else:
            operands = [_of((*outer, spectrum), dtype, low, limit)], [_of((*outer, length), dtype)]
        yield _custom(f"{dtype} {length} {given} {outer}", name, *operands, T=code, fft_length=length)


@lists("SignalEnergy")
def _energy(name: str) -> Iterator[Network]:
    for start, end in ((0, 17), (2, 15)):
        operands = [_of((34,), "int16")], [_of((17,), "uint32")]
        yield _custom(f"int16 {start} {end}", name, *operands, start_index=start, end_index=end)


@lists("SignalFilterBank")
def _filter_bank(name: str) -> Iterator[Network]:
    random = np.random.default_rng(4)
    widths = [2, 3, 4, 5, 6]
    firsts = np.cumsum([1, *widths[:-1]])
    starts = np.cumsum([0, *widths[:-1]])
    for low in (0, -4096):
        tables = [random.integers(low, 4096, sum(widths)) for _ in range(2)]
        operands = [constant(table, "int16") for table in (*tables, firsts, starts, widths)]
        energies = _of((24,), "uint32", 0, 1 << 31)
        yield _custom(f"uint32 from {low}", name, [energies, *operands], [_of((4,), "uint64")], num_channels=4)


@lists("SignalFilterBankSquareRoot")
def _square_root(name: str) -> Iterator[Network]:
    for bits, high in product((0, 1, 7), (100, 1 << 31, (1 << 32) + 5, 1 << 62)):
        operands = [_of((40,), "uint64", 0, high), constant(bits, "int32")], [_of((40,), "uint32")]
        yield _custom(f"uint64 up to {high} {bits}", name, *operands)


@lists("SignalFilterBankSpectralSubtraction")
def _subtraction(name: str) -> Iterator[Network]:
    for clamping, high in product((False, True), (1000, 1 << 20, 1 << 31)):
        options: dict[str, Any] = {
            "alternate_one_minus_smoothing": 15729,
            "alternate_smoothing": 655,
            "clamping": clamping,
            "min_signal_remaining": 819,
            "num_channels": 40,
            "one_minus_smoothing": 15974,
            "smoothing": 410,
            "smoothing_bits": 10,
            "spectral_subtraction_bits": 14,
        }
        operands = [_of((40,), "uint32", 0, high)], [_of((40,), "uint32"), _of((40,), "uint32")]
        yield _custom(f"uint32 up to {high} clamping {clamping}", name, *operands, **options)


@lists("SignalPCAN")
def _pcan(name: str) -> Iterator[Network]:
    gains = constant(np.random.default_rng(6).integers(-32768, 32767, 125), "int16")
    for shift, high in product((6, 13), (3, 2000, 1 << 24, (1 << 32) - 1)):
        operands = [_of((40,), "uint32", 0, 1 << 20), _of((40,), "uint32", 0, high), gains], [_of((40,), "uint32")]
        yield _custom(f"uint32 noise up to {high} {shift}", name, *operands, snr_shift=shift)


@lists("SignalFilterBankLog")
def _log(name: str) -> Iterator[Network]:
    for bits, scale, high in product((0, 3, 9), (64, 1600), (5, 1 << 16, (1 << 32) - 1)):
        operands = [_of((200,), "uint32", 0, high)], [_of((200,), "int16")]
        yield _custom(
            f"uint32 up to {high} {bits} {scale}", name, *operands, input_correction_bits=bits, output_scale=scale
        )


@lists("SignalFramer")
def _framer(name: str) -> Iterator[Network]:
    for (size, step), frames, outer, prefill in product(((8, 8), (12, 8), (30, 8)), (1, 3), ((), (2,)), (False, True)):
        operands = [_of((*outer, step * frames), "int16")], [_of((*outer, frames, size), "int16"), _of((), "bool")]
        label = f"int16 {size} {step} {frames} {outer} {prefill}"
        yield _custom(label, name, *operands, frame_size=size, frame_step=step, prefill=prefill)


@lists("SignalStacker")
def _stacker(name: str) -> Iterator[Network]:
    for left, right, step in ((0, 0, 1), (1, 0, 1), (2, 1, 2), (3, 2, 3)):
        options: dict[str, Any] = {
            "num_channels": 5,
            "stacker_left_context": left,
            "stacker_right_context": right,
            "stacker_step": step,
        }
        operands = [_of((5,), "int16")], [_of((5 * (left + right + 1),), "int16"), _of((), "bool")]
        yield _custom(f"int16 {left} {right} {step}", name, *operands, **options)


@lists("SignalOverlapAdd")
def _overlap_add(name: str) -> Iterator[Network]:
    for dtype, (size, step), frames, outer in product(("int16", "float32"), ((8, 8), (12, 5)), (1, 3), ((), (2,))):
        operands = [_of((*outer, frames, size), dtype)], [_of((*outer, frames * step), dtype)]
        yield _custom(f"{dtype} {size} {step} {frames} {outer}", name, *operands, T=_TYPES[dtype], frame_step=step)


@lists("SignalDelay")
def _delay(name: str) -> Iterator[Network]:
    for length, shape in product((0, 3, 20), ((8,), (2, 8))):
        yield _custom(
            f"int16 {length} {shape}", name, [_of(shape, "int16")], [_of(shape, "int16")], delay_length=length
        )


@lists("TFLite_Detection_PostProcess")
def _detection(name: str) -> Iterator[Network]:
    random = np.random.default_rng(8)
    for boxes, background, regular, per_box, threshold in product((6, 40), (0, 1), (False, True), (1, 2), (0.0, 0.4)):
        options: dict[str, Any] = {
            "max_detections": 5,
            "max_classes_per_detection": per_box,
            "detections_per_class": 4,
            "use_regular_nms": regular,
            "nms_score_threshold": threshold,
            "nms_iou_threshold": 0.5,
            "num_classes": 3,
            "y_scale": 10.0,
            "x_scale": 10.0,
            "h_scale": 5.0,
            "w_scale": 5.0,
        }
        anchors = constant(random.uniform(0.2, 1.0, (boxes, 4)), "float32")
        inputs = [_of((1, boxes, 4), "float32", -2, 2), _of((1, boxes, 3 + background), "float32", 0, 1), anchors]
        many = 5 if regular else 5 * per_box
        outputs = [_of((1, many, 4), "float32"), *[_of((1, many), "float32")] * 1, _of((1, many), "float32")]
        outputs.append(_of((1,), "float32"))
        label = f"float32 {boxes} {background} {regular} {per_box} {threshold}"
        yield _custom(label, name, inputs, outputs, **options)
