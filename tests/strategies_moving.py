"""Random networks of one operator that moves elements."""

from __future__ import annotations

from drafts import Case, Draft, attributes, one_op

from mcusim.graph import DType

INT8, INT16, INT32, INT64, FLOAT32 = DType.INT8, DType.INT16, DType.INT32, DType.INT64, DType.FLOAT32

# Movement


@one_op("PAD")
def pad(d: Draft) -> Case:
    shape = d.shape(1, 4)
    x = d.input(shape, d.pick((INT8, INT8, INT16)))
    amounts = d.builder.integers([d.number(0, 3) for _ in range(2 * len(shape))], (len(shape), 2))
    return d.build(d.builder.op("PAD", (x, amounts), quantization=d.quantization_of(x)))


@one_op("PADV2")
def padv2(d: Draft) -> Case:
    shape = d.shape(1, 4)
    x = d.input(shape)
    amounts = d.builder.integers([d.number(0, 3) for _ in range(2 * len(shape))], (len(shape), 2))
    value = d.constant((1,), INT8, d.quantization_of(x))
    return d.build(d.builder.op("PADV2", (x, amounts, value), quantization=d.quantization_of(x)))


@one_op("MIRROR_PAD")
def mirror_pad(d: Draft) -> Case:
    shape, mode = tuple(size + 1 for size in d.shape(1, 4)), d.number(0, 1)
    x = d.input(shape)
    most = [size - (1 if mode == 0 else 0) for size in shape]
    amounts = d.builder.integers([d.number(0, limit) for limit in most for _ in range(2)], (len(shape), 2))
    made = attributes("MIRROR_PAD", mode=mode)
    return d.build(d.builder.op("MIRROR_PAD", (x, amounts), made, quantization=d.quantization_of(x)))


@one_op("CONCATENATION")
def concatenation(d: Draft) -> Case:
    dtype, shape = d.pick((INT8, INT8, INT16)), d.shape(1, 4)
    axis = d.number(0, len(shape) - 1)
    quantization = d.quantization(dtype)
    parts = [
        d.operand((*shape[:axis], d.number(1, 5), *shape[axis + 1 :]), dtype, quantization)
        for _ in range(d.number(1, 4))
    ]
    parts[0] = d.input(shape, dtype, quantization)
    made = attributes("CONCATENATION", axis=axis - (len(shape) if d.flag() else 0))
    return d.build(d.builder.op("CONCATENATION", parts, made, quantization=quantization))


@one_op("PACK")
def pack(d: Draft) -> Case:
    shape, count = d.shape(1, 3), d.number(1, 4)
    quantization = d.quantization()
    parts = [d.input(shape, INT8, quantization) for _ in range(count)]
    made = attributes("PACK", axis=d.number(0, len(shape)), values_count=count)
    return d.build(d.builder.op("PACK", parts, made, quantization=quantization))


@one_op("UNPACK")
def unpack(d: Draft) -> Case:
    shape = d.shape(2, 4)
    axis = d.number(0, len(shape) - 1)
    x = d.input(shape)
    made = attributes("UNPACK", axis=axis, num=shape[axis])
    return d.build(*d.builder.op_outputs("UNPACK", (x,), made, quantization=d.quantization_of(x)))


@one_op("SPLIT")
def split(d: Draft) -> Case:
    shape, count = list(d.shape(1, 4)), d.number(1, 4)
    axis = d.number(0, len(shape) - 1)
    shape[axis] *= count
    x = d.input(shape, d.pick((INT8, INT8, INT16)))
    where = d.builder.constant((), INT32, [axis])
    made = attributes("SPLIT", num_splits=count)
    return d.build(*d.builder.op_outputs("SPLIT", (where, x), made, quantization=d.quantization_of(x)))


@one_op("SPLIT_V")
def split_v(d: Draft) -> Case:
    shape, sizes = list(d.shape(1, 4)), [d.number(1, 4) for _ in range(d.number(1, 4))]
    axis = d.number(0, len(shape) - 1)
    shape[axis] = sum(sizes)
    x = d.input(shape)
    where = d.builder.constant((), INT32, [axis])
    made = attributes("SPLIT_V", num_splits=len(sizes))
    inputs = (x, d.builder.integers(sizes), where)
    return d.build(*d.builder.op_outputs("SPLIT_V", inputs, made, quantization=d.quantization_of(x)))


