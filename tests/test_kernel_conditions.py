"""What mcusim says that TFLM runs, against TFLM: a sample of the variants of one-operator networks.

`scripts/kernel_conditions.py` asks all of them. MCUSIM_VARIANTS: how many here.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is not installed (extra `oracles`)")

from kernel_conditions import (
    NOBODYS,
    Said,
    Trial,
    Variant,
    all_mixtures,
    all_variants,
    disagreement,
    idle,
    other_bytes,
    tried,
)
from one_operator import Network
from operator_lines import networks, parse
from tflm_judge import Question, judge

from mcusim import execute
from mcusim.errors import McusimError, ModelError
from mcusim.frontends.tflite import parse_tflite
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.refusals import refusals_of
from mcusim.runtimes.tflm_conditions import TFLM_CONDITIONS

WITHOUT_LINES = frozenset({"READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "IF", "WHILE", "CUSTOM:TFLM_DECODE"})
"""Operators that take more than one operator to be tried: subgraphs and variables (`test_subgraphs.py`)."""


def test_every_operator_has_a_line_and_each_line_runs() -> None:
    """A variant of what does not run says nothing."""
    assert set(networks()) == set(TFLM_CONDITIONS) - WITHOUT_LINES
    every_network = [network for each in networks().values() for network in each]
    questions = [Question(network.content(), network.feeds()) for network in every_network]
    for network, answer in zip(every_network, judge(questions), strict=True):
        assert answer.runs, (network.label, answer.said)


@pytest.mark.slow
def test_a_sample_of_variants_runs_where_mcusim_says_so() -> None:
    every = all_variants()
    chosen = random.Random(20261130).sample(every, int(os.environ.get("MCUSIM_VARIANTS", "600")))
    trials = list(tried(chosen))
    assert differences(trials) == []


@pytest.mark.slow
def test_what_nothing_enters_has_to_be_set_up_only() -> None:
    """Each in a second subgraph: TFLM refuses there what its Prepare refuses, and never what only running shows."""
    every = all_variants()
    chosen = [idle(each) for each in random.Random(20261201).sample(every, 800)]
    trials = list(tried(chosen))
    assert differences(trials) == []
    assert sum(trial.said is Said.RUNS for trial in trials) > len(trials) // 5


def differences(trials: Sequence[Trial]) -> list[str]:
    """In runs-or-not, head or the bytes of an output that mcusim executes."""
    return [f"{each.variant.network.label}: {d}" for each in trials if (d := disagreement(each) or other_bytes(each))]


SPARE = ("constants: input 0 constant", "constants: input 0 variable", "counts: 4 inputs", "constant of scale 0")


@pytest.mark.slow
def test_networks_without_inputs_inputs_to_spare_and_constants_of_scale_zero_are_answered() -> None:
    """TFLM runs most: what it plans and gives back, mcusim does. Of a constant of scale 0, which converters store for
    one that is all zeros, it aborts in ADD, SUB, SOFTMAX and their like."""
    chosen = [each for each in all_variants() if each.network.label.endswith(SPARE)]
    trials = list(tried(chosen))
    assert differences(trials) == []
    alike = [each for each in trials if each.answer.runs and each.said is Said.RUNS]
    unread = [each for each in trials if each.answer.runs and each.said is Said.NOT_READ]
    assert len(alike) > 100
    assert not [each.why for each in unread if re.search("at most|no inputs", each.why)]


@pytest.mark.slow
def test_several_changes_at_once_run_alike_with_equal_bytes() -> None:
    """Runs or not, head, and the bytes of every output that mcusim executes. MCUSIM_VARIANTS: how many."""
    chosen = all_mixtures(int(os.environ.get("MCUSIM_VARIANTS", "400")), seed=20261130)
    trials = list(tried(chosen, is_mixed=True))
    assert differences(trials) == []
    assert sum(trial.said is Said.RUNS for trial in trials) > len(trials) // 8


HISTORY = {
    "FULLY_CONNECTED int8[1,8] int8[2,8]=@0.02/0.03 int32[2]= > int8[1,2] | FullyConnectedOptions": "2024-09",
    "FULLY_CONNECTED int8[1,8] int8[2,8]=@0.02 int32[2]=@0.001 > int8[1,2] | FullyConnectedOptions": "",
    "TRANSPOSE int16[1,4,4,3] int32[4]=0,3,1,2 > int16[1,3,4,4] | TransposeOptions": "2025-01",
    "TRANSPOSE int8[1,4,4,3] int32[4]=0,3,1,2 > int8[1,3,4,4] | TransposeOptions": "",
    "REDUCE_ALL bool[1,4,4,3] int32[2]=1,2 > bool[1,1,1,3] | ReducerOptions keepDims=true": "2025-12",
}


@pytest.mark.parametrize(("line", "since"), HISTORY.items(), ids=[line.split("|")[0] for line in HISTORY])
def test_the_release_that_a_type_needs(line: str, since: str) -> None:
    """Per-channel FULLY_CONNECTED is the one that users meet: converters make it since 2024, firmware is older."""
    graph = parse_tflite(parse(line).content(), name="one", where="one")
    assert [need.since for need in RUNTIMES["tflm"].needs(graph)] == ([since] if since else [])


CMSIS_NN_ONLY = {
    "FULLY_CONNECTED int16[1,8] int8[2,8]=@0.02/0.03 int64[2]=@ > int16[1,2] | FullyConnectedOptions": "for int8 only",
    "TRANSPOSE int8[1,2,3,4,5] int32[5]=0,4,1,2,3 > int8[1,5,2,3,4] | TransposeOptions": "four axes",
    "PAD int8[1,2,3,4,5] int32[5,2]=0,0,1,1,0,0,0,0,0,0 > int8[1,4,3,4,5] | PadOptions": "four axes",
    "BATCH_MATMUL int8[1,1,2,3,4] int8[1,1,2,4,5] > int8[1,1,2,3,5] | BatchMatMulOptions": "has rank 5",
}


@pytest.mark.parametrize(("line", "sentence"), CMSIS_NN_ONLY.items(), ids=[line.split()[0] for line in CMSIS_NN_ONLY])
def test_cmsis_nn_asks_more_than_the_reference_kernels(line: str, sentence: str) -> None:
    """From its sources; the reference kernels run each of them."""
    network = parse(line)
    (answer,) = judge([Question(network.content(), network.feeds())])
    assert answer.runs
    graph = parse_tflite(network.content(), name="one", where="one")
    assert list(refusals_of(graph, RUNTIMES["tflm"])) == []
    refused = list(refusals_of(graph, RUNTIMES["tflm-cmsis-nn"]))
    assert len(refused) == 1
    assert sentence in refused[0].why


TINY = (
    "ADD int8[1,4,4,3] int8[1,4,4,3] > int8[1,4,4,3]@1e-9 | AddOptions fusedActivationFunction={}",
    "MUL int16[1,4,4,3] int16[1,4,4,3] > int16[1,4,4,3]@1e-9 | MulOptions fusedActivationFunction={}",
    "DIV int8[1,4,4,3] int8[1,4,4,3] > int8[1,4,4,3]@1e-9 | DivOptions fusedActivationFunction={}",
    "FULLY_CONNECTED int8[1,8] int8[4,8]=@1e-9 > int8[1,4]@1e-9 | FullyConnectedOptions fusedActivationFunction={}",
)


@pytest.mark.parametrize("line", TINY, ids=[line.split()[0] for line in TINY])
@pytest.mark.parametrize("activation", [0, 1, 3])
def test_a_fused_bound_that_is_no_int32_is_refused(line: str, activation: int) -> None:
    """As TensorFlow's converter writes for layers whose outputs are nearly zero."""
    network = parse(line.format(activation))
    (answer,) = judge([Question(network.content(), network.feeds())])
    refused = list(refusals_of(parse_tflite(network.content(), name="one", where="one"), RUNTIMES["tflm"]))
    assert answer.runs is not bool(refused), (answer.said, refused)
    assert bool(refused) is (activation == 3 or not answer.runs)


