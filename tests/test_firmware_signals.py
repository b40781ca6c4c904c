"""The C of the audio front end: call after call, what it remembers included, it gives the executor's bytes."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from lanes import OUTPUTS, HostLane, QemuLane, packed
from one_operator import Network
from operator_catalogue import OPERATORS, about

import mcusim
from mcusim.errors import McusimError, ModelError
from mcusim.firmware.choice import choose
from mcusim.firmware.code_sizes import code_sizes
from mcusim.firmware.emit import sources
from mcusim.frontends.tflite import parse_tflite
from mcusim.runtimes import find_runtime
from mcusim.schedule import LAYER
from mcusim.simulation.emission import network_of

HOST, CORTEX_M4 = HostLane(), QemuLane("cortex-m4")
needs_host = pytest.mark.skipif(not HOST.is_there, reason="no gcc on this machine")
needs_qemu = pytest.mark.skipif(
    not CORTEX_M4.is_there, reason="no arm-none-eabi-gcc or qemu-system-arm on this machine"
)
SIGNALS = sorted(op for op in OPERATORS if op.startswith("Signal"))
CALLS = 3


def test_the_code_of_every_signal_kernel_is_counted() -> None:
    kernels = {entry.name.removesuffix(".h") for entry in (files("mcusim.firmware") / "kernels").iterdir()}
    signals = {name for name in kernels if name.startswith("signal_")}
    assert signals
    assert signals <= code_sizes().functions.keys()


def assert_same_calls(listed: Network, where: str) -> None:
    graph = parse_tflite(listed.content(), name=where, where=where)
    fed = [[*map(np.asarray, listed.feeds(seed=call))] for call in range(CALLS)]
    session = mcusim.session(graph)
    wanted = [packed(output) for arrays in fed for output in session.run(list(arrays))]
    network, _ = network_of(graph, LAYER, "net")
    made = sources(network)
    shown = HOST.run(made.files, "net", [array for arrays in fed for array in arrays], CALLS)
    assert [bytes_ for step, _, _, bytes_ in shown if step == OUTPUTS] == wanted, listed.label
    assert made.stored_bytes == find_runtime("mcusim").flash(graph).model_bytes, listed.label


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize("op", [*SIGNALS, "BROADCAST_ARGS"])
def test_integers_are_the_executors_call_after_call(op: str) -> None:
    """Fourier transforms of every length and width; two networks of each other operator."""
    most, answered = (12 if "fft" in op else 2), 0
    for listed in about(op):
        if listed.label.startswith("float") or answered == most:
            continue
        try:
            mcusim.execute(parse_tflite(listed.content(), name=op, where=op), listed.feeds(seed=1))
        except McusimError:
            continue
        assert_same_calls(listed, op)
        answered += 1
    assert answered


@pytest.mark.parametrize("op", ["SignalRfft", "SignalIrfft", "SignalOverlapAdd"])
def test_real_numbers_are_refused_by_name(op: str) -> None:
    listed = next(network for network in about(op) if network.label.startswith("float32"))
    graph = parse_tflite(listed.content(), name=op, where=op)
    assert choose(graph.nodes[-1].signature) is None
    with pytest.raises(ModelError, match=rf"{op} of float32"):
        sources(network_of(graph, LAYER, "net")[0])


@needs_qemu
@pytest.mark.slow
@pytest.mark.parametrize("op", ["SignalRfft", "SignalFilterBankSpectralSubtraction", "SignalFilterBankSquareRoot"])
def test_an_emulated_cortex_m_computes_the_same(op: str) -> None:
    listed = next(network for network in about(op) if not network.label.startswith("float"))
    graph, feeds = parse_tflite(listed.content(), name=op, where=op), [*map(np.asarray, listed.feeds(seed=1))]
    made = sources(network_of(graph, LAYER, "net")[0])
    shown = CORTEX_M4.run(made.files, "net", feeds)
    on_host = [(s, r, c, QemuLane.digest(bytes_)) for s, r, c, bytes_ in HOST.run(made.files, "net", feeds)]
    assert shown == on_host


def test_two_operators_of_one_kind_remember_apart() -> None:
    """Each node has memory of its own in the one array, alive throughout."""
    one = next(iter(about("SignalDelay")))
    sample, delayed = one.tensors
    twice = replace(
        one,
        tensors=(sample, delayed, delayed),
        operators=(one.operators[0], replace(one.operators[0], inputs=(1,), outputs=(2,))),
    )
    graph = parse_tflite(twice.content(), name="twice", where="twice")
    program = network_of(graph, LAYER, "net")[0].program
    kept = [variable for variable in program.variables if variable.node >= 0]
    assert [variable.node for variable in kept] == [0, 1]
    assert len({variable.buffer for variable in kept}) == 2
    if HOST.is_there:
        assert_same_calls(twice, "twice")
