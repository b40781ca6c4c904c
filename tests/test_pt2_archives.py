"""Hostile .pt2 archives: zips that unpack to gigabytes, tensors that name more than is stored. No torch is needed."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from mcusim.errors import McusimError, MemoryLimitError, ModelError
from mcusim.frontends.pt2 import archive
from mcusim.limits import memory_limit

MODEL = json.dumps({"schema_version": {"major": 8, "minor": 1}}).encode()


def packed(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in {"net/models/model.json": MODEL, **members}.items():
            made.writestr(name, content)
    return stream.getvalue()


def with_tensors(*tensors: tuple[bytes, tuple[int, ...], tuple[int, ...]]) -> bytes:
    """An archive of weights: bytes, shape and strides of each, all of them int8."""
    config: dict[str, Any] = {}
    members = {}
    for index, (content, shape, strides) in enumerate(tensors):
        meta = {"dtype": 2, "sizes": [{"as_int": n} for n in shape], "strides": [{"as_int": n} for n in strides]}
        config[f"w{index}"] = {"path_name": f"weight_{index}", "tensor_meta": meta}
        members[f"net/data/weights/weight_{index}"] = content
    members["net/data/weights/model_weights_config.json"] = json.dumps({"config": config}).encode()
    return packed(members)


def test_weights_are_read_as_their_strides_say() -> None:
    tensors = archive.tensors(archive.opened(with_tensors((bytes(range(6)), (3, 2), (1, 3))), "it"), "weights")
    assert tensors["w0"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(with_tensors((bytes(3 << 20), (4,), (1,))), id="a member that unpacks to more than is allowed"),
        pytest.param(with_tensors((b"\0", (1 << 12, 1 << 12), (0, 0))), id="one byte as sixteen million"),
        pytest.param(with_tensors(*[(b"\0", (1 << 19,), (0,))] * 5), id="tensors that are small one by one"),
    ],
)
def test_the_limit_is_told_before_anything_is_unpacked(content: bytes) -> None:
    with memory_limit(2 << 20), pytest.raises(MemoryLimitError, match=r"would take .* of memory"):
        archive.tensors(archive.opened(content, "it"), "weights")


def test_a_program_that_unpacks_to_more_than_is_allowed() -> None:
    content = packed({"net/models/model.json": b" " * (3 << 20)})
    with memory_limit(2 << 20), pytest.raises(MemoryLimitError, match=r"unpacking 'net/models/model.json' would take"):
        archive.opened(content, "it")


def test_whatever_byte_is_changed_there_is_a_sentence() -> None:
    sound = with_tensors((bytes(range(64)), (8, 8), (8, 1)))
    for position in range(len(sound)):
        content = bytearray(sound)
        content[position] ^= 0x5A
        with contextlib.suppress(ModelError):
            archive.tensors(archive.opened(bytes(content), "it"), "weights")


@pytest.mark.parametrize("strides", [(-1,), (1 << 62,), (1, 1)])
@pytest.mark.parametrize("shape", [(-1,), (1 << 62,), (5,)])
def test_shapes_and_strides_beyond_what_is_stored(shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    with pytest.raises(McusimError, match=r"does not go with|would take"):
        archive.tensors(archive.opened(with_tensors((b"abcd", shape, strides)), "it"), "weights")
