"""Images -> the values that a network sees: frames, crops, ranges, and who declares them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation_sets import noisy, save_image
from PIL import Image

from mcusim import execute, zoo
from mcusim.errors import InputError
from mcusim.evaluating.images import UnreadableImage, fit, read_pixels
from mcusim.evaluating.preprocessing import RANGES, Frame, declared_by_user, frame_of, pixel_table, settle
from mcusim.evaluating.subject import Answer, Subject
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import DType, Quantization, Tensor, tensor_type
from mcusim.zoo.declarations import BoxFormat, Channels, Detection, Integers, Preprocessing, Resize

NOISE = np.random.default_rng(5)


# ---------------------------------------------------------------------------------------------------------------------
# Images

FRAME = Frame(176, 176, 3, False)


@pytest.mark.parametrize(
    ("size", "scaled", "corner"),
    [((500, 375), (268, 201), (46, 12)), ((375, 500), (201, 268), (12, 46)), ((10, 10), (201, 201), (12, 12))],
)
def test_crop_is_torchvisions(size: tuple[int, int], scaled: tuple[int, int], corner: tuple[int, int]) -> None:
    """Resize(int(176 * 256 / 224)), CenterCrop(176): sizes and offsets worked out by torchvision's formulas."""
    placed = fit(*size, FRAME, Preprocessing(resize=Resize.CROP, fraction=0.875))
    assert (placed.scaled, (placed.left, placed.top)) == (scaled, corner)


@pytest.mark.parametrize("name", ["mcunet-in3", "mcunet-vww0"])
def test_declared_networks_see_what_their_script_gave_them(name: str, tmp_path: Path) -> None:
    """Pillow called as torchvision does it; bytes shifted by 128, as MCUNet's eval_tflite.py has it."""
    path = save_image(tmp_path / "a.png", noisy((90, 120, 160), (60, 80), NOISE))
    entry = zoo.describe(name)
    assert entry.preprocessing is not None
    side = entry.input_shape[1]
    image = Image.open(path)
    if name == "mcunet-in3":
        short = int(side * 256 / 224)
        image = image.resize((int(short * 80 / 60), short), Image.Resampling.BILINEAR)
        left, top = round((image.width - side) / 2), round((image.height - side) / 2)
        image = image.crop((left, top, left + side, top + side))
    else:
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    tensor = Tensor("x", tensor_type(entry.input_shape, DType.INT8), Quantization((1 / 127,), (0,)))
    frame = frame_of(tensor)
    assert frame is not None
    pixels, _ = read_pixels(path, frame, entry.preprocessing)
    table = pixel_table(tensor, entry.preprocessing, 3)
    given = np.stack([table[c][pixels[..., c]] for c in range(3)], axis=-1)
    assert np.array_equal(given, (np.asarray(image).astype(int) - 128).astype(np.int8))


def test_every_declaration_names_its_source() -> None:
    declared = {name: zoo.describe(name) for name in zoo.names() if zoo.describe(name).preprocessing}
    assert len(declared) >= 16
    for name, entry in declared.items():
        assert entry.preprocessing is not None
        assert entry.preprocessing.source, name
        assert entry.preprocessing.resize is (Resize.CROP if entry.dataset == "ImageNet" else Resize.STRETCH), name
        assert entry.detection is None or entry.detection.source, name


def test_values_are_quantised_as_the_network_would() -> None:
    """For every byte and range: what a QUANTIZE node makes of the real value."""
    for scale, zero_point in ((1 / 127, 0), (1 / 255, -128), (0.0186311, -14)):
        b = GraphBuilder("q", dtype=DType.FLOAT32)
        given = Quantization((scale,), (zero_point,))
        graph = b.build([b.op("QUANTIZE", [b.input((1, 256))], dtype=DType.INT8, quantization=given)])
        tensor = Tensor("x", tensor_type((1, 1, 1, 3), DType.INT8), given)
        for mean, std in RANGES.values():
            table = pixel_table(tensor, Preprocessing(mean=mean, std=std), 3)
            for channel in range(3):
                m, s = (values[channel % len(values)] for values in (mean, std))
                real = ((np.arange(256) - m) / s).astype(np.float32)
                (right,) = execute(graph, real[None])
                assert np.array_equal(table[channel], right[0])


