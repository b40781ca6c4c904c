"""What TFLM keeps and asks for of custom operators: the audio front end, detection post-processing, circular buffers.

Sizes on 64 bits were traced in the wheel tflite-micro 0.dev20261023182759, over `scripts/operator_catalogue.py`; those
on 32 bits follow from the same members.
Source: tensorflow/tflite-micro, signal/micro/kernels/*.cc, signal/src/circular_buffer.h; tensorflow/lite/micro/kernels/
detection_postprocess.cc; mborgerding/kissfft, kiss_fft.c and kiss_fftr.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType

from mcusim.errors import ModelError
from mcusim.graph import DType, Signature
from mcusim.lowering.rules import Scratch
from mcusim.ops.detection_post_process import DetectionAttributes, box_count
from mcusim.ops.registry import attributes_of
from mcusim.ops.signal_delay import SignalDelayAttributes
from mcusim.ops.signal_filter_bank import SignalFilterBankAttributes
from mcusim.ops.signal_filter_bank_spectral_subtraction import SignalFilterBankSpectralSubtractionAttributes
from mcusim.ops.signal_framer import SignalFramerAttributes
from mcusim.ops.signal_irfft import SignalIrfftAttributes
from mcusim.ops.signal_rfft import SignalRfftAttributes
from mcusim.ops.signal_stacker import SignalStackerAttributes
from mcusim.runtimes.tflm_storage import Buffers, KernelStorage, StorageRequest, layout_bytes

__all__ = ["CUSTOM_KERNELS"]

CIRCULAR_BUFFER = "4p i"
SAMPLE_BYTES = 2
"""Of 16-bit samples; a circular buffer has room for twice as many as it holds."""

FFT_STATE = "2i 64i"
"""kiss_fft_state: length, direction, 32 pairs of factors; its first twiddle follows."""
REAL_FFT_STATE = "3p"
INVERSE_FLOAT_BYTES = 16
"""What the inverse of floats takes on top."""

FLOAT_BYTES = 4


MOST_OUTER = 10_000
"""Each state is an allocation of its own: no arena holds so many."""


def _element_bytes(call: StorageRequest) -> int:
    return call.signature.input(0).dtype.bits // 8


def _outer(signature: Signature, inner: int) -> int:
    """Signals side by side: all dimensions but the last `inner`."""
    outer = prod(signature.input(0).shape[:-inner])
    if outer > MOST_OUTER:
        what = f"it keeps a state for each of {outer:,} rows, and {MOST_OUTER:,} are followed"
        raise ModelError(what, where=signature.op.removeprefix("CUSTOM:"), fix="give it fewer rows")
    return outer


def _fft_bytes(length: int, complex_bytes: int, pointer_bytes: int) -> int:
    """State of a transform of `length` real values, which runs as one of half as many complex ones."""
    half = length // 2
    inner = layout_bytes(FFT_STATE, pointer_bytes)[0] + complex_bytes * half
    return layout_bytes(REAL_FFT_STATE, pointer_bytes)[0] + inner + complex_bytes * (half * 3 // 2)


def _rfft_buffers(call: StorageRequest) -> Buffers:
    length = attributes_of(call.signature, SignalRfftAttributes).fft_length
    return (("transform", _fft_bytes(length, 2 * _element_bytes(call), call.pointer_bytes)),)


def _rfft_scratch(call: StorageRequest) -> Scratch:
    return (("frame", attributes_of(call.signature, SignalRfftAttributes).fft_length * _element_bytes(call)),)


def _irfft_buffers(call: StorageRequest) -> Buffers:
    length = attributes_of(call.signature, SignalIrfftAttributes).fft_length
    more = INVERSE_FLOAT_BYTES if call.signature.input(0).dtype is DType.FLOAT32 else 0
    return (("transform", _fft_bytes(length, 2 * _element_bytes(call), call.pointer_bytes) + more),)


def _filter_bank_buffers(call: StorageRequest) -> Buffers:
    return (("sums", 8 * (attributes_of(call.signature, SignalFilterBankAttributes).num_channels + 1)),)


def _subtraction_buffers(call: StorageRequest) -> Buffers:
    attributes = attributes_of(call.signature, SignalFilterBankSpectralSubtractionAttributes)
    return (("noise estimate", 4 * attributes.num_channels),)


def _ring_bytes(samples: int, pointer_bytes: int) -> int:
    return layout_bytes(CIRCULAR_BUFFER, pointer_bytes)[0] + 2 * SAMPLE_BYTES * samples


def _rings(call: StorageRequest, samples: int, outer: int) -> Buffers:
    """A circular buffer a signal, and two lists of them."""
    lists = (("states", call.pointer_bytes * outer), ("circular buffers", call.pointer_bytes * outer))
    return (*lists, *[("circular buffer", _ring_bytes(samples, call.pointer_bytes))] * outer)


def _framer_buffers(call: StorageRequest) -> Buffers:
    attributes = attributes_of(call.signature, SignalFramerAttributes)
    step = max(attributes.frame_step, 1)
    return _rings(call, -(-attributes.frame_size // step) * step, _outer(call.signature, 1))


def _delay_buffers(call: StorageRequest) -> Buffers:
    shape = call.signature.input(0).shape
    length = attributes_of(call.signature, SignalDelayAttributes).delay_length
    return _rings(call, (shape[-1] if shape else 1) + length, _outer(call.signature, 1))


def _stacker_buffers(call: StorageRequest) -> Buffers:
    attributes = attributes_of(call.signature, SignalStackerAttributes)
    frames = attributes.stacker_left_context + attributes.stacker_right_context + 1
    return (("circular buffer", _ring_bytes(attributes.num_channels * frames, call.pointer_bytes)),)


def _overlap_buffers(call: StorageRequest) -> Buffers:
    outer, shape = _outer(call.signature, 2), call.signature.input(0).shape
    frame_bytes = (shape[-1] if shape else 1) * _element_bytes(call)
    return (("states", call.pointer_bytes * outer), *[("overlap", frame_bytes)] * outer)


def _detection_scratch(call: StorageRequest) -> Scratch:
    """Boxes and scores as floats, and lists for sorting them. Source: detection_postprocess.cc, Prepare."""
    attributes = attributes_of(call.signature, DetectionAttributes)
    boxes, most = box_count(call.signature), attributes.max_detections
    scores = prod(call.signature.input(1).shape[1:3])
    a_float_a_box, lists = FLOAT_BYTES * boxes, FLOAT_BYTES * boxes * most
    return (
        ("candidates", boxes),
        ("decoded boxes", 4 * a_float_a_box),
        ("scores", FLOAT_BYTES * scores),
        ("scores of a class", a_float_a_box),
        ("kept scores", a_float_a_box),
        ("scores that stay", lists),
        ("sorted scores", lists),
        ("kept indices", a_float_a_box),
        ("sorted indices", lists),
        ("sorting", a_float_a_box * max(attributes.num_classes, most)),
        ("selected", a_float_a_box * min(boxes, most)),
    )


_KERNELS = {
    "CIRCULAR_BUFFER": KernelStorage(source="kernels/circular_buffer.h", data="2i"),
    "TFLite_Detection_PostProcess": KernelStorage(
        source="kernels/detection_postprocess.cc", data="6i b 21i", scratch=_detection_scratch
    ),
    "SignalWindow": KernelStorage(source="window.cc", data="2i"),
    "SignalRfft": KernelStorage(source="rfft.cc", data="5i p i p", buffers=_rfft_buffers, scratch=_rfft_scratch),
    "SignalIrfft": KernelStorage(source="irfft.cc", data="5i p", buffers=_irfft_buffers),
    "SignalEnergy": KernelStorage(source="energy.cc", data="2i"),
    "SignalFilterBank": KernelStorage(source="filter_bank.cc", data="i 5p 2i p", buffers=_filter_bank_buffers),
    "SignalFilterBankSquareRoot": KernelStorage(source="filter_bank_square_root.cc"),
    "SignalFilterBankSpectralSubtraction": KernelStorage(
        source="filter_bank_spectral_subtraction.cc", data="6i b 2i 2p", buffers=_subtraction_buffers
    ),
    "SignalPCAN": KernelStorage(source="pcan.cc", data="i"),
    "SignalFilterBankLog": KernelStorage(source="filter_bank_log.cc", data="2i"),
    "SignalFftAutoScale": KernelStorage(source="fft_auto_scale_kernel.cc"),
    "SignalFramer": KernelStorage(source="framer.cc", data="4i b 2p", buffers=_framer_buffers),
    "SignalStacker": KernelStorage(source="stacker.cc", data="4i 2p b 2p", buffers=_stacker_buffers),
    "SignalOverlapAdd": KernelStorage(source="overlap_add.cc", data="5i p", buffers=_overlap_buffers),
    "SignalDelay": KernelStorage(source="delay.cc", data="3i 2p", buffers=_delay_buffers),
}

CUSTOM_KERNELS: Mapping[str, KernelStorage] = MappingProxyType(
    {f"CUSTOM:{name}": storage for name, storage in _KERNELS.items()}
)
"""Every custom operator that TFLM registers, by its name in a Graph."""
