"""Search spaces: those of published work hold the networks that were published; a user's file or function is checked.

The judge of membership is the released network: its blocks are read off, asked for, and what comes out must be it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mcusim import load, zoo
from mcusim.designing.spaces import Space, find_space, space_names
from mcusim.designing.spaces.choosing import Choices
from mcusim.designing.spaces.mcunetv2 import Block, Choice, Task, rounded
from mcusim.errors import InputError
from mcusim.graph import Graph

TINY = """
[tasks]
digits = { dataset = "digits", classes = 10 }
[choices]
resolution = [16, 32]
[network]
input = ["resolution", "resolution", 1]
[[part]]
name = "body"
op = "separable_conv"
blocks = [1, 2]
kernel = [3, 5]
out_channels = [8, 16]
[[part]]
op = "average_pool_2d"
[[part]]
op = "conv_2d"
out_channels = "classes"
"""


def shapes(graph: Graph) -> list[Any]:
    """Every operator with the shapes that it reads and writes, constants' too."""
    listed = []
    for node in graph.nodes:
        tensors = [graph.tensors[tensor].shape for tensor in (*node.inputs, *node.outputs) if tensor >= 0]
        listed.append((node.op, node.attributes, tensors))
    return listed


def chosen(space: Space, values: Mapping[str, Any]) -> Graph:
    """The network with these values, every choice named."""

    def pick(name: str, count: int) -> int:
        raise AssertionError(f"{name} was not said")

    choices = Choices(pick, values)
    made = space.make(choices)
    assert set(choices.values) == set(values)
    return load({"name": "asked", **made})


