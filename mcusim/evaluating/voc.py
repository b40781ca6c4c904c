"""Pascal VOC's layout: JPEGImages/, Annotations/*.xml, ImageSets/Main/SPLIT.txt.

The annotations count pixels from 1 and include the last; here a box lies between the edges of its pixels, so its
width is right - left, which is the devkit's xmax - xmin + 1. What a detector finds is taken for edges too (A34).
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from mcusim.errors import InputError
from mcusim.evaluating.dataset import Box, Dataset, Form, Reading, Sample
from mcusim.evaluating.images import SUFFIXES
from mcusim.files import content_of, exists, is_dir, is_file, reason_of, text_of

__all__ = ["CLASSES", "is_voc", "read_voc", "voc_folder"]

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""In the devkit's order, which is the alphabet's."""

SPLITS = ("test", "val", "trainval", "train")


def voc_folder(folder: Path) -> Path | None:
    """The folder with Annotations and JPEGImages: this, or the newest VOC* in it or in a VOCdevkit in it."""
    places = [folder]
    for inner in (folder, folder / "VOCdevkit"):
        places += sorted((path for path in inner.glob("VOC*") if is_dir(path)), reverse=True)
    return next((place for place in places if is_voc(place)), None)


def is_voc(folder: Path) -> bool:
    return is_dir(folder / "Annotations") and is_dir(folder / "JPEGImages")


def read_voc(folder: Path, reading: Reading, labels: tuple[str, ...]) -> Dataset:
    """Images and the boxes in them.   labels: the network's classes; () for the twenty of VOC.

    Raises InputError for a missing file, a damaged annotation, or classes that do not match the network.
    """
    root = voc_folder(folder)
    if root is None:
        fix = "give the folder VOC2007 (or one above it) as the devkit unpacks it"
        raise InputError("there are no Annotations and JPEGImages", where=str(folder), fix=fix)
    names = tuple(reading.classes or labels or CLASSES)
    if len(names) != reading.outputs:
        what = f"{len(names)} classes are named, and the network tells apart {reading.outputs}"
        fix = "give --classes FILE with the name of each class on a line, or `labels` in [detection]"
        raise InputError(what, where=str(root), fix=fix)
    identifiers, split_note = _identifiers(root, reading.split)
    numbers = {name: i for i, name in enumerate(names)}
    samples = tuple(_sample(root, identifier, numbers) for identifier in identifiers)
    if not any(sample.boxes for sample in samples):
        what = f"none of its objects is of the network's classes ({', '.join(names[:5])})"
        raise InputError(what, where=str(root), fix="name the classes as the annotations do, with --classes FILE")
    return Dataset(Form.VOC, root, samples, names, notes=(split_note,), is_voc2007="2007" in root.name)


def _identifiers(root: Path, split: str | None) -> tuple[list[str], str]:
    """Names of the images of a split, and which it is."""
    sets = root / "ImageSets" / "Main"
    if split is None:
        split = next((name for name in SPLITS if is_file(sets / f"{name}.txt")), None)
    if split is None:
        identifiers = sorted(path.stem for path in (root / "Annotations").glob("*.xml"))
        if not identifiers:
            raise InputError("there are no annotations", where=str(root / "Annotations"), fix="unpack them all")
        return identifiers, "all annotated images (there is no ImageSets/Main)"
    file = sets / f"{split}.txt"
    try:
        identifiers = [line.split()[0] for line in text_of(file).splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        there = ", ".join(sorted(path.stem for path in sets.glob("*.txt") if "_" not in path.stem)) or "none"
        fix = f"use --split with one that is there: {there}"
        raise InputError(f"there is no split '{split}'", where=str(sets), fix=fix) from None
    if not identifiers:
        raise InputError("it names no images", where=str(file), fix="use another --split")
    return list(dict.fromkeys(identifiers)), f"split {split}"


def _sample(root: Path, identifier: str, numbers: dict[str, int]) -> Sample:
    annotation = root / "Annotations" / f"{identifier}.xml"
    try:
        if not is_file(annotation) and exists(annotation):  # a pipe would be waited for
            raise InputError("it is no regular file", where=str(annotation), fix="unpack all annotations")
        tree = ElementTree.fromstring(content_of(annotation))
        boxes = [_box(item, numbers) for item in tree.iterfind("object")]
        name = tree.findtext("filename") or f"{identifier}.jpg"
    except OSError as error:
        what = f"it cannot be read ({reason_of(error)})"
        raise InputError(what, where=str(annotation), fix="unpack all annotations") from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InputError(f"it is no annotation ({error})", where=str(annotation), fix="unpack it again") from None
    image = root / "JPEGImages" / Path(name).name
    if not is_file(image):
        others = [root / "JPEGImages" / f"{identifier}{suffix}" for suffix in sorted(SUFFIXES)]
        image = next((path for path in others if is_file(path)), image)
    if not is_file(image):
        raise InputError("its image is missing", where=str(image), fix="unpack JPEGImages, or use another --split")
    return Sample(identifier, -1, image, boxes=tuple(box for box in boxes if box is not None))


def _box(item: ElementTree.Element, numbers: dict[str, int]) -> Box | None:
    """An object, or None where the network does not know its class."""
    label = numbers.get((item.findtext("name") or "").strip())
    if label is None:
        return None
    corners = [item.findtext(f"bndbox/{key}") or "" for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, top, right, bottom = map(float, corners)
    except ValueError:
        raise ValueError("a box without four numbers") from None
    if not (left <= right and top <= bottom):
        raise ValueError(f"a box from {left:g},{top:g} to {right:g},{bottom:g}")
    is_difficult = (item.findtext("difficult") or "0").strip() == "1"
    return Box(label, left - 1, top - 1, right, bottom, is_difficult)
