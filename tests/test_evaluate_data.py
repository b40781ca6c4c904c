"""How data sets are read, what happens to images, and how boxes are decoded."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_sets import COLOURS, colour_folders, noisy, save_image, voc_annotation, voc_folder
from PIL import Image

from mcusim import execute, zoo
from mcusim.errors import InputError
from mcusim.evaluating.dataset import Dataset, Form, Reading, Sample, limited
from mcusim.evaluating.decoding import predictions
from mcusim.evaluating.images import UnreadableImage, fit, read_pixels
from mcusim.evaluating.labels import read_classes
from mcusim.evaluating.preprocessing import RANGES, Frame, declared_by_user, frame_of, pixel_table, settle
from mcusim.evaluating.reading import read_dataset
from mcusim.evaluating.subject import Answer, Subject, the_subject
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import DType, Quantization, Tensor, tensor_type
from mcusim.zoo.declarations import BoxFormat, Channels, Corners, Detection, Integers, Preprocessing, Resize

IMAGE = Tensor("x", tensor_type((1, 8, 8, 3), DType.INT8), Quantization((1 / 255,), (-128,)))
NOISE = np.random.default_rng(5)


def read(path: Path, outputs: int = 3, **how: Any) -> Dataset:
    is_detector = (path / "Annotations").is_dir() or (path / "VOCdevkit").is_dir() or how.get("form") is Form.VOC
    return read_dataset(str(path), Reading(outputs, is_detector, **how), IMAGE)


def labels(dataset: Dataset) -> dict[str, int]:
    return {sample.name: sample.label for sample in dataset.samples}


# ---------------------------------------------------------------------------------------------------------------------
# Folders and labels


def test_folders_in_alphabetical_order(tmp_path: Path) -> None:
    found = read(colour_folders(tmp_path, each=2))
    assert (found.form, found.classes) == (Form.FOLDERS, tuple(COLOURS))
    assert labels(found) == {f"{name}/{i:03}.png": n for n, name in enumerate(COLOURS) for i in range(2)}


def test_a_split_beside_train_is_taken_and_said(tmp_path: Path) -> None:
    for split in ("train", "val"):
        colour_folders(tmp_path / split, each=1)
    found = read(tmp_path)
    assert len(found.samples) == 3
    assert found.notes[0] == "the folder val of it"


def test_numbers_are_class_numbers(tmp_path: Path) -> None:
    for name in ("2", "10", "1"):
        save_image(tmp_path / name / "a.png", noisy((1, 2, 3), (8, 8), NOISE))
    assert labels(read(tmp_path, outputs=11)) == {"1/a.png": 1, "10/a.png": 10, "2/a.png": 2}
    with pytest.raises(InputError, match="label '10' is class 10, and the network tells apart 0 to 9") as told:
        read(tmp_path, outputs=10)
    assert "--label-offset -1" in told.value.fix
    assert set(labels(read(tmp_path, outputs=10, label_offset=-1)).values()) == {0, 1, 9}


def test_classes_name_the_outputs(tmp_path: Path) -> None:
    data = colour_folders(tmp_path / "d", each=1)
    names = tmp_path / "names.txt"
    names.write_text("c_blue the sky\nunused\na_red\nb_green\n\n")
    found = read(data, outputs=5, classes=read_classes(str(names)))
    assert [sample.label for sample in found.samples] == [2, 3, 0]
    assert found.classes == ("c_blue the sky", "unused", "a_red", "b_green", "4")
    with pytest.raises(InputError, match="label 'b_green' is not among the 2 lines of --classes"):
        read(data, classes=("a_red", "c_blue"))
    with pytest.raises(InputError, match="it lists 4 classes, and the network tells apart 3"):
        read(data, classes=("a_red", "b_green", "c_blue", "d"))


def test_a_background_class_is_assumed_and_said() -> None:
    from mcusim.evaluating.labels import numbered

    names = [f"n{i:08}" for i in range(1000)]
    numbers, notes = numbered(names, Reading(1001), "here")
    assert (numbers["n00000000"], numbers["n00000999"]) == (1, 1000)
    assert "output 0 is taken for the background" in notes[1]
    assert numbered(names, Reading(1001, label_offset=0), "here")[0]["n00000000"] == 0


def test_labels_that_do_not_match_the_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it has 3 classes .a_red, b_green, c_blue., and the network tells apart 10"):
        read(colour_folders(tmp_path, each=1), outputs=10)


def refused(path: Path, match: str, **how: Any) -> None:
    with pytest.raises(InputError, match=match) as told:
        read(path, **how)
    assert told.value.fix


def test_folders_without_images(tmp_path: Path) -> None:
    refused(tmp_path / "none", "there is no such file or folder")
    refused(tmp_path, "there are no images, and no sub-folders")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "readme.txt").write_text("no image")
    refused(tmp_path, "there are no images in its sub-folders")
    save_image(tmp_path / "b.png", noisy((1, 2, 3), (8, 8), NOISE))
    (tmp_path / "a" / "readme.txt").unlink()
    (tmp_path / "a").rmdir()
    refused(tmp_path, "there are images, and nothing says what they show")
    refused(tmp_path / "b.png", "'b.png' is no data set")
    refused(tmp_path / "b.png", "it is a file", form=Form.FOLDERS)


def test_a_limit_takes_from_every_class_and_grows(tmp_path: Path) -> None:
    data = read(colour_folders(tmp_path, each=5))
    seen: set[str] = set()
    for limit in (1, 3, 4, 7, 15, 99):
        few, told = limited(data, limit)
        names = set(labels(few))
        assert seen <= names
        assert len(names) == min(limit, 15)
        counts = np.bincount([sample.label for sample in few.samples], minlength=3)
        assert counts.max() - counts.min() <= 1
        assert told == ("" if limit >= 15 else f"{limit} of 15 samples, the first of each class in turn")
        seen = names


# ---------------------------------------------------------------------------------------------------------------------
# ImageNet


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    for i in (1, 2, 3):
        save_image(tmp_path / f"ILSVRC2012_val_{i:08}.JPEG", noisy((9, 9, 9), (8, 8), NOISE))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("val.txt", "".join(f"ILSVRC2012_val_{i:08}.JPEG {9 - i}\n" for i in (1, 2, 3, 4)), [8, 7, 6]),
        ("truth.txt", "4\n0\n7\n1\n", [4, 0, 7]),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\nILSVRC2012_val_00000002,n02 1 2 3 4\n"
            "ILSVRC2012_val_00000001,n01 1 2 3 4 n01 5 6 7 8\n"
            "ILSVRC2012_val_00000003,n03 0 0 1 1\n",
            [0, 1, 2],
        ),
    ],
    ids=["caffe", "numbers", "kaggle"],
)
def test_ground_truth_of_flat_images(flat: Path, file: str, text: str, expected: list[int]) -> None:
    (flat / file).write_text(text)
    found = read(flat, outputs=3 if file.endswith("csv") else 10)
    assert found.form is Form.IMAGENET
    assert [sample.label for sample in found.samples] == expected


def test_ground_truth_that_cannot_be_used(flat: Path) -> None:
    refused(flat, "there is no ground truth .* beside the images", outputs=1000)
    (flat / "truth.txt").write_text("490\n361\n1000\n")
    refused(flat, "those of the ImageNet development kit, whose order no network has", outputs=1000)
    (flat / "truth.txt").write_text("1\n2\n")
    refused(flat, "it has 2 lines, and ILSVRC2012_val_00000003.JPEG is there", outputs=1000)
    (flat / "truth.txt").write_text("ILSVRC2012_val_00000001.JPEG 1\nILSVRC2012_val_00000002.JPEG 1\n")
    refused(flat, "ILSVRC2012_val_00000003.JPEG has no line", outputs=1000)
    (flat / "truth.txt").write_text("cat 1\ndog 2\n")
    refused(flat, "no line names an image and its label", outputs=1000)
    (flat / "other.txt").write_text("1\n")
    refused(flat, "which file is the ground truth", outputs=1000)
    refused(flat, "it cannot be read", outputs=1000, labels=str(flat / "none.txt"))


def test_synset_folders_are_imagenet(tmp_path: Path) -> None:
    data = colour_folders(tmp_path, each=1, classes={"n01440764": (1, 2, 3), "n01443537": (4, 5, 6)})
    assert read(data, outputs=2).form is Form.IMAGENET


# ---------------------------------------------------------------------------------------------------------------------
# Visual Wake Words


@pytest.mark.parametrize("names", [("non_person", "person"), ("person", "zero"), ("Person", "background")])
def test_person_is_class_one_whatever_the_alphabet_says(tmp_path: Path, names: tuple[str, str]) -> None:
    data = colour_folders(tmp_path, each=1, classes=dict.fromkeys(names, (5, 5, 5)))
    found = read(data, outputs=2)
    assert found.form is Form.VWW
    assert {name.split("/")[0].lower(): label for name, label in labels(found).items()}["person"] == 1


def coco(root: Path, annotations: list[dict[str, Any]], categories: list[dict[str, Any]]) -> Path:
    images = [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 8} for i in (7, 3, 5)]
    for image in images:
        save_image(root / "all2014" / str(image["file_name"]), noisy((9, 9, 9), (8, 8), NOISE))
    (root / "annotations").mkdir()
    file = root / "annotations" / "instances_val.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    (root / "annotations" / "instances_train.json").write_text("{}")
    return file


def test_wake_words_need_two_outputs(tmp_path: Path) -> None:
    data = colour_folders(tmp_path, each=1, classes={"person": (1, 2, 3), "none": (3, 2, 1)})
    refused(data, "Visual Wake Words has 2 classes, and the network tells apart 3")


def test_annotations_of_the_wake_words_script(tmp_path: Path) -> None:
    notes = [{"image_id": 3, "category_id": 1, "area": 9}, {"image_id": 7, "category_id": 0}]
    file = coco(tmp_path, notes, [{"id": 0, "name": "not-person"}, {"id": 1, "name": "person"}])
    for place in (tmp_path, file):
        found = read(place, outputs=2)
        assert found.form is Form.VWW
        assert labels(found) == {"3.png": 1, "5.png": 0, "7.png": 0}
        assert [sample.name for sample in found.samples] == ["3.png", "5.png", "7.png"]


def test_annotations_of_coco_itself(tmp_path: Path) -> None:
    limit = 0.005 * 64
    notes = [
        {"image_id": 3, "category_id": 1, "area": limit + 0.01},
        {"image_id": 5, "category_id": 1, "area": limit},
        {"image_id": 7, "category_id": 18, "area": 60},
    ]
    coco(tmp_path, notes, [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}])
    assert labels(read(tmp_path, outputs=2)) == {"3.png": 1, "5.png": 0, "7.png": 0}


def test_wake_words_that_cannot_be_read(tmp_path: Path) -> None:
    refused(colour_folders(tmp_path / "c", each=1), "its folders are a_red, b_green, c_blue", outputs=2, form=Form.VWW)
    file = coco(tmp_path, [], [{"id": 18, "name": "dog"}])
    refused(file, "it has no category 'person'", outputs=2)
    refused(file, "Visual Wake Words has 2 classes, and the network tells apart 3")
    file.write_text("{")
    refused(file, "it is no COCO annotation file", outputs=2)
    file.write_text(json.dumps({"images": [{"id": 1, "file_name": "away.png"}], "annotations": []}))
    refused(file, "none of its images is below", outputs=2)


# ---------------------------------------------------------------------------------------------------------------------
# Pascal VOC

PIXELS = np.zeros((6, 2, 3), np.uint8)


def test_voc_boxes_lie_between_the_edges_of_their_pixels(tmp_path: Path) -> None:
    cat = {"name": "cat", "xmin": 1, "ymin": 2, "xmax": 1, "ymax": 5, "difficult": 1}
    other = {**cat, "name": "zebra"}
    voc_folder(tmp_path / "VOCdevkit" / "VOC2007", {"000001": (PIXELS, [cat, other])})
    found = read(tmp_path, outputs=20)
    assert (found.form, found.notes, found.is_voc2007) == (Form.VOC, ("split test",), True)
    (sample,) = found.samples
    assert sample.boxes == ((7, 0.0, 1.0, 1.0, 5.0, True),)


def test_voc_that_cannot_be_read(tmp_path: Path) -> None:
    cat = {"name": "cat", "xmin": 1, "ymin": 2, "xmax": 1, "ymax": 5}
    root = voc_folder(tmp_path, {"a": (PIXELS, [cat])}, split="val")
    assert read(root, outputs=20).notes == ("split val",)
    refused(root, "there is no split 'test'", outputs=20, split="test")
    refused(root, "20 classes are named, and the network tells apart 3")
    refused(root, "none of its objects is of the network's classes .dog", outputs=1, classes=("dog",))
    (root / "Annotations" / "a.xml").write_text(voc_annotation([{**cat, "xmin": 9}], "a.jpg"))
    refused(root, "it is no annotation .a box from 9,2 to 1,5.", outputs=20)
    (root / "Annotations" / "a.xml").write_text("<annotation>")
    refused(root, "it is no annotation", outputs=20)
    (root / "Annotations" / "a.xml").write_text(voc_annotation([cat], "a.jpg"))
    (root / "JPEGImages" / "a.png").unlink()
    refused(root, "its image is missing", outputs=20)
    refused(tmp_path / "Annotations", "there are no Annotations and JPEGImages", outputs=20, form=Form.VOC)
    with pytest.raises(InputError, match=r"the network gives no boxes, and the data set .voc. has boxes"):
        read_dataset(str(root), Reading(20), IMAGE)
    with pytest.raises(InputError, match=r"the network gives boxes, and the data set .folders. has labels"):
        read_dataset(str(colour_folders(tmp_path / "c")), Reading(3, is_detector=True), IMAGE)


# ---------------------------------------------------------------------------------------------------------------------
# Arrays


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_arrays_and_their_labels(tmp_path: Path) -> None:
    x = NOISE.integers(-128, 128, (4, 8, 8, 3)).astype(np.int8)
    for y in (np.array([0, 1, 2, 1]), np.eye(3)[[0, 1, 2, 1]], np.array([[0], [1], [2], [1]], np.float32)):
        found = read(saved(tmp_path / "d.npz", x=x, y=y))
        assert (found.form, [sample.label for sample in found.samples]) == (Form.ARRAYS, [0, 1, 2, 1])
        assert found.arrays is not None
        assert np.array_equal(found.arrays, x)
        assert read(tmp_path).place == tmp_path / "d.npz"
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    (tmp_path / "d.npz").unlink()
    assert read(tmp_path).form is Form.ARRAYS


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"a": np.zeros(3)}, "it holds a"),
        ({"x": np.zeros((2, 8, 9, 3), np.int8), "y": np.zeros(2)}, "a sample is 8x9x3, and the network takes 8x8x3"),
        ({"x": np.zeros((2, 3, 8, 8), np.int8), "y": np.zeros(2)}, r"channels come last: x.transpose\(0, 2, 3, 1\)"),
        ({"x": np.zeros((2, 8, 8, 3), np.int8), "y": np.zeros(3)}, "there are 3 labels for 2 samples"),
        ({"x": np.zeros((2, 8, 8, 3), np.int8), "y": np.array([0, 3])}, "label '3' is class 3"),
        ({"x": np.zeros((2, 8, 8, 3), np.int8), "y": np.array([0, -1])}, "a label is -1"),
        ({"x": np.zeros((2, 8, 8, 3), np.int8), "y": np.array([0, 0.5])}, "labels are float64"),
        ({"x": np.full((2, 8, 8, 3), np.nan), "y": np.zeros(2)}, "it holds NaN or infinity"),
        ({"x": np.full((2, 8, 8, 3), 300), "y": np.zeros(2)}, "its integers go from 300 to 300"),
        ({"x": np.zeros((0, 8, 8, 3), np.int8), "y": np.zeros(0)}, "there are no samples"),
        ({"x": np.zeros((2, 8, 8, 3), np.int8), "y": np.zeros(2), "groups": np.zeros(3)}, "for 2 samples"),
    ],
)
def test_arrays_that_do_not_go_together(tmp_path: Path, arrays: dict[str, Any], match: str) -> None:
    refused(saved(tmp_path / "d.npz", **arrays), match)


# ---------------------------------------------------------------------------------------------------------------------
# Images

FRAME = Frame(176, 176, 3, False)


@pytest.mark.parametrize(
    ("size", "scaled", "corner"),
    [((500, 375), (268, 201), (46, 12)), ((375, 500), (201, 268), (12, 46)), ((10, 10), (201, 201), (12, 12))],
)
def test_crop_is_torchvisions(size: tuple[int, int], scaled: tuple[int, int], corner: tuple[int, int]) -> None:
    """Resize(int(176 * 256 / 224)), CenterCrop(176): sizes and offsets worked out by torchvision's formulas."""
    found = fit(*size, FRAME, Preprocessing(resize=Resize.CROP, fraction=0.875))
    assert (found.scaled, (found.left, found.top)) == (scaled, corner)


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
    found = settle(subject_with(scale, zero_point), declared_by_user([]))
    assert (found.preprocessing.mean, found.preprocessing.std) == RANGES[name]
    assert found.source == "assumed"
    assert f"pixels are normalised to {name}" in found.assumption