def stages_of(layers: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Blocks of the five stages: each begins where the map is halved, the fourth where its channels grow."""
    blocks = [layer for layer in layers if layer["op"] == "mbconv"][1:-1]
    stage: list[dict[str, Any]] = []
    for block in blocks:
        if stage and (block.get("stride", 1) == 2 or not block.get("shortcut")):
            yield stage
            stage = []
        stage.append(block)
    yield stage


def split(stages: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Two stages that have the same channels look like one: the third and the fourth, as the map stays."""
    if len(stages) < 5:
        half = max(2, len(stages[2]) - 4)
        stages[2:3] = [stages[2][:half], stages[2][half:]]
    return stages


def values_of(name: str, width: float) -> dict[str, Any]:
    network = zoo.network_description(name)
    values: dict[str, Any] = {"resolution": network["input"][0], "width": width}
    for number, stage in enumerate(split([*stages_of(network["layers"])]), 1):
        values[f"stage {number} blocks"] = len(stage)
        for block, layer in enumerate(stage, 1):
            values |= {f"stage {number}.{block} {key}": layer[key] for key in ("kernel", "expand")}
    last = [layer for layer in network["layers"] if layer["op"] == "mbconv"][-1]
    return values | {f"last {key}": last[key] for key in ("kernel", "expand")}


MEMBERS = {
    "mcunet-in0": 0.6,
    "mcunet-in1": 0.5,
    "mcunet-in2": 0.5,
    "mcunet-in3": 0.5,
    "mcunet-in4": 1.0,
    "mcunet-256kb-int4": 0.9,
    "mcunet-320kb-int4": 0.9,
    "mcunet-vww0": 0.5,
    "mcunet-vww1": 0.5,
    "mcunet-vww2": 0.5,
}
"""Released network of MCUNet -> the width that gives its channels."""


@pytest.mark.parametrize("name", MEMBERS)
def test_mcunets_space_holds_mcunets_networks(name: str) -> None:
    space = find_space("mcunet:vww" if "vww" in name else "mcunet")
    assert shapes(chosen(space, values_of(name, MEMBERS[name]))) == shapes(load(name))


def test_one_network_of_mcunet_is_wider_than_the_space() -> None:
    """mcunet-512kb-int4 has 48 channels where the frame has 32: a width of 1.5."""
    with pytest.raises(InputError, match=r"1\.5 is not in the space"):
        chosen(find_space("mcunet"), values_of("mcunet-512kb-int4", 1.5))


@pytest.mark.parametrize("name", [n for n in zoo.witness_names() if "voc" not in n])
def test_mcunetv2s_space_holds_the_witnesses(name: str) -> None:
    """Widths are tried part by part: what a part's channels are decides."""
    space = find_space("mcunetv2:vww" if "vww" in name else "mcunetv2")
    values = {key: value for key, value in values_of(name, 1.0).items() if key != "width"}
    mbconvs = [layer for layer in zoo.network_description(name)["layers"] if layer["op"] in ("conv_2d", "mbconv")]
    firsts = [stage[0] for stage in split([*stages_of(mbconvs)])]
    parts = {"stem": mbconvs[0], "first": mbconvs[1], "last": mbconvs[-2]}
    parts |= {f"stage {number}": first for number, first in enumerate(firsts, 1)}
    bases = {"stem": 32, "first": 16, "stage 1": 24, "stage 2": 40, "stage 3": 80, "stage 4": 96, "stage 5": 192}
    for part, layer in parts.items():
        base = bases.get(part, 320)
        values[f"{part} width"] = next(w for w in (0.5, 0.75, 1.0) if rounded(base, w) == layer["out_channels"])
    assert shapes(chosen(space, values)) == shapes(load(name))


@pytest.mark.parametrize("task", ["imagenet", "vww"])
def test_mcunetv2s_file_is_the_space_that_search_net_walks(task: str) -> None:
    space = find_space(f"mcunetv2:{task}")
    for seed in range(40):
        made = space.drawn(seed)
        value = made.values
        stages = []
        for number in range(1, 6):
            names = [f"stage {number}.{block}" for block in range(1, value[f"stage {number} blocks"] + 1)]
            stages.append(tuple(Block(value[f"{name} kernel"], value[f"{name} expand"]) for name in names))
        stages.append((Block(value["last kernel"], value["last expand"]),))
        parts = ["stem", "first", *(f"stage {number}" for number in range(1, 6)), "last"]
        widths = tuple(value[f"{part} width"] for part in parts)
        known = Choice(Task(task), value["resolution"], widths, tuple(stages)).network()
        assert shapes(made.graph("drawn")) == shapes(load({"name": "known", **known}))


def test_micronets_space_holds_micronet_vww2(corpus: Path) -> None:
    released = load(corpus / "models" / "micronet_vww2.tflite")
    convolutions = [node for node in released.nodes if node.op == "CONV_2D"]
    widths = [node.signature.output.channels for node in convolutions]
    space = find_space("micronets-vww")
    values: dict[str, Any] = {
        "resolution": 50,
        "stem width": tenth(widths[0], 32),
        "head width": tenth(widths[-2], 1280),
    }
    blocks = [part for part in space.make.__self__.parts if part.name.startswith("block")]  # type: ignore[attr-defined]
    for part, (hidden, out_c) in zip(blocks, zip(widths[1:-2:2], widths[2:-2:2], strict=True), strict=True):
        values[f"{part.name} hidden_width"] = tenth(hidden, part.layer["hidden"])
        values[f"{part.name} width"] = tenth(out_c, part.layer["out_channels"])
    asked = chosen(space, values)
    ours = [node.signature.output.shape for node in asked.nodes if node.op != "PAD"]
    assert ours[:-1] == [node.signature.output.shape for node in released.nodes if node.op != "PAD"][:-1]


def tenth(channels: int, of: int) -> float:
    """The width that is cut down to these channels."""
    return next(width / 10 for width in range(1, 11) if max(4, of * width // 10 // 4 * 4) == channels)


def test_micronets_space_holds_micronet_kws_large(corpus: Path) -> None:
    released = load(corpus / "models" / "micronet_kws_large.tflite")
    channels = [node.signature.output.channels for node in released.nodes if node.op == "CONV_2D"][:-1]
    values = {"stem out_channels": channels[0], "blocks blocks": len(channels) - 1}
    values |= {f"blocks.{number} out_channels": out_c for number, out_c in enumerate(channels[1:], 1)}
    asked = chosen(find_space("micronets-kws"), values)
    assert [s[2][-1] for s in shapes(asked)][:-1] == [s[2][-1] for s in shapes(released)][:-1]


def test_sizes() -> None:
    """By hand: 12 kinds of block in MCUNet's stages of 2 to 4, 9 in MCUNetV2's, with a width for each of 8 parts."""
    assert find_space("mcunet").size == 12 * 9 * (12**2 + 12**3 + 12**4) ** 5 * 12
    assert find_space("mcunet").held(width=0.5, resolution=144).size == (12**2 + 12**3 + 12**4) ** 5 * 12
    assert find_space("mcunetv2").size == 6 * 3**8 * (9**2 + 9**3 + 9**4) ** 5 * 9
    assert find_space("mcunetv2:voc").size == 6 * 3**7 * (9**2 + 9**3 + 9**4) ** 5
    assert find_space("micronets-kws").size == 10 * (10**5 + 10**6 + 10**7)
    # 3^6 depths and 12^21 blocks, those left out counted too, are the 3.3e25 that MCUNet's paper gives.
    assert f"{3**6 * 12**21:.1e}" == "3.4e+25"


def every(space: Space) -> list[dict[str, Any]]:
    """The values of every network of a small space, by trying each index of each choice in turn."""
    networks: list[dict[str, Any]] = []
    pending: list[list[int]] = [[]]
    while pending:
        path = pending.pop()
        counts: list[int] = []

        def pick(name: str, count: int, path: list[int] = path, counts: list[int] = counts) -> int:
            counts.append(count)
            return path[len(counts) - 1] if len(counts) <= len(path) else 0

        networks.append(space.made(pick).values)
        for depth in range(len(path), len(counts)):
            taken = [*path, *[0] * (depth - len(path))]
            pending += [[*taken, index] for index in range(1, counts[depth])]
    return networks


def test_the_size_is_how_many_networks_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    space = find_space("tiny.toml", str(tmp_path))
    networks = every(space)
    assert len({str(sorted(values.items())) for values in networks}) == len(networks) == space.size == 2 * (4 + 16)


@pytest.mark.parametrize("name", [*space_names(), "mcunetv2:voc"])
def test_draws(name: str) -> None:
    """Each option is drawn about as often as another, and a seed draws one network."""
    space = find_space(name)
    assert shapes(space.drawn(7).graph("a")) == shapes(space.drawn(7).graph("b"))
    assert space.drawn(7).values != space.drawn(8).values
    made = [space.drawn(seed) for seed in range(300)]
    widest = max(made[0].counts, key=lambda name: made[0].counts[name])
    taken = [one.picks[widest] for one in made if widest in one.picks]
    count = made[0].counts[widest]
    assert all(0.3 < taken.count(index) * count / len(taken) < 2.2 for index in range(count))


def test_a_function_is_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every method of `random.Random` that it may use comes down to choices."""
    (tmp_path / "shuffling_space.py").write_text(
        "def space(random):\n"
        "    side = random.choice([8, 16], 'side')\n"
        "    kernels = [1, 3, 5]\n"
        "    random.shuffle(kernels)\n"
        "    layers = [{'op': 'conv_2d', 'kernel': k, 'out_channels': random.randint(1, 9)} for k in kernels]\n"
        "    layers += [{'op': 'conv_2d', 'out_channels': random.randrange(8, 17, 8)}] * random.sample([1, 2], 1)[0]\n"
        "    layers[0]['out_channels'] = 1 + int(4 * random.random())\n"
        "    return {'input': [side, side, 3], 'layers': layers}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    space = find_space("shuffling_space:space", str(tmp_path))
    seen = [space.drawn(seed) for seed in range(60)]
    assert {made.values["side"] for made in seen} == {8, 16}
    assert len({str(made.description) for made in seen}) > 50
    assert space.drawn(3).description == seen[3].description
    assert {made.values["side"] for made in map(space.held(side=8).drawn, range(9))} == {8}
    replay = seen[5].picks
    assert space.made(lambda name, count: replay[name]).description == seen[5].description


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[choices]", "[choises]", "did you mean 'choices'"),
        ("[network]", "[network]\npading = 'same'", "did you mean 'padding'"),
        ("[network]", "[network]\nchannels = { multipel = 8 }", "did you mean 'multiple'"),
        ("kernel = [3, 5]", "kernal = [3, 5]", "did you mean 'kernel'"),
        ("kernel = [3, 5]", "kernel = []", "'kernel' has no options"),
        ("blocks = [1, 2]", "blocks = []", "'blocks' has no options"),
        ("blocks = [1, 2]", "blocks = [1.5]", "use whole numbers"),
        ("resolution = [16, 32]", "resolution = []", "choice 'resolution' has no options"),
        ('"classes"', '"clases"', "did you mean 'classes'"),
        ('["resolution", "resolution", 1]', '["resolutoin", 16, 1]', "did you mean 'resolution'"),
        ("separable_conv", "seperable_conv", "did you mean 'separable_conv'"),
        ("out_channels = [8, 16]", "width = 'resolution'", "'width' has no 'out_channels'"),
        ("out_channels = [8, 16]", "out_channels = 8\nwidth = [0]", "use numbers above 0"),
        ("[tasks]", "[schedule]\ngrids = []\n[tasks]", "grids is []"),
        ("[tasks]", "[tasks", "it is TOML"),
    ],
)
def test_wrong_files(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in TINY
    (tmp_path / "wrong.toml").write_text(TINY.replace(old, new, 1))
    with pytest.raises(InputError) as refusal:
        find_space("wrong.toml", str(tmp_path))
    assert sentence in str(refusal.value)


def test_a_file_without_parts_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("part = []\n[network]\ninput = [8, 8, 1]\n")
    with pytest.raises(InputError, match="it has no parts"):
        find_space("empty.toml", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mcunett", "did you mean 'mcunet'"),
        ("mcunet:cats", "it has no task 'cats'"),
        ("absent.toml", "cannot be read"),
        ("no_such_module:space", r"is no_such_module\.py in"),
        ("math:spce", "module math has no 'spce'"),
        ("math:pi", "not a function"),
    ],
)
def test_wrong_names(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        find_space(name, str(tmp_path))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return 1 / 0", "it raised ZeroDivisionError"),
        ("return 3", "it returned a int"),
        ("return random.choice([])", "there is nothing to choose from"),
    ],
)
def test_functions_that_fail(tmp_path: Path, body: str, sentence: str) -> None:
    module = f"failing_space_{Random(body).randrange(10**9)}"
    (tmp_path / f"{module}.py").write_text(f"def space(random):\n    {body}\n")
    with pytest.raises(InputError, match=sentence):
        find_space(f"{module}:space", str(tmp_path)).drawn(0)


def test_a_choice_of_one_option_can_be_held(tmp_path: Path) -> None:
    """It is nothing to choose, but it is in the space; another value is not."""
    (tmp_path / "one.toml").write_text(TINY.replace("[16, 32]", "[32]").replace("kernel = [3, 5]", "kernel = [3]"))
    space = find_space("one.toml", str(tmp_path))
    free = space.drawn(3)
    assert space.held(**{"resolution": 32, "body.1 kernel": 3}).drawn(3).description == free.description
    assert "resolution" not in free.picks
    with pytest.raises(InputError, match="resolution 16 is not in it"):
        space.held(resolution=16)
    with pytest.raises(InputError, match="5 is not in the space"):
        space.held(**{"body.1 kernel": 5}).drawn(3)


def test_held_choices_are_checked() -> None:
    with pytest.raises(InputError, match="resolution 100 is not in it"):
        find_space("mcunet").held(resolution=100)
    with pytest.raises(InputError, match="it has no choice 'depth'") as refusal:
        find_space("mcunet").held(depth=3).drawn(0)
    assert refusal.value.fix.endswith("(`mcusim search mcunet --profile BOARD --json` lists them all)")
    assert prod(find_space("mcunet").held(width=0.3).drawn(1).graph("x").tensors[0].shape) > 0
