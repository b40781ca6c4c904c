"""Images in folders: one a class, and ImageNet's validation images with their ground truth in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mcusim.errors import InputError
from mcusim.evaluating.dataset import Dataset, Form, Reading, Sample
from mcusim.evaluating.images import SUFFIXES
from mcusim.evaluating.labels import numbered
from mcusim.files import reason_of, text_of

__all__ = ["class_folders", "images_in", "inner_split", "read_flat_imagenet", "read_folders"]

SPLITS = ("val", "validation", "valid", "test")
"""Names of folders beside `train`, the one that is evaluated first."""
_FLAT = re.compile(r"ILSVRC2012_val_\d{8}\.jpe?g", re.IGNORECASE)
_SYNSET = re.compile(r"n\d{8}")


def images_in(folder: Path, deep: bool = False) -> list[Path]:
    """Image files by their suffix, sorted; hidden ones are left out."""
    if deep:
        paths = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    else:
        paths = (Path(entry.path) for entry in os.scandir(folder) if not entry.is_dir())
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))


def class_folders(folder: Path) -> list[Path]:
    """Sub-folders that may be classes, sorted by name."""
    return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def inner_split(folder: Path) -> Path | None:
    """The folder of a split that should be measured, where `folder` holds splits rather than classes."""
    names = {path.name.lower(): path for path in class_folders(folder)}
    if not names or not set(names) <= {*SPLITS, "train", "training"}:
        return None
    return next((names[split] for split in SPLITS if split in names), None)


def has_flat_imagenet(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_FLAT.fullmatch(entry.name) for entry in entries)


def read_folders(folder: Path, reading: Reading, wake_words: bool = False) -> Dataset:
    """Images in a sub-folder a class. Raises InputError where there are none, or the classes do not match."""
    labelled = {path.name: images_in(path, deep=True) for path in class_folders(folder)}
    empty = [name for name, images in labelled.items() if not images]
    if not labelled or len(empty) == len(labelled):
        what = "there are no images in its sub-folders" if labelled else "there are no images, and no sub-folders"
        fix = f"give a folder with a sub-folder a class, holding {', '.join(sorted(SUFFIXES)[:4])}, ... files"
        raise InputError(what, where=str(folder), fix=fix)
    classes = [name for name in labelled if name not in empty] if len(labelled) != reading.outputs else list(labelled)
    if wake_words:
        require_two(reading, folder)
    if wake_words and not reading.classes:
        numbers, notes = _wake_words(classes, folder), ["class 1 is the folder named person"]
    else:
        numbers, notes = numbered(classes, reading, str(folder))
    if empty:
        notes = [*notes, f"without images: {', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''}"]
    samples = tuple(
        Sample(path.relative_to(folder).as_posix(), numbers[name], path) for name in classes for path in labelled[name]
    )
    synsets = all(_SYNSET.fullmatch(name) for name in classes)
    form = Form.VWW if wake_words else Form.IMAGENET if synsets else Form.FOLDERS
    return Dataset(form, folder, samples, _names(numbers, reading), notes=tuple(notes))


def require_two(reading: Reading, place: Path) -> None:
    """Refuse Visual Wake Words for a network that does not tell two classes apart. Raises InputError."""
    if reading.outputs != 2:
        what = f"Visual Wake Words has 2 classes, and the network tells apart {reading.outputs}"
        raise InputError(what, where=str(place), fix="give a network with two outputs, or another --form")


def is_wake_words(names: Iterable[str]) -> bool:
    """Whether two folders are person and its opposite."""
    lowered = [name.lower() for name in names]
    return len(lowered) == 2 and sum(_is_person(name) for name in lowered) == 1


def _is_person(name: str) -> bool:
    return name.lower() in ("person", "persons", "people")


def _wake_words(classes: Sequence[str], folder: Path) -> dict[str, int]:
    if not is_wake_words(classes):
        fix = "name two folders person and non_person, or give --classes FILE with the two names"
        raise InputError(f"its folders are {', '.join(classes)}", where=str(folder), fix=fix)
    return {name: int(_is_person(name)) for name in classes}


def _names(numbers: dict[str, int], reading: Reading) -> tuple[str, ...]:
    names = [str(i) for i in range(reading.outputs)]
    for number, line in enumerate(reading.classes):
        names[number] = line
    if not reading.classes:
        for name, number in numbers.items():
            names[number] = name
    return tuple(names)


# ---------------------------------------------------------------------------------------------------------------------
# ImageNet, flat


def read_flat_imagenet(folder: Path, reading: Reading) -> Dataset:
    """ILSVRC2012_val_*.JPEG in one folder, and a file that says what they show. Raises InputError."""
    images = [path for path in images_in(folder) if _FLAT.fullmatch(path.name)]
    if not images:
        fix = "give the folder with ILSVRC2012_val_00000001.JPEG and so on, or use --form folders"
        raise InputError("there are no ILSVRC2012_val_*.JPEG images", where=str(folder), fix=fix)
    truth = Path(reading.labels) if reading.labels else _only_text(folder)
    label_of, notes = _read_truth(truth, images, reading)
    missing = next((path.name for path in images if path.stem not in label_of), None)
    if missing is not None:
        raise InputError(f"{missing} has no line", where=str(truth), fix="give the ground truth of these images")
    labels = [label_of[path.stem] for path in images]
    numbers, more = numbered(sorted(set(labels)), reading, str(truth))
    samples = tuple(Sample(path.name, numbers[label], path) for path, label in zip(images, labels, strict=True))
    return Dataset(Form.IMAGENET, folder, samples, _names(numbers, reading), notes=(*notes, *more))


def _only_text(folder: Path) -> Path:
    lists = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".txt", ".csv"))
    if len(lists) == 1:
        return lists[0]
    what = "which file is the ground truth?" if lists else "there is no ground truth (.txt or .csv) beside the images"
    fix = "name it with --labels FILE: lines of `ILSVRC2012_val_00000001.JPEG 65`, or LOC_val_solution.csv"
    raise InputError(what, where=str(folder), fix=fix)


def _read_truth(truth: Path, images: Sequence[Path], reading: Reading) -> tuple[dict[str, str], list[str]]:
    """Label by stem of the image's name. Three forms: `image label`, `image,label ...`, or one number a line."""
    try:
        lines = text_of(truth).splitlines()
    except (OSError, ValueError) as error:
        reason = reason_of(error)
        raise InputError(f"it cannot be read ({reason})", where=str(truth), fix="check --labels") from None
    words = [re.split(r"[,\s]+", line.strip()) for line in lines if line.strip()]
    if all(len(row) == 1 for row in words):
        return _in_order([row[0] for row in words], truth, images, reading)
    label_of = {
        Path(row[0]).stem: row[1] for row in words if len(row) > 1 and _FLAT.fullmatch(f"{Path(row[0]).stem}.jpg")
    }
    if not label_of:
        fix = "write lines of `ILSVRC2012_val_00000001.JPEG LABEL`, LABEL being a class number or a synset"
        raise InputError("no line names an image and its label", where=str(truth), fix=fix)
    return label_of, [f"ground truth from {truth.name}"]


def _in_order(
    labels: Sequence[str], truth: Path, images: Sequence[Path], reading: Reading
) -> tuple[dict[str, str], list[str]]:
    numbers = [int(path.stem.rpartition("_")[2]) for path in images]
    if max(numbers) > len(labels):
        what = f"it has {len(labels)} lines, and {images[-1].name} is there"
        raise InputError(what, where=str(truth), fix="give the ground truth of all images, a line each")
    if not reading.classes and "1000" in labels and "0" not in labels:
        what = "its numbers 1 to 1000 are those of the ImageNet development kit, whose order no network has"
        fix = "use a file with class numbers from 0 or synsets, or --classes FILE with that kit's number of each class"
        raise InputError(what, where=str(truth), fix=fix)
    label_of = {path.stem: labels[number - 1] for path, number in zip(images, numbers, strict=True)}
    return label_of, [f"ground truth from {truth.name}, a line an image"]