def test_an_unusual_range_is_filled_and_said() -> None:
    found = settle(subject_with(0.00755, -72), declared_by_user([]))
    assert found.preprocessing.integers is Integers.BYTES
    assert "which is no usual range" in found.assumption
    table = pixel_table(subject_with(0.00755, -72).input, found.preprocessing, 3)
    assert np.array_equal(table[0], np.arange(-128, 128))


def test_users_override_and_files_declare(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[preprocessing]\nrange = "-1..1"\nresize = "crop"\n[detection]\nclasses = 1\nformat = "rows"\n')
    user = declared_by_user([str(file), "resize=stretch", "channels=bgr"])
    assert user.detection == Detection(classes=1, format=BoxFormat.ROWS)
    found = settle(subject_with(1 / 255, -128), user)
    assert found.preprocessing.resize is Resize.STRETCH
    assert found.preprocessing.channels is Channels.BGR
    assert found.preprocessing.mean == (127.5,)
    assert found.assumption == ""
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


# ---------------------------------------------------------------------------------------------------------------------
# Boxes


def detector(detection: Detection, outputs: list[np.ndarray[Any, Any]], size: tuple[int, int] = (64, 96)) -> Subject:
    """A float network whose outputs are of these shapes; nobody runs it."""
    b = GraphBuilder("d", dtype=DType.FLOAT32)
    b.input((1, *size, 3))
    made = [b.constant(array.shape, DType.FLOAT32, array) for array in outputs]
    return Subject(b.build(made), Answer.BOXES, max(detection.classes, 1), detection, None, "")


def decoded(detection: Detection, outputs: list[np.ndarray[Any, Any]], size: tuple[int, int] = (64, 96)) -> Any:
    subject = detector(detection, outputs, size)
    placed = fit(size[1], size[0], Frame(*size, 3, False), Preprocessing())
    (found,) = predictions(subject, [Sample("a", -1)], np.zeros(0), outputs, [placed])
    return found.boxes


def test_yolo_heads_as_the_papers_formulas() -> None:
    rng, anchors, classes = np.random.default_rng(2), (10, 13, 16, 30), 2
    head = rng.normal(0, 1.5, (1, 4, 6, 2 * (5 + classes))).astype(np.float32)
    declared = Detection((16,), (anchors,), classes, least_score=0.0, most_overlap=1.0, keep=1000, most_candidates=1000)
    right = []
    for row in range(4):
        for col in range(6):
            for a in range(2):
                x, y, w, h, objectness, *scores = head[0, row, col, a * 7 : a * 7 + 7].astype(float)
                cx, cy = (_logistic(x) + col) * 16, (_logistic(y) + row) * 16
                wide, high = math.exp(w) * anchors[2 * a], math.exp(h) * anchors[2 * a + 1]
                box = (cx - wide / 2, cy - high / 2, cx + wide / 2, cy + high / 2)
                right += [(label, _logistic(s) * _logistic(objectness), *box) for label, s in enumerate(scores)]
    found = decoded(declared, [head])
    assert np.allclose(sorted(found), sorted(right), atol=1e-4)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("corners", "is_relative", "numbers"),
    [
        (Corners.YXYX, True, (0.25, 0.5, 0.5, 0.75)),
        (Corners.XYXY, False, (48, 16, 72, 32)),
        (Corners.XYWH, True, (0.625, 0.375, 0.25, 0.25)),
    ],
)
def test_decoded_boxes_of_every_order(corners: Corners, is_relative: bool, numbers: tuple[float, ...]) -> None:
    declared = Detection(classes=3, format=BoxFormat.ROWS, corners=corners, is_relative=is_relative)
    (box,) = decoded(declared, [np.array([[[*numbers, 0.9, 2]]], np.float32)])
    assert box == pytest.approx((2, 0.9, 48, 16, 72, 32))


