"""Published figures that tests compare with, as their sources print them. Imports nothing from mcusim."""

from __future__ import annotations

TINYENGINE_H743_KIB = {
    "mcunet-vww0": 59,
    "mcunet-vww1": 92,
    "mcunet-vww2": 174,
    "mcunet-in0": 49,
    "mcunet-in1": 96,
    "mcunet-in2": 215,
    "mcunet-in3": 260,
    "mcunet-in4": 416,
    "proxyless-w0.3-r64": 35,
    "proxyless-w0.3-r176": 259,
}
"""Peak SRAM on STM32H743, KiB: README of mit-han-lab/tinyengine, TinyEngine column.

Its eleventh network, mbv2-w0.3-r64, prints 61 where the rule gives 59.1: its exact configuration is not published.
"""

TINYENGINE_PEAK_MEM_BYTES = {
    "mcunet-vww1": 93_992,
    "mcunet-in3": 266_344,
    "mcunetv2_large": 1_431_784,
    "person-det": 257_448,
}
"""PEAK_MEM that TinyEngine's code generator writes for a network run layer by layer, bytes."""

TINYENGINE_MODEL_SIZE_BYTES = {
    "mcunet-vww0": 399_656,
    "mcunet-vww1": 469_432,
    "mcunet-vww2": 693_944,
    "mcunet-in2": 782_856,
    "mcunet-in3": 790_536,
    "mcunet-in4": 1_803_864,
    "mcunetv2_large": 1_918_264,
    "person-det": 190_864,
}
"""MODEL_SIZE that TinyEngine's code generator writes, bytes."""

TINYENGINE_CODEGEN_PATCHED = {
    ("mcunet-vww1", "patch:2x2@5"): {"activations": 59_568, "im2col": 1_920, "kernel": 864},
    ("mcunetv2_large", "patch:4x4@8"): {"activations": 441_000, "im2col": 2_304, "kernel": 864},
}
"""What TinyEngine's code generator reports in patch mode, bytes: PEAK_MEM 62,352 and 444,168."""

TINYENGINE_PATCH_PEAK_BYTES = {
    ("mcunet-vww1", "patch:2x2@5"): 49_552,
    ("mcunetv2_large", "patch:4x4@8"): 442_208,
}
"""PEAK_MEM of TinyEngine's code generator in patch mode once its three lifetime quirks are taken out, bytes."""

MCUNETV2_PATCHED = {
    "mbv2-w1.0-r224": ("patch:4x4@13", 75, 130, 0.42),
    "mbv2-rd-r224-INFERRED": ("patch:4x4@8", 63, 73, 0.18),
}
"""Patch stages of MCUNetV2 (arXiv 2110.15352, Table 1 and section 3.2).

Five blocks of MobileNetV2 in 4x4 patches, and four of the redistributed network: side of a patch, M MACs of the stage,
and how much more than without patches.
"""

MOBILENETV2_224_PATCHED = {
    "tinyengine": {"stage": 0.419, "network": 0.127},
    "tflm": {"stage": 0.306, "network": 0.093},
}
"""More MACs of MobileNetV2 in MCUNetV2's patches: all of one size (tinyengine) and clipped at the border (tflm).

The paper prints 42 % for the stage, which is uniform, and 10 % for the network, which is nearest to clipped. The digits
follow from the rule, with no free parameter.
"""

TFLM_32_BIT_TOTAL_BYTES = {
    "mcunet_320kb_1mb_imagenet": 505_500,
    "mcunet_5fps_vww": 226_700,
    "mlperf_kws01_dscnn_int8": 24_908,
    "mlperf_ic01_resnet8_int8": 56_492,
    "mlperf_ad01_int8": 4_508,
}
"""Arena bytes in use, head and tail, measured on a 32-bit build with reference kernels: networks of the corpus."""

