"""What TFLM's custom operators ask: the audio front end, detection, streaming and decompression.

Source: tensorflow/tflite-micro, signal/micro/kernels and tensorflow/lite/micro/kernels; derived like
`tflm_conditions.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mcusim.ops.detection_post_process import broken_detection
from mcusim.runtimes.condition_rules import rank, same_rank
from mcusim.runtimes.conditions import OUT, Conditions, ShapeRule
from mcusim.runtimes.tflm_rules import circular_shapes

__all__ = ["CUSTOM_CONDITIONS"]

_of = Conditions.of


def _vectors(*places: int) -> tuple[ShapeRule, ...]:
    return tuple(rank(place, 1, 1) for place in places)


_ONE_TYPE = "float32|int16|int32 > =0"

CUSTOM_CONDITIONS: Mapping[str, Conditions] = MappingProxyType(
    {
        "CUSTOM:SignalWindow": _of("int16 int16 > int16", shapes=(rank(0, 1, 9), rank(1, 1, 1), same_rank(0, OUT))),
        "CUSTOM:SignalFftAutoScale": _of("int16 > int16 int32", shapes=(*_vectors(0, OUT), rank(OUT - 1, 0, 0))),
        "CUSTOM:SignalRfft": _of(_ONE_TYPE, shapes=(rank(0, 1, 9), same_rank(0, OUT))),
        "CUSTOM:SignalIrfft": _of(_ONE_TYPE, shapes=(same_rank(0, OUT),)),
        "CUSTOM:SignalEnergy": _of("int16 > uint32", shapes=_vectors(0, OUT)),
        "CUSTOM:SignalFilterBank": _of(
            "uint32 int16 int16 int16 int16 int16 > uint64", shapes=_vectors(0, 1, 2, 3, 4, 5, OUT)
        ),
        "CUSTOM:SignalFilterBankSquareRoot": _of("uint64 int32 > uint32", shapes=(*_vectors(0, OUT), rank(1, 0, 0))),
        "CUSTOM:SignalFilterBankSpectralSubtraction": _of("uint32 > uint32 uint32", shapes=_vectors(0, OUT, OUT - 1)),
        "CUSTOM:SignalPCAN": _of("uint32 uint32 int16 > uint32", shapes=_vectors(0, 1, 2, OUT)),
        "CUSTOM:SignalFilterBankLog": _of("uint32 > int16", shapes=_vectors(0, OUT)),
        "CUSTOM:SignalFramer": _of("int16 > int16 bool", shapes=(same_rank(OUT, 0, 1), rank(OUT - 1, 0, 0))),
        "CUSTOM:SignalStacker": _of("int16 > int16 bool", shapes=(*_vectors(0, OUT), rank(OUT - 1, 0, 0))),
        "CUSTOM:SignalOverlapAdd": _of("float32|int16 > =0", shapes=(same_rank(0, OUT, 1),)),
        "CUSTOM:SignalDelay": _of("int16 > int16", shapes=(rank(0, 1, 9),)),
        "CUSTOM:CIRCULAR_BUFFER": _of(
            "int8 > int8", "int8 > int8 bool", shapes=(rank(0, 4, 7), rank(OUT, 4, 7), circular_shapes)
        ),
        "CUSTOM:TFLite_Detection_PostProcess": _of(
            "float32 float32 float32 > any any any any",
            shapes=(rank(0, 3, 3), rank(1, 3, 3), rank(2, 2, 2), broken_detection),
            late=(broken_detection,),
        ),
        "CUSTOM:TFLM_DECODE": _of("... > ..."),
    }
)