def refused(op: str, variant: str) -> list[Trial]:
    """Variants of one operator whose label says so, TFLM and mcusim agreed about each."""
    trials = list(tried([each for each in all_variants([op]) if re.search(variant, each.network.label)]))
    assert differences(trials) == []
    return [trial for trial in trials if trial.said is not Said.RUNS]


DETECTION = (
    "CUSTOM:TFLite_Detection_PostProcess float32[1,6,4] float32[1,6,{scores}] float32[{anchors},4]= "
    "> float32[1,{room},4] float32[1,{room}] float32[1,{room}] float32[1] | custom h_scale=5.0 "
    "max_classes_per_detection={each} max_detections=3 detections_per_class={listed} nms_iou_threshold={overlap} "
    "nms_score_threshold=0.0 num_classes=3 use_regular_nms={regular} w_scale=5.0 x_scale=10.0 y_scale={y_scale}"
)
USUAL = {"scores": 3, "anchors": 6, "room": 3, "each": 1, "listed": 4, "overlap": 0.5, "y_scale": 10.0}
DETECTIONS: dict[str, dict[str, object]] = {
    "as it is": {},
    "a score of the background": {"scores": 4},
    "anchors to spare": {"anchors": 7},
    "outputs to spare": {"room": 5},
    "no box of a class": {"listed": 0},
    "several classes a box": {"each": 2, "room": 6},
    "more classes than there are": {"each": 9, "room": 27},
    "outputs too small": {"room": 2},
    "scores of too few classes": {"scores": 2},
    "scores of too many classes": {"scores": 5},
    "anchors missing": {"anchors": 5},
    "no overlap": {"overlap": 0.0},
    "an overlap above 1": {"overlap": 1.5},
    "encodings divided by 0": {"y_scale": 0.0},
}
ELSEWHERE = frozenset({"several classes a box", "more classes than there are", "outputs too small", "anchors missing"})
"""TFLM may go through these, over bytes that belong to something else."""


