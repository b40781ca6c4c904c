"""Data sets in folders, annotation files and arrays: what is read, assumed and refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_sets import COLOURS, colour_folders, noisy, save_image, voc_annotation, voc_folder

from mcusim.errors import InputError
from mcusim.evaluating.dataset import Dataset, Form, Reading, limited
from mcusim.evaluating.labels import read_classes
from mcusim.evaluating.reading import read_dataset
from mcusim.graph import DType, Quantization, Tensor, tensor_type

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
    dataset = read(colour_folders(tmp_path, each=2))
    assert (dataset.form, dataset.classes) == (Form.FOLDERS, tuple(COLOURS))
    assert labels(dataset) == {f"{name}/{i:03}.png": n for n, name in enumerate(COLOURS) for i in range(2)}


def test_a_split_beside_train_is_taken_and_said(tmp_path: Path) -> None:
    for split in ("train", "val"):
        colour_folders(tmp_path / split, each=1)
    dataset = read(tmp_path)
    assert len(dataset.samples) == 3
    assert dataset.notes[0] == "the folder val of it"


def test_numbers_are_class_numbers(tmp_path: Path) -> None:
    for name in ("2", "10", "1"):
        save_image(tmp_path / name / "a.png", noisy((1, 2, 3), (8, 8), NOISE))
    assert labels(read(tmp_path, outputs=11)) == {"1/a.png": 1, "10/a.png": 10, "2/a.png": 2}
    with pytest.raises(InputError, match="label '10' is class 10, and the network tells apart 0 to 9") as refusal:
        read(tmp_path, outputs=10)
    assert "--label-offset -1" in refusal.value.fix
    assert set(labels(read(tmp_path, outputs=10, label_offset=-1)).values()) == {0, 1, 9}


def test_classes_name_the_outputs(tmp_path: Path) -> None:
    data = colour_folders(tmp_path / "d", each=1)
    names = tmp_path / "names.txt"
    names.write_text("c_blue the sky\nunused\na_red\nb_green\n\n")
    dataset = read(data, outputs=5, classes=read_classes(str(names)))
    assert [sample.label for sample in dataset.samples] == [2, 3, 0]
    assert dataset.classes == ("c_blue the sky", "unused", "a_red", "b_green", "4")
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
    with pytest.raises(InputError, match=match) as refusal:
        read(path, **how)
    assert refusal.value.fix


def test_folders_without_images(tmp_path: Path) -> None:
    refused(tmp_path / "none", "No such file or directory")
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
        few, note = limited(data, limit)
        names = set(labels(few))
        assert seen <= names
        assert len(names) == min(limit, 15)
        counts = np.bincount([sample.label for sample in few.samples], minlength=3)
        assert counts.max() - counts.min() <= 1
        assert note == ("" if limit >= 15 else f"{limit} of 15 samples, the first of each class in turn")
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
    dataset = read(flat, outputs=3 if file.endswith("csv") else 10)
    assert dataset.form is Form.IMAGENET
    assert [sample.label for sample in dataset.samples] == expected


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
    dataset = read(data, outputs=2)
    assert dataset.form is Form.VWW
    assert {name.split("/")[0].lower(): label for name, label in labels(dataset).items()}["person"] == 1


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
        dataset = read(place, outputs=2)
        assert dataset.form is Form.VWW
        assert labels(dataset) == {"3.png": 1, "5.png": 0, "7.png": 0}
        assert [sample.name for sample in dataset.samples] == ["3.png", "5.png", "7.png"]


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
    dataset = read(tmp_path, outputs=20)
    assert (dataset.form, dataset.notes, dataset.is_voc2007) == (Form.VOC, ("split test",), True)
    (sample,) = dataset.samples
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
    (root / "Annotations" / "a.xml").unlink()
    os.mkfifo(root / "Annotations" / "a.xml")  # without anybody who writes to it
    refused(root, "it is no regular file", outputs=20)
    (root / "Annotations" / "a.xml").unlink()
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
        dataset = read(saved(tmp_path / "d.npz", x=x, y=y))
        assert (dataset.form, [sample.label for sample in dataset.samples]) == (Form.ARRAYS, [0, 1, 2, 1])
        assert dataset.arrays is not None
        assert np.array_equal(dataset.arrays, x)
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
