"""The audio front end: what micro_speech computes before its network, frame after frame, judged by the TFLM wheel."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers
from hypothesis import given
from hypothesis import strategies as st
from one_operator import Network, Operand, Operator, constant
from operator_catalogue import about

import mcusim
from mcusim.errors import ModelError
from mcusim.frontends.flexbuffer import read_map
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.tflite_writer import write_tflite

Array = np.ndarray[Any, Any]


def custom(name: str, inputs: tuple[int, ...], outputs: tuple[int, ...], **options: Any) -> Operator:
    stored = bytes(flexbuffers.Dumps(options)) if options else b""
    return Operator(name, inputs, outputs, custom=name, custom_options=stored)


def front_end() -> Network:
    """480 samples -> 40 features, as the preprocessing of micro_speech: window, FFT, filter bank, noise, gain, log."""
    rng = np.random.default_rng(0)
    widths = rng.integers(1, 8, 41)
    tables = [
        rng.integers(0, 4096, widths.sum()),
        rng.integers(0, 4096, widths.sum()),
        4 + np.cumsum([0, *widths[:-1]]),
        np.cumsum([0, *widths[:-1]]),
        widths,
    ]
    window = np.hanning(480) * 4095
    gains = np.sort(rng.integers(0, 20000, 125))[::-1]
    shapes: list[Operand] = [Operand((480,), "int16"), constant(window, "int16"), Operand((480,), "int16")]
    shapes += [Operand((480,), "int16"), Operand((), "int32"), Operand((514,), "int16"), Operand((257,), "uint32")]
    shapes += [constant(table, "int16") for table in tables]
    shapes += [Operand((40,), "uint64"), *[Operand((40,), "uint32") for _ in range(3)], constant(gains, "int16")]
    shapes += [Operand((40,), "uint32"), Operand((40,), "int16")]
    noise = {
        "alternate_one_minus_smoothing": 15729,
        "alternate_smoothing": 655,
        "clamping": False,
        "min_signal_remaining": 819,
        "num_channels": 40,
        "one_minus_smoothing": 15974,
        "smoothing": 410,
        "smoothing_bits": 10,
        "spectral_subtraction_bits": 14,
    }
    operators = (
        custom("SignalWindow", (0, 1), (2,), shift=12),
        custom("SignalFftAutoScale", (2,), (3, 4)),
        custom("SignalRfft", (3,), (5,), T=7, fft_length=512),
        custom("SignalEnergy", (5,), (6,), start_index=4, end_index=257),
        custom("SignalFilterBank", (6, 7, 8, 9, 10, 11), (12,), num_channels=40),
        custom("SignalFilterBankSquareRoot", (12, 4), (13,)),
        custom("SignalFilterBankSpectralSubtraction", (13,), (14, 15), **noise),
        custom("SignalPCAN", (14, 15, 16), (17,), snr_shift=6),
        custom("SignalFilterBankLog", (17,), (18,), input_correction_bits=3, output_scale=1600),
    )
    return Network("front end", tuple(shapes), operators, (18,), (), (0,))


def judged(network: Network) -> Any:
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="the wheel is not installed")
    return runtime.Interpreter.from_bytes(network.content(), arena_size=1 << 20)


def assert_frames_equal(network: Network, frames: list[list[Array]]) -> None:
    interpreter, session = judged(network), mcusim.session(parse_tflite(network.content(), name="n", where="n"))
    for frame in frames:
        for index, given_array in enumerate(frame):
            interpreter.set_input(given_array, index)
        interpreter.invoke()
        for index, ours in enumerate(session.run(frame)):
            np.testing.assert_array_equal(ours, np.array(interpreter.get_output(index)))


def test_features_of_sound_equal_tflm() -> None:
    rng = np.random.default_rng(1)
    time = np.arange(12 * 320 + 480)
    sound = 9000 * np.sin(time * 0.05) * np.sin(time * 0.001) + rng.normal(0, 300, time.size)
    sound[2000:2600] = 0
    frames = [[sound[k * 320 : k * 320 + 480].astype(np.int16)] for k in range(12)]
    frames += [[np.zeros(480, np.int16)], [rng.integers(-32768, 32767, 480).astype(np.int16)]]
    assert_frames_equal(front_end(), frames)


@pytest.mark.parametrize("name", ["SignalFramer", "SignalStacker", "SignalOverlapAdd", "SignalDelay"])
def test_what_an_operator_keeps_stays_from_call_to_call(name: str) -> None:
    for network in list(about(name))[::3]:
        session = mcusim.session(parse_tflite(network.content(), name="n", where="n"))
        interpreter = judged(network)
        for call in range(8):
            [feed] = network.feeds(seed=call)
            interpreter.set_input(feed, 0)
            interpreter.invoke()
            right = [np.array(interpreter.get_output(index)) for index in range(len(session.run([feed])))]
            session.reset()
            for earlier in range(call + 1):
                ours = session.run(network.feeds(seed=earlier))
            is_full = len(ours) == 1 or bool(ours[1])
            np.testing.assert_array_equal(ours[-1], right[-1])
            if is_full:
                np.testing.assert_array_equal(ours[0], right[0])


def test_independent_calls_begin_anew() -> None:
    network = front_end()
    graph = parse_tflite(network.content(), name="n", where="n")
    [feed] = network.feeds()
    first = mcusim.execute(graph, [feed])[0]
    np.testing.assert_array_equal(mcusim.execute(graph, [feed])[0], first)


def test_custom_options_are_written_as_they_were() -> None:
    network = front_end()
    graph = parse_tflite(network.content(), name="n", where="n")
    again = parse_tflite(write_tflite(graph), name="n", where="n")
    assert [node.attributes for node in again.nodes] == [node.attributes for node in graph.nodes]
    [feed] = network.feeds()
    np.testing.assert_array_equal(mcusim.execute(again, [feed])[0], mcusim.execute(graph, [feed])[0])


SOUND = [f"Signal{name}" for name in ("Energy", "PCAN", "FilterBankLog", "FilterBankSquareRoot", "FftAutoScale")]


@pytest.mark.parametrize("name", SOUND)
def test_other_ranks_are_refused_as_by_tflm(name: str) -> None:
    """Its kernels see flat tensors; a scalar, or one dimension too many, is no sound."""
    network = next(iter(about(name)))
    for at, operand in enumerate(network.tensors):
        for shape in {(*operand.shape, 1), (1, *operand.shape)} - {operand.shape}:
            elements = None if operand.elements is None else operand.elements.reshape(shape)
            tensors = list(network.tensors)
            tensors[at] = replace(operand, shape=shape, elements=elements)
            changed = replace(network, tensors=tuple(tensors))
            with pytest.raises(ModelError):
                mcusim.execute(parse_tflite(changed.content(), name="n", where="n"), changed.feeds())
            with pytest.raises((RuntimeError, AttributeError)):
                judged(changed)


def test_energy_of_an_odd_number_of_samples_leaves_the_last_out() -> None:
    network = Network(
        "odd",
        (Operand((35,), "int16"), Operand((17,), "uint32")),
        (custom("SignalEnergy", (0,), (1,), start_index=2, end_index=17),),
        (1,),
        (),
        (0,),
    )
    graph = parse_tflite(network.content(), name="n", where="n")
    [feed] = network.feeds()
    samples = feed.astype(np.int64)
    right = samples[0:34:2] ** 2 + samples[1:34:2] ** 2
    assert mcusim.execute(graph, [feed])[0].tolist() == [0, 0, *right[2:].tolist()]


SCALARS = st.one_of(st.booleans(), st.integers(-(1 << 62), 1 << 62), st.floats(-1e30, 1e30), st.text(max_size=20))
NAMES = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=12)


@given(options=st.dictionaries(NAMES, SCALARS, min_size=1, max_size=9))
def test_maps_are_read_as_tensorflow_writes_them(options: dict[str, Any]) -> None:
    assert read_map(bytes(flexbuffers.Dumps(options)), "here") == options


@given(content=st.binary(max_size=80))
def test_any_bytes_give_a_map_or_a_sentence(content: bytes) -> None:
    assert_map_or_sentence(content)


@given(options=st.dictionaries(NAMES, SCALARS, min_size=1), place=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_changed_byte_gives_a_map_or_a_sentence(options: dict[str, Any], place: int, byte: int) -> None:
    stored = bytearray(flexbuffers.Dumps(options))
    stored[place % len(stored)] = byte
    assert_map_or_sentence(bytes(stored))


def assert_map_or_sentence(content: bytes) -> None:
    with contextlib.suppress(ModelError):
        assert isinstance(read_map(content, "here"), dict)