@pytest.mark.parametrize("regular", [False, True], ids=["fast", "regular"])
def test_detections_are_refused_where_tflm_gives_none_or_writes_past_its_outputs(regular: bool) -> None:
    lines = {name: DETECTION.format(**USUAL | each, regular=str(regular).lower()) for name, each in DETECTIONS.items()}
    chosen = {name: parse(line) for name, line in lines.items()}
    answers = judge([Question(network.content(), network.feeds()) for network in chosen.values()])
    for (name, network), answer in zip(chosen.items(), answers, strict=True):
        refusals = list(refusals_of(parse_tflite(network.content(), name="one", where="one"), RUNTIMES["tflm"]))
        is_safe = answer.runs and (name not in ELSEWHERE or (regular and "classes" in name))
        assert is_safe is not bool(refusals), (name, answer.said, refusals)


COMPARED = ("int8", "int16", "uint8", "int32", "int64", "float32", "bool")


def test_comparisons_are_said_to_run_where_tflm_compares() -> None:
    """It runs GREATER of int16, and what it answers depends on the memory where the scales should lie."""
    names = ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL")
    chosen = [parse(f"{op} {kind}[1,4,4,3] {kind}[1,4,4,3] > bool[1,4,4,3]") for op in names for kind in COMPARED]
    answers = judge([Question(network.content(), network.feeds()) for network in chosen])
    meaningless = []
    for network, answer in zip(chosen, answers, strict=True):
        graph = parse_tflite(network.content(), name="one", where="one")
        refusals = list(refusals_of(graph, RUNTIMES["tflm"]))
        if answer.runs and refusals:
            meaningless.append(refusals[0].why)
            continue
        assert answer.runs is not bool(refusals), (network.label, answer.said)
    assert [why.split(",")[0] for why in meaningless] == ["TFLM's GREATER: input 0 is int16"]


QUANTISED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "SOFTMAX", "ADD")


@pytest.mark.parametrize("op", QUANTISED)
def test_scales_without_a_zero_point_are_no_quantisation(op: str) -> None:
    """A bias may have them: TFLM does not look. Where it runs on scale 0, mcusim executes nothing."""
    assert refused(op, "without zero point$")


@pytest.mark.slow
def test_operands_without_a_scale_of_every_operator() -> None:
    """TFLM computes with scale 0, and so does exec. Where it divides by it, neither verdict nor exec has an answer."""
    chosen = [each for each in all_variants() if each.network.label.endswith(("without zero point", "without scale"))]
    trials = list(tried(chosen))
    assert differences(trials) == []
    assert sum(trial.said is Said.REFUSED for trial in trials) > 100
    both = [trial for trial in trials if trial.answer.runs and trial.said is Said.RUNS]
    assert len(both) > 300
    unanswered = [trial.variant.network.label for trial in both if other_bytes(trial) is None]
    known = ("float32", "CUSTOM:", *NOBODYS)  # whose answers need more than a scale
    assert [label for label in unanswered if not any(name in label for name in known)] == []


SCALELESS = {
    "MUL int8[1,4,4,3]@ int8[1,4,4,3] > int8[1,4,4,3]": "",
    "RELU int8[1,4,4,3]@ > int8[1,4,4,3]": "",
    "FULLY_CONNECTED int8[1,8]@ int8[4,8]=@0.02 > int8[1,4] | FullyConnectedOptions": "",
    "MUL int8[1,4,4,3] int8[1,4,4,3] > int8[1,4,4,3]@": "the output has no scale, and the kernel needs one above 0",
    "RELU int16[1,4,4,3] > int16[1,4,4,3]@": "the output has no scale, and the kernel needs one above 0",
    "DIV int8[1,4,4,3] int8[1,4,4,3]@ > int8[1,4,4,3]": "input 1 has no scale, and the kernel needs one above 0",
}


@pytest.mark.parametrize(("line", "sentence"), SCALELESS.items(), ids=[line.split(" >")[0] for line in SCALELESS])
def test_verdict_and_execution_agree_about_operands_without_a_scale(line: str, sentence: str) -> None:
    [trial] = list(tried([Variant(line.split()[0], "itself", parse(line))]))
    assert trial.answer.runs
    if sentence:
        assert sentence in trial.why
        with pytest.raises(ModelError, match=r"has no scale, and .* divides by it"):
            execute(parse_tflite(parse(line).content(), name="one", where="one"), parse(line).feeds())
    else:
        assert (trial.said, other_bytes(trial)) == (Said.RUNS, "")