def test_bytes_channels_and_gray(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.png", np.array([[[1, 2, 3], [4, 5, 6]]]))
    small = Frame(1, 2, 3, False)
    assert read_pixels(path, small, Preprocessing())[0].tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert read_pixels(path, small, Preprocessing(channels=Channels.BGR))[0].tolist() == [[[3, 2, 1], [6, 5, 4]]]
    gray = read_pixels(path, Frame(1, 2, 1, False), Preprocessing())[0]
    assert gray.shape == (1, 2, 1)
    with pytest.raises(InputError, match="it is 2x1, and the network takes 8x8"):
        read_pixels(path, Frame(8, 8, 3, False), Preprocessing(resize=Resize.NONE))


@pytest.mark.parametrize("damage", [b"", b"\x89PNG\r\n\x1a\nand then nothing", b"plain text"])
def test_damaged_images(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(damage)
    with pytest.raises(UnreadableImage, match=r"a\.png"):
        read_pixels(path, FRAME, Preprocessing())


def test_no_format_is_opened_that_runs_programs(tmp_path: Path) -> None:
    """Pillow goes by content, and gives PostScript to Ghostscript."""
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(UnreadableImage, match="it is no image"):
        read_pixels(path, FRAME, Preprocessing())


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_pixels_that_are_no_bytes_are_refused(tmp_path: Path, mode: str) -> None:
    """Pillow clips 40,000 of 65,535 to 255: white."""
    path = tmp_path / "a.tiff"
    Image.new(mode, (8, 8), 40000).save(path)
    with pytest.raises(UnreadableImage, match=f"another kind than bytes .*mode {mode}"):
        read_pixels(path, FRAME, Preprocessing())


def test_damaged_exif_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_pixels(path, Frame(8, 8, 3, False), Preprocessing())[0].shape == (8, 8, 3)


def test_a_truncated_jpeg_is_damaged(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.jpg", noisy((9, 9, 9), (64, 64), NOISE))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableImage, match="it is damaged"):
        read_pixels(path, FRAME, Preprocessing())


# ---------------------------------------------------------------------------------------------------------------------
# Which preprocessing holds


def subject_with(scale: float, zero_point: int, shape: tuple[int, ...] = (1, 8, 8, 3)) -> Subject:
    b = GraphBuilder("s")
    x = b.input(shape, quantization=Quantization((scale,), (zero_point,)))
    graph = b.build([b.reshape(b.average_pool_2d(x), (1, -1))])
    return Subject(graph, Answer.CLASSES, 3, None, None, "")


@pytest.mark.parametrize(
    ("scale", "zero_point", "name"),
    [
        (1 / 255, -128, "0..1"),
        (1 / 127.5, -1, "-1..1"),
        (1 / 127, 0, "-1..1"),
        (1.0, -128, "0..255"),
        (0.018631115555763245, -14, "imagenet"),
    ],
)
def test_the_range_is_told_by_the_input(scale: float, zero_point: int, name: str) -> None:
    settled = settle(subject_with(scale, zero_point), declared_by_user([]))
    assert (settled.preprocessing.mean, settled.preprocessing.std) == RANGES[name]
    assert settled.source == "assumed"
    assert f"pixels are normalised to {name}" in settled.assumption


def test_an_unusual_range_is_filled_and_said() -> None:
    settled = settle(subject_with(0.00755, -72), declared_by_user([]))
    assert settled.preprocessing.integers is Integers.BYTES
    assert "which is no usual range" in settled.assumption
    table = pixel_table(subject_with(0.00755, -72).input, settled.preprocessing, 3)
    assert np.array_equal(table[0], np.arange(-128, 128))


def test_users_override_and_files_declare(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[preprocessing]\nrange = "-1..1"\nresize = "crop"\n[detection]\nclasses = 1\nformat = "rows"\n')
    user = declared_by_user([str(file), "resize=stretch", "channels=bgr"])
    assert user.detection == Detection(classes=1, format=BoxFormat.ROWS)
    settled = settle(subject_with(1 / 255, -128), user)
    assert settled.preprocessing.resize is Resize.STRETCH
    assert settled.preprocessing.channels is Channels.BGR
    assert settled.preprocessing.mean == (127.5,)
    assert settled.assumption == ""
    published = settle(subject_with(1 / 255, -128), declared_by_user(["mcunet-in3", "filter=box"]))
    assert published.preprocessing.integers is Integers.BYTES
    assert published.source == "the declaration of mcunet-in3, filter=box"


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["resize=huge"], "no such choice: 'huge'"),
        (["colour=rgb"], "it has unknown field 'colour'"),
        (["range=0..2"], "'0..2' is no usual range"),
        (["mean=a"], "'a' is no list of numbers"),
        (["std=0"], "std not 0"),
        (["fraction=3"], "fraction is 3"),
        (["nonsense"], "'nonsense' is no setting, file or published network"),
        (["mbv2-w1.0-r224"], "declares no preprocessing"),
        (["none.toml"], "it cannot be read"),
        (["mean=1,2"], "2 numbers for 3 channels"),
        (["channels=gray"], "channels=gray for an input of 3"),
    ],
)
def test_declarations_that_are_wrong(words: list[str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        settle(subject_with(1 / 255, -128), declared_by_user(words))