TFLM_H743_KIB = {
    "tflm": {
        "mcunet-vww0": 163,
        "mcunet-vww1": 220,
        "mcunet-vww2": 385,
        "mcunet-in0": 161,
        "mcunet-in1": 219,
        "mcunet-in2": 460,
        "mcunet-in3": 493,
        "proxyless-w0.3-r64": 128,
        "proxyless-w0.3-r176": 453,
        "mbv2-w0.3-r64": 173,
    },
    "tflm-cmsis-nn": {
        "mcunet-vww0": 163,
        "mcunet-vww1": 220,
        "mcunet-vww2": 390,
        "mcunet-in0": 161,
        "mcunet-in1": 219,
        "mcunet-in2": 469,
        "mcunet-in3": 493,
        "proxyless-w0.3-r64": 136,
        "proxyless-w0.3-r176": 453,
        "mbv2-w0.3-r64": 173,
    },
}
"""Peak SRAM on STM32H743, KiB: README of mit-han-lab/tinyengine, TF-Lite Micro and CMSIS-NN columns."""

OPTIMAL_TFLM_BYTES = {"mlperf_vww01_mbv1_025_96_int8": 55_296, "mcunet_320kb_1mb_imagenet": 397_920}
"""Smallest possible TFLM head of two corpus networks whose greedy plan takes 73,728 and 416,832, bytes."""

ACT_2020_KIB = {
    "mbv2-w0.3-r80": 94,
    "proxyless-w0.25-r112": 98,
    "proxyless-w0.3-r176": 242,
    "mcunet-in0": 45,
    "mcunet-in1": 90,
    "mcunet-in2": 325,
    "mcunet-in3": 333,
    "mcunet-in4": 413,
    "mcunet-256kb-int4": 244,
    "mcunet-320kb-int4": 295,
    "mcunet-512kb-int4": 495,
}
"""Activation column of the 2020 model zoo (mit-han-lab/tinyml README), KiB.

Its twelfth network, mbv2-w0.35-r144, counts 303.75 and is printed 303: truncated where the others are rounded.
"""

TINYENGINE_F746_2022_KIB = {"mcunet-vww0": 56, "mcunet-vww1": 88, "mcunet-in1": 90, "mbv2-w0.35-r144": 284}
"""TinyEngine bars of the STM32F746 figure of 2022 (tinyengine assets/figures/measured_result.png), KiB."""

MCUNETV2_KIB = {"mbv2-w1.0-r224": 1372}
"""Layer-by-layer peak of MobileNetV2 in the MCUNetV2 paper (arXiv 2110.15352), KiB."""

ZOO_2020_KIB = {
    "mbv2-w0.3-r80": 98,
    "mbv2-w0.35-r144": 308,
    "proxyless-w0.25-r112": 114,
    "proxyless-w0.3-r176": 292,
    "mcunet-in0": 54,
    "mcunet-in1": 107,
    "mcunet-in2": 242,
    "mcunet-in3": 293,
    "mcunet-in4": 456,
}
"""TinyEngine SRAM of the nine int8 rows of the 2020 model zoo, KiB."""

TABLE4_KIB = {"mcunet-in2": 238, "mcunet-256kb-int4": 233, "mcunet-in4": 452, "mcunet-512kb-int4": 498}
"""SRAM of the MCUNet rows of Table 4 (IEEE CAS Magazine, Q3 2023), by their released twins, KiB."""

INT4_2020_KIB = {"mcunet-256kb-int4": 233, "mcunet-320kb-int4": 282, "mcunet-512kb-int4": 498}
"""TinyEngine SRAM of the int4 rows of the 2020 model zoo, KiB."""

X_CUBE_AI_H743_KIB = {
    "mcunet-vww0": 88,
    "mcunet-vww1": 113,
    "mcunet-vww2": 201,
    "mcunet-in0": 69,
    "mcunet-in1": 106,
    "mcunet-in2": 238,
    "mcunet-in3": 243,
    "mcunet-in4": 342,
    "proxyless-w0.3-r64": 97,
    "proxyless-w0.3-r176": 221,
    "mbv2-w0.3-r64": 88,
}
"""Peak SRAM on STM32H743, KiB: README of mit-han-lab/tinyengine, X-CUBE-AI v7.3.0 column."""

X_CUBE_AI_ST_KIB = {"mobilenet v1 0.25 96": 39.56, "mobilenet v1 0.25 224": 202.14, "squeeze concat 55": 756.25}
"""Activation RAM under X-CUBE-AI 7.3.0 (ST's model zoo): two MobileNets, and SqueezeNet 1.1 at 224, which its first
concatenation decides, KiB."""