@pytest.mark.parametrize("op", [*QUANTISED[:4], "UNIDIRECTIONAL_SEQUENCE_LSTM"])
def test_scales_lie_along_the_axis_that_the_file_names(op: str) -> None:
    """TFLM takes them for those of output channels whatever axis that is, as long as it has as many elements."""
    why = [trial.why for trial in refused(op, r"input 1 a scale a channel along \d")]
    assert any("said to lie along axis" in each for each in why)


def test_intermediate_tensors_have_no_elements() -> None:
    why = [trial.why for op in ("UNIDIRECTIONAL_SEQUENCE_LSTM", "RELU") for trial in refused(op, "intermediate")]
    assert any("intermediate tensor 't16' has elements" in each for each in why), why


def test_a_permutation_does_not_count_from_the_end() -> None:
    line = "TRANSPOSE int8[1,4,4,3] int32[4]={} > int8[1,3,4,4] | TransposeOptions"
    chosen = [
        Variant("TRANSPOSE", "itself", parse(line.format(order))) for order in ("0,3,1,2", "0,-1,1,2", "-4,3,1,2")
    ]
    trials = list(tried(chosen))
    assert differences(trials) == []
    assert [trial.said for trial in trials] == [Said.RUNS, Said.REFUSED, Said.REFUSED]


UNSIGNED = (
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
    "SLICE",
    "SPLIT",
    "SPLIT_V",
    "STRIDED_SLICE",
    "TRANSPOSE",
    "PADV2",
)


@pytest.mark.slow
def test_unsigned_positions_are_read_as_signed_ones() -> None:
    """Axes, begins, sizes and paddings of uint32 are the same bits: TFLM runs them, and so does mcusim."""
    chosen = [
        each
        for each in all_variants(UNSIGNED)
        if each.network.label.endswith((" uint32", "int32 as uint32")) and "output" not in each.network.label
    ]
    trials = [trial for trial in tried(chosen) if trial.answer.runs]
    assert differences(trials) == []
    assert sum(trial.said is Said.RUNS for trial in trials) > 15


def _without_scales(network: Network, *, of_inputs: bool, of_outputs: bool) -> Network:
    written = {tensor for operator in network.operators for tensor in operator.outputs}
    bare = [
        replace(operand, scale=0.0) if (of_outputs if index in written else of_inputs) else operand
        for index, operand in enumerate(network.tensors)
    ]
    return replace(network, tensors=tuple(bare))


@pytest.mark.slow
@pytest.mark.parametrize(("of_inputs", "of_outputs"), [(True, False), (False, True), (True, True)])
def test_without_any_scales_every_operator_computes_or_says_why_not(of_inputs: bool, of_outputs: bool) -> None:
    """ADD, SUB and SQUARED_DIFFERENCE divide by the greater scale of two, which may both be none."""
    refused = 0
    for network in [each for kinds in networks().values() for each in kinds]:
        bare = _without_scales(network, of_inputs=of_inputs, of_outputs=of_outputs)
        try:
            execute(parse_tflite(bare.content(), name="bare", where="bare"), bare.feeds())
        except McusimError:
            refused += 1
    assert refused > 20


@pytest.mark.slow
def test_an_input_to_spare_is_read_where_tflm_reads_it() -> None:
    """PAD pads with its third input, which no schema gives it; most others look at none that they do not know."""
    spare = [
        replace(network, operators=(*network.operators[:-1], replace(last, inputs=(*last.inputs, last.inputs[0]))))
        for network in [each for kinds in networks().values() for each in kinds]
        if (last := network.operators[-1]).inputs
    ]
    questions = [Question(each.content(), each.feeds()) for each in spare]
    compared = 0
    for network, question, answer in zip(spare, questions, judge(questions, 1), strict=True):
        if not (answer.runs and answer.is_fed):
            continue
        with contextlib.suppress(McusimError):
            ours = execute(parse_tflite(question.content, name="spare", where="spare"), question.inputs)
            compared += 1
            np.testing.assert_array_equal(ours[0], answer.outputs[0], err_msg=f"{network.operators[-1]}")
    assert compared > 40


@pytest.mark.parametrize("value", ["int8[1]=5", "int8[]", "int8[1]"])
def test_pad_puts_its_third_input_around(value: str) -> None:
    network = parse(f"PAD int8[1,4,4,3] int32[4,2]=0,0,1,1,1,1,0,0 {value} > int8[1,6,6,3] | PadOptions")
    question = Question(network.content(), network.feeds())
    [answer] = judge([question], 1)
    assert answer.runs
    graph = parse_tflite(question.content, name="pad", where="pad")
    np.testing.assert_array_equal(execute(graph, question.inputs)[0], answer.outputs[0])
