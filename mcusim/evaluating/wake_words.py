"""Visual Wake Words: COCO images with an annotation file, of the data set's own script or of COCO itself.

An image shows a person if a person's area is above 0.5 % of its own.
Source: Mxbonn/visualwakewords scripts/create_visualwakewords_annotations.py (threshold 0.005 of `area`), whose files
hold category 1 for persons, and in earlier versions category 0 for images without.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mcusim.errors import InputError
from mcusim.evaluating.dataset import Dataset, Form, Reading, Sample
from mcusim.evaluating.folders import require_two
from mcusim.evaluating.images import SUFFIXES
from mcusim.files import content_of, is_dir, is_file, parse_json, reason_of

__all__ = ["annotation_files", "read_wake_words"]

LEAST_AREA = 0.005
"""Of the image, which a person must exceed."""
CLASSES = ("not-person", "person")


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int = 0
    height: int = 0


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    area: float | None = None


class _Category(msgspec.Struct):
    id: int
    name: str


class _File(msgspec.Struct):
    """What counts of a COCO annotation file; msgspec skips the rest unread."""

    images: list[_Image]
    annotations: list[_Annotation] = []
    categories: list[_Category] = []


def annotation_files(folder: Path) -> list[Path]:
    """Annotation files in a folder or its `annotations`; of several, those of the validation set first."""
    candidates = [path for place in (folder, folder / "annotations") if is_dir(place) for path in place.glob("*.json")]
    return sorted(candidates, key=lambda path: ("val" not in path.name, "train" in path.name, path.name))


def read_wake_words(place: Path, reading: Reading) -> Dataset:
    """Labels from an annotation file, images found by name below the data set's folder. Raises InputError."""
    require_two(reading, place)
    files = [place] if is_file(place) else annotation_files(place)
    if not files:
        fix = "give the annotation file itself, or a folder that holds it"
        raise InputError("there is no annotation file (.json)", where=str(place), fix=fix)
    file, root = files[0], _root(files[0])
    content = _read(file)
    labels, label_note = _labels(content, file)
    paths = _found(root, {image.file_name for image in content.images})
    present = [image for image in content.images if image.file_name in paths]
    if not present:
        first = content.images[0].file_name if content.images else "none"
        fix = "put the images below the folder that holds the annotations"
        raise InputError(f"none of its images is below {root} (the first is {first})", where=str(file), fix=fix)
    notes = [f"annotations from {file.name}", label_note]
    if len(files) > 1:
        notes.append(f"not used: {', '.join(other.name for other in files[1:4])}")
    if len(present) < len(content.images):
        notes.append(f"{len(content.images) - len(present)} of its {len(content.images)} images are not there")
    samples = tuple(
        Sample(image.file_name, labels[image.id], paths[image.file_name])
        for image in sorted(present, key=lambda image: image.id)
    )
    return Dataset(Form.VWW, place, samples, CLASSES, notes=tuple(notes))


def _root(file: Path) -> Path:
    return file.parent.parent if file.parent.name == "annotations" else file.parent


def _read(file: Path) -> _File:
    try:
        return parse_json(content_of(file), _File)
    except OSError as error:
        what = f"it cannot be read ({reason_of(error)})"
        raise InputError(what, where=str(file), fix="check the path") from None
    except ValueError as error:
        reason = str(error).replace("`", "'")
        fix = "give a file with `images`, `annotations` and `categories`"
        raise InputError(f"it is no COCO annotation file ({reason})", where=str(file), fix=fix) from None


def _labels(content: _File, file: Path) -> tuple[Mapping[int, int], str]:
    """1 by image id where a person is, and how that was told."""
    labels: dict[int, int] = defaultdict(int)
    names = {category.id: category.name for category in content.categories}
    person = next((number for number, name in names.items() if name == "person"), None)
    is_reduced = set(names) <= {0, 1} and (person == 1 or not names)
    if is_reduced:
        for annotation in content.annotations:
            labels[annotation.image_id] |= int(annotation.category_id == 1)
        return labels, "a person where an annotation has category 1"
    if person is None:
        raise InputError("it has no category 'person'", where=str(file), fix="give COCO's instances file")
    area = {image.id: image.width * image.height for image in content.images}
    if not all(area.values()):
        raise InputError("an image has no width and height", where=str(file), fix="give COCO's instances file")
    for note in content.annotations:
        if note.category_id == person and note.area is not None and note.image_id in area:
            labels[note.image_id] |= int(note.area / area[note.image_id] > LEAST_AREA)
    return (
        labels,
        f"a person where one has more than {LEAST_AREA * 100:g} % of the image, as the data set's script counts",
    )


def _found(root: Path, names: set[str]) -> dict[str, Path]:
    """Path by the name in the annotations: as it stands below the root, or anywhere below it."""
    direct = {name: root / name for name in names if is_file(root / name)}
    if len(direct) == len(names):
        return direct
    by_name: dict[str, Path] = {}
    for folder, _, files in sorted(os.walk(root)):
        for name in files:
            if Path(name).suffix.lower() in SUFFIXES:
                by_name.setdefault(name, Path(folder) / name)
    path_of: dict[str, Path] = {}
    for name in names:
        place = direct.get(name) or by_name.get(Path(name).name)
        if place is not None:
            path_of[name] = place
    return path_of