@one_op("SLICE")
def slice_(d: Draft) -> Case:
    shape = d.shape(1, 4)
    begin = [d.number(0, size - 1) for size in shape]
    size = [d.number(1, whole - start) for whole, start in zip(shape, begin, strict=True)]
    x = d.input(shape, d.pick((INT8, INT8, INT16)))
    inputs = (x, d.builder.integers(begin), d.builder.integers(size))
    return d.build(d.builder.op("SLICE", inputs, quantization=d.quantization_of(x)))


@one_op("STRIDED_SLICE")
def strided_slice(d: Draft) -> Case:
    shape = d.shape(1, 4)
    begin = [d.number(0, size - 1) for size in shape]
    end = [d.number(start + 1, size) for size, start in zip(shape, begin, strict=True)]
    masks = {name: d.number(0, 2 ** len(shape) - 1) for name in ("begin_mask", "end_mask")}
    steps = [d.number(1, 3) for _ in shape]
    x = d.input(shape, d.pick((INT8, INT8, INT16)))
    inputs = (x, *map(d.builder.integers, (begin, end, steps)))
    made = attributes("STRIDED_SLICE", **masks)
    return d.build(d.builder.op("STRIDED_SLICE", inputs, made, quantization=d.quantization_of(x)))


@one_op("RESHAPE")
def reshape(d: Draft) -> Case:
    shape = d.shape(1, 4)
    x = d.input(shape, d.pick((INT8, INT8, INT16)))
    target = d.permuted(shape) if d.flag() else [-1, shape[-1]]
    made = attributes("RESHAPE", new_shape=tuple(target))
    return d.build(d.builder.op("RESHAPE", (x, d.builder.integers(target)), made, quantization=d.quantization_of(x)))


@one_op("SQUEEZE")
def squeeze(d: Draft) -> Case:
    shape = (*d.shape(1, 2), 1, *d.shape(0, 1))
    x = d.input(shape)
    return d.build(d.builder.op("SQUEEZE", (x,), quantization=d.quantization_of(x)))


@one_op("EXPAND_DIMS")
def expand_dims(d: Draft) -> Case:
    shape = d.shape(1, 3)
    x = d.input(shape)
    axis = d.builder.constant((), INT32, [d.number(0, len(shape))])
    return d.build(d.builder.op("EXPAND_DIMS", (x, axis), quantization=d.quantization_of(x)))


@one_op("TRANSPOSE")
def transpose(d: Draft) -> Case:
    shape = d.shape(1, 4)
    x = d.input(shape, d.pick((INT8, INT8, INT16)))
    order = d.builder.integers(d.permuted(range(len(shape))))
    return d.build(d.builder.op("TRANSPOSE", (x, order), quantization=d.quantization_of(x)))


@one_op("GATHER")
def gather(d: Draft) -> Case:
    shape = d.shape(1, 4)
    axis = d.number(0, len(shape) - 1)
    places = [d.number(0, shape[axis] - 1) for _ in range(d.number(1, 4))]
    x = d.input(shape)
    made = attributes("GATHER", axis=axis)
    return d.build(d.builder.op("GATHER", (x, d.builder.integers(places)), made, quantization=d.quantization_of(x)))


@one_op("TILE")
def tile(d: Draft) -> Case:
    shape = d.shape(1, 4, 4)
    x = d.input(shape)
    times = d.builder.integers([d.number(1, 3) for _ in shape])
    return d.build(d.builder.op("TILE", (x, times), quantization=d.quantization_of(x)))


def _block(op: str) -> None:
    def make(d: Draft) -> Case:
        batch, rows, cols, channels = d.map(4, 4)
        size = d.number(1, 3)
        grown = (
            (batch, rows, cols, channels * size**2)
            if op == "DEPTH_TO_SPACE"
            else (batch, rows * size, cols * size, channels)
        )
        x = d.input(grown)
        return d.build(d.builder.op(op, (x,), attributes(op, block_size=size), quantization=d.quantization_of(x)))

    one_op(op)(make)


_block("DEPTH_TO_SPACE")
_block("SPACE_TO_DEPTH")


def _resize(op: str) -> None:
    def make(d: Draft) -> Case:
        x = d.input(d.map(6, 5))
        size = (d.number(1, 9), d.number(1, 9))
        align = d.flag()
        made = attributes(op, align_corners=align, half_pixel_centers=not align and d.flag())
        return d.build(d.builder.op(op, (x, d.builder.integers(size)), made, quantization=d.quantization_of(x)))

    one_op(op)(make)


_resize("RESIZE_NEAREST_NEIGHBOR")
_resize("RESIZE_BILINEAR")
