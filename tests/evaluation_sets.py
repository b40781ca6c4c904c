"""Networks with known answers, and small labelled data sets, made on the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from commands import run
from PIL import Image

from mcusim import execute
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Graph, Quantization

COLOURS = {"a_red": (200, 40, 30), "b_green": (20, 220, 50), "c_blue": (60, 10, 210)}
UNIT = Quantization((1 / 255,), (-128,))
"""Real numbers from 0 to 1: a pixel's byte is byte - 128."""


def brightest_channel(side: int = 8, quantization: Quantization = UNIT) -> Graph:
    """Class 0, 1, 2: red, green or blue is strongest on average."""
    b = GraphBuilder("brightest")
    x = b.input((1, side, side, 3), quantization=quantization)
    return with_seeded_weights(b.build([b.reshape(b.average_pool_2d(x), (1, 3))]))


def random_classifier(classes: int, side: int = 8, channels: int = 3) -> Graph:
    """Answers that depend on every pixel; no one knows them before."""
    b = GraphBuilder("random")
    x = b.input((1, side, side, channels), quantization=UNIT)
    x = b.conv_2d(x, 8, kernel=3, stride=2)
    return with_seeded_weights(b.build([b.fully_connected(b.reshape(x, (1, -1)), classes)]), seed=3)


ROWS = 6
"""Boxes that the image of a `box_reader` holds, a row of two pixels each."""


def box_reader() -> Graph:
    """A detector of one output: rows of six columns, which are the six bytes of each row of the image."""
    b = GraphBuilder("reader", dtype=DType.FLOAT32)
    return b.build([b.reshape(b.input((1, ROWS, 2, 3)), (1, ROWS, 6))])


def save_model(graph: Graph, folder: Path, name: str = "net.tflite") -> Path:
    path = folder / name
    path.write_bytes(write_tflite(graph))
    return path


def save_image(path: Path, pixels: np.ndarray[Any, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def noisy(colour: Sequence[int], size: tuple[int, int], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    noise = rng.integers(-20, 21, (*size, len(colour)))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def colour_folders(
    root: Path, each: int = 4, size: tuple[int, int] = (8, 8), classes: Mapping[str, Any] = COLOURS
) -> Path:
    """A sub-folder a colour; the brightest channel of every image is its class."""
    rng = np.random.default_rng(1)
    for name, colour in classes.items():
        for i in range(each):
            save_image(root / name / f"{i:03}.png", noisy(colour, size, rng))
    return root


def coloured_set(folder: Path, each: int = 4) -> tuple[Path, Path]:
    """A network that is always right on a data set, and that data set.   each: images of each of the three classes."""
    return save_model(brightest_channel(), folder), colour_folders(folder / "data", each=each)


def voc_annotation(boxes: Sequence[Mapping[str, Any]], filename: str) -> str:
    """boxes: name, difficult, and xmin, ymin, xmax, ymax as VOC counts them, from 1 and inclusive."""
    objects = "".join(
        f"<object><name>{box['name']}</name><difficult>{int(box.get('difficult', 0))}</difficult><bndbox>"
        + "".join(f"<{key}>{box[key]}</{key}>" for key in ("xmin", "ymin", "xmax", "ymax"))
        + "</bndbox></object>"
        for box in boxes
    )
    return f"<annotation><filename>{filename}</filename>{objects}</annotation>"


def voc_folder(
    root: Path, images: Mapping[str, tuple[np.ndarray[Any, Any], Sequence[Mapping[str, Any]]]], split: str = "test"
) -> Path:
    """Pascal VOC's layout. images: identifier -> pixels and boxes."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, (pixels, boxes) in images.items():
        save_image(root / "JPEGImages" / f"{name}.png", pixels)
        (root / "Annotations" / f"{name}.xml").write_text(voc_annotation(boxes, f"{name}.jpg"))
    (root / "ImageSets/Main" / f"{split}.txt").write_text("".join(f"{name}\n" for name in images))
    return root


def scenes(count: int) -> dict[str, tuple[np.ndarray[Any, Any], list[dict[str, Any]]]]:
    """Images whose bytes are what `box_reader` finds there, and the objects that are to be found."""
    rng = np.random.default_rng(11)
    by_name = {}
    for i in range(count):
        boxes = []
        for _ in range(3):
            left, top, wide, high = rng.integers(1, 60, 4) + np.array([0, 0, 10, 10])
            corners = {"xmin": left + 1, "ymin": top + 1, "xmax": left + wide, "ymax": top + high}
            boxes.append({"name": ("cat", "dog")[rng.integers(2)], "difficult": rng.random() < 0.2, **corners})
        rows = np.zeros((ROWS, 6), int)
        for row, box in enumerate(boxes[: rng.integers(0, 4)]):
            edges = [box["xmin"] - 1, box["ymin"] - 1, box["xmax"], box["ymax"]]
            jitter = np.array(edges) + rng.integers(-2, 3, 4)
            rows[row] = [*np.clip(jitter, 0, 255), rng.integers(1, 255), ("cat", "dog").index(box["name"])]
        rows[5] = [100, 100, 110, 120, rng.integers(1, 255), rng.integers(2)]
        by_name[f"{i:03}"] = (rows.reshape(ROWS, 2, 3), boxes)
    return by_name


DETECTOR = """
range = "0..255"
[detection]
format = "rows"
corners = "xyxy"
is_relative = false
classes = 2
labels = ["cat", "dog"]
least_score = 1
most_overlap = 1.0
"""


def save_examples(folder: Path) -> None:
    """The files that the examples of `mcusim evaluate --help` name; what their networks need is compiled."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 30)
    np.savez(folder / "kws.npz", x=np.array([noisy(list(COLOURS.values())[label], (8, 8), rng) for label in y]), y=y)
    for name in ("kws.tflite", "net.tflite"):
        save_model(brightest_channel(), folder, name)
    colour_folders(folder / "images")
    save_model(box_reader(), folder, "detector.tflite")
    (folder / "detector.toml").write_text(DETECTOR)
    voc_folder(folder / "VOC2007", scenes(5))
    for graph in (brightest_channel(), box_reader()):
        source = graph.tensors[graph.inputs[0]]
        execute(graph, np.zeros(source.shape, source.dtype.value))


def random_images(root: Path, classes: int, each: int, side: int = 8) -> tuple[np.ndarray[Any, Any], list[int]]:
    """Noise in folders; returns the pixels and labels in the order of the data set."""
    rng = np.random.default_rng(7)
    pixels, labels = [], []
    for label in range(classes):
        for i in range(each):
            pixels.append(rng.integers(0, 256, (side, side, 3)))
            save_image(root / f"c{label}" / f"{i:02}.png", pixels[-1])
            labels.append(label)
    return np.array(pixels), labels


def ask(*args: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output and error of `mcusim ARGS`."""
    return run(*map(str, args))