def test_postprocessed_boxes_stop_at_their_count() -> None:
    boxes = np.array([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]], np.float32)
    outputs = [
        boxes,
        np.array([[1, 0, 0]], np.float32),
        np.array([[0.9, 0.8, 0.7]], np.float32),
        np.array([2], np.float32),
    ]
    declared = Detection(classes=2, format=BoxFormat.POSTPROCESS)
    assert [(box.label, box.right, box.bottom) for box in decoded(declared, outputs)] == [(1, 48, 32), (0, 96, 64)]
    without = Detection(classes=2, format=BoxFormat.POSTPROCESS, outputs=(0, 1, 2, -1), most_overlap=1.0)
    assert len(decoded(without, outputs[:3])) == 3


def test_outputs_of_the_postprocessing_operator_are_known_by_their_shapes() -> None:
    def outputs(b: GraphBuilder, count: tuple[int, ...] = (1,)) -> list[int]:
        b.input((1, 8, 8, 3))
        return [b.constant(shape, DType.FLOAT32, np.zeros(shape)) for shape in (count, (1, 5), (1, 5, 4), (1, 5))]

    found = the_subject(build(outputs))
    assert found.answer is Answer.BOXES
    assert found.detection is not None
    assert (found.detection.format, found.detection.outputs) == (BoxFormat.POSTPROCESS, (2, 1, 3, 0))
    with pytest.raises(InputError, match="what its outputs mean is not known"):
        the_subject(build(lambda b: outputs(b, (2,))))


