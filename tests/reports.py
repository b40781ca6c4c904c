"""A hand-made Report for the tests of what is shown: every kind of line, no simulation."""

from __future__ import annotations

from mcusim.report import (
    AliveInfo,
    BankInfo,
    Basis,
    ConventionInfo,
    EnergyInfo,
    FlashInfo,
    InputInfo,
    LatencyInfo,
    LayerInfo,
    ModelInfo,
    PeakInfo,
    ProfileInfo,
    Report,
    RuntimeInfo,
    ScheduleInfo,
    SramInfo,
    StageInfo,
    Verdict,
)

PROVISIONAL = Basis.PROVISIONAL


def layer(
    index: int, name: str, op: str, kernel: str, cycles: int | None, sram_bytes: int, hint: str = ""
) -> LayerInfo:
    made = LayerInfo(index, name, op, kernel, (1, 48, 48, 16), 331776, cycles, sram_bytes, 432, PROVISIONAL)
    if cycles is None:
        return made
    compute, store, memory = cycles // 2, cycles * 3 // 10, cycles // 10
    return made._replace(
        why="by its shape",
        hint=hint,
        compute_cycles=compute,
        store_cycles=store,
        memory_cycles=memory,
        overhead_cycles=cycles - compute - store - memory,
    )


LAYERS = (
    layer(0, "stem/pad", "PAD", "folded into CONV_2D", 0, 0),
    layer(1, "stem/conv", "CONV_2D", "convolve_s8_kernel3_inputch3_stride2_pad1_fpreq", 2_400_000, 110_592),
    layer(
        2,
        "block_1/depthwise",
        "DEPTHWISE_CONV_2D",
        "depthwise_kernel3x3_stride1_inplace",
        1_100_000,
        147_456,
        "slow path: so; faster otherwise",
    ),
    layer(3, "block_1/project", "CONV_2D", "convolve_1x1_s8_ch16_fpreq", 700_000, 92_160),
    layer(4, "head/mystery", "CUSTOM:Mystery", "", 0, 40_000),
    layer(5, "head/reshape", "RESHAPE", "none: same bytes", 0, 0),
)


def report(verdict: Verdict = Verdict.DOES_NOT_FIT, layers: tuple[LayerInfo, ...] = LAYERS) -> Report:
    fits = {Verdict.FITS: True, Verdict.DOES_NOT_FIT: False, Verdict.UNKNOWN: True}[verdict]
    budget_bytes = 262_144 if fits else 131_072
    flash_fits = None if verdict is Verdict.UNKNOWN else True
    alive = (AliveInfo("block_1/depthwise", 98_304), AliveInfo("stem/conv", 36_864))
    total = None if verdict is Verdict.UNKNOWN else 400_000
    return Report(
        verdict=verdict,
        model=ModelInfo("tiny-net", "made by hand", (1, 96, 96, 3), 1_327_104, 12_345, 12_400.0, 14_000),
        profile=ProfileInfo("some-board", "cortex-m4", 100_000_000, 262_144, 1_048_576),
        runtime=RuntimeInfo("tinyengine", "1"),
        convention=ConventionInfo("tinyengine", Basis.DERIVED),
        schedule=ScheduleInfo("layer", (StageInfo("layer", (1, 1), (0, 5), 0, 0),), 0),
        input=InputInfo(27_648, "arena"),
        sram=SramInfo(
            153_600,
            147_456,
            6_144,
            0,
            budget_bytes,
            fits,
            PeakInfo(0, 1, "block_1/depthwise", alive),
            (BankInfo("SRAM1", 0x20000000, 262_144, 153_600),),
            Basis.DERIVED,
        ),
        flash=FlashInfo(
            14_000, 14_000, None if total is None else 386_000, total, 1_048_576, flash_fits, Basis.CALIBRATED
        ),
        latency=LatencyInfo(4_200_000, 42.0, 30.0, 60.0, PROVISIONAL, 100.0 if fits else 50.0, True if fits else None),
        energy=EnergyInfo(1890.0, 1200.0, 3000.0, PROVISIONAL),
        layers=layers,
        warnings=("tinyengine cannot run head/mystery: TinyEngine's code generator does not handle CUSTOM:Mystery.",),
    )