def test_suppression_is_greedy_and_class_by_class() -> None:
    rows = [(0, 0, 10, 10, 0.9, 0), (1, 0, 11, 10, 0.8, 0), (1, 0, 11, 10, 0.7, 1), (7, 0, 17, 10, 0.6, 0)]
    declared = Detection(classes=2, format=BoxFormat.ROWS, corners=Corners.XYXY, is_relative=False)
    found = decoded(declared, [np.array([rows], np.float32)])
    assert [(box.label, round(box.score, 1)) for box in found] == [(0, 0.9), (1, 0.7), (0, 0.6)]


def test_boxes_go_back_to_the_image() -> None:
    frame = Frame(100, 100, 3, False)
    stretched = fit(200, 50, frame, Preprocessing())
    assert stretched.to_image(np.array([[10.0, 10, 20, 20]])).tolist() == [[20, 5, 40, 10]]
    cropped = fit(400, 200, frame, Preprocessing(resize=Resize.CROP, fraction=0.5))  # to 400x200, cut at 150, 50
    assert cropped.to_image(np.array([[0.0, 0, 100, 100]])).tolist() == [[150, 50, 250, 150]]


def build(make: Callable[[GraphBuilder], list[int]]) -> Any:
    b = GraphBuilder("n", dtype=DType.FLOAT32)
    return b.build(make(b))


def test_answers_are_told_by_the_shapes() -> None:
    same = build(lambda b: [b.unary("TANH", b.input((1, 16)))])
    assert the_subject(same).answer is Answer.RECONSTRUCTION
    many = build(lambda b: [b.reshape(b.input((1, 16)), (1, 4, 4))])
    with pytest.raises(InputError, match=r"what its outputs mean is not known .1x4x4.") as told:
        the_subject(many)
    assert "YOLOv3 heads whose anchors are declared" in told.value.fix
    with pytest.raises(InputError, match="1 strides and 0 lists of anchors for 1 outputs"):
        the_subject(many, Detection(strides=(8,), classes=1))
