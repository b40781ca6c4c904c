/* The ring of rows that the fast depthwise kernels compute on: four channels as int16, two neighbouring columns to a word.

       word ((pair * 4 + channel) * rows) + row = inputs (2 pair, 2 pair + 1) of that channel and row

   Columns and rows outside the input are padding; pairs of which nothing is inside are filled once a call. */
#ifndef MCU_DEPTHWISE_RING_H
#define MCU_DEPTHWISE_RING_H

#include "depthwise_any.h"

/* What is put into a ring: columns from `col` on, `words` pairs of them.

   before, head, whole, single: pairs of padding, one whose first column is padding, whole ones, one whose second is. */
typedef struct {
    int32_t rows, words;
    int32_t first_row, end_row, first_col; /* inside the input; no row is, where no column is */
    int32_t before, head, whole, single;
    int32_t channel, channels; /* up to four of them */
    int32_t step;              /* bytes of a pixel */
    uint32_t padding;          /* four times the zero point */
} mcu_ring;

/* Pairs of padding of one row. */
MCU_INLINE void mcu_ring_pad(const mcu_ring *r, mcu_word *to, int32_t pairs)
{
    const uint32_t pair = mcu_sxtb16(r->padding);
    const int32_t rows = r->rows;
    for (; pairs > 0; pairs--, to += 4 * rows) {
        to[0] = to[rows] = to[2 * rows] = to[3 * rows] = pair;
    }
}

/* One pair of columns of a row: two pixels as they lie, four channels of each. */
MCU_INLINE void mcu_ring_store(mcu_word *to, int32_t rows, uint32_t a, uint32_t b)
{
    const uint32_t low = mcu_pack_bottoms(a, b), high = mcu_pack_tops(a, b); /* channels 0 and 1; 2 and 3 */
    to[0] = mcu_sxtb16(low);
    to[rows] = mcu_sxtb16_high(low);
    to[2 * rows] = mcu_sxtb16(high);
    to[3 * rows] = mcu_sxtb16_high(high);
}

/* A row of fewer than four channels, from its first pair that has something inside. */
MCU_NOINLINE void mcu_ring_row_of_few(const mcu_ring *r, const int8_t *from, mcu_word *to)
{
    int32_t next = r->head ? -1 : 0; /* the column of the input, from the first one that is inside */
    const int32_t end = 2 * r->whole + r->head + r->single;
    for (; next < end; next += 2, to += 4 * r->rows) {
        const uint32_t a = next < 0 ? r->padding : mcu_load_few(from + next * r->step, r->channels);
        const uint32_t b = next + 1 < end ? mcu_load_few(from + (next + 1) * r->step, r->channels) : r->padding;
        mcu_ring_store(to, r->rows, a, b);
    }
}

/* Pairs of columns, all inside, of `lines` rows `pitch` bytes apart: two rows at a time.   to: of the first channel. */
MCU_INLINE void mcu_ring_pairs(const mcu_ring *r, const int8_t *from, int32_t pitch, int32_t lines, mcu_word *to)
{
    const int32_t step = r->step, rows = r->rows, is_odd = lines & 1;
    const volatile int32_t twos = lines >> 1;
    /* From the end of one pair to the next: behind all rows but an odd last one. */
    const volatile int32_t back = 2 * step - (lines - is_odd) * pitch, on = 4 * rows - (lines - is_odd);
    mcu_word *to_1 = to + rows, *to_2 = to_1 + rows, *to_3 = to_2 + rows;
    for (int32_t i = r->whole; i > 0; i--) {
        for (int32_t j = twos; j > 0; j--) {
            const uint32_t a = mcu_load_word(from), b = mcu_load_word(from + step);
            from += pitch;
            MCU_OPAQUE(from);
            const uint32_t c = mcu_load_word(from), d = mcu_load_word(from + step);
            from += pitch;
            const uint32_t low = mcu_pack_bottoms(a, b), high = mcu_pack_tops(a, b);
            const uint32_t low_below = mcu_pack_bottoms(c, d), high_below = mcu_pack_tops(c, d);
            MCU_NEXT_PAIR_TO(to, mcu_sxtb16(low), mcu_sxtb16(low_below));
            MCU_NEXT_PAIR_TO(to_1, mcu_sxtb16_high(low), mcu_sxtb16_high(low_below));
            MCU_NEXT_PAIR_TO(to_2, mcu_sxtb16(high), mcu_sxtb16(high_below));
            MCU_NEXT_PAIR_TO(to_3, mcu_sxtb16_high(high), mcu_sxtb16_high(high_below));
        }
        if (is_odd) {
            const uint32_t a = mcu_load_word(from), b = mcu_load_word(from + step);
            const uint32_t low = mcu_pack_bottoms(a, b), high = mcu_pack_tops(a, b);
            *to = mcu_sxtb16(low);
            *to_1 = mcu_sxtb16_high(low);
            *to_2 = mcu_sxtb16(high);
            *to_3 = mcu_sxtb16_high(high);
        }
        const int32_t words = on;
        to += words;
        to_1 += words;
        to_2 += words;
        to_3 += words;
        from += back;
    }
}

/* `lines` rows that lie one behind the other, `pitch` bytes apart, from their first column that is inside: column pair by
   column pair. */
MCU_NOINLINE void mcu_ring_lines(const mcu_ring *r, const int8_t *from, int32_t pitch, int32_t lines, mcu_word *ring)
{
    const int32_t step = r->step, rows = r->rows;
    mcu_word *to = ring + r->before * 4 * rows;
    if (r->channels != 4) {
        for (; lines > 0; lines--, from += pitch, to++) {
            mcu_ring_row_of_few(r, from, to);
        }
        return;
    }
    if (r->head) {
        const int8_t *of_row = from;
        for (int32_t i = 0; i < lines; i++, of_row += pitch) {
            mcu_ring_store(to + i, rows, r->padding, mcu_load_word(of_row));
        }
        from += step;
        to += 4 * rows;
    }
    mcu_ring_pairs(r, from, pitch, lines, to);
    if (r->single) {
        from += 2 * r->whole * step;
        to += r->whole * 4 * rows;
        for (; lines > 0; lines--, from += pitch, to++) {
            mcu_ring_store(to, rows, mcu_load_word(from), r->padding);
        }
    }
}

/* Rows [row, row + rows) into the ring, from `ring` on. */
MCU_NOINLINE void mcu_ring_fill(const mcu_ring *r, const mcu_in *in, int32_t row, int32_t rows, mcu_word *ring)
{
    for (; rows > 0 && (row < 0 || row >= r->end_row); rows--, row++, ring++) {
        mcu_ring_pad(r, ring, r->words);
    }
    int32_t inside = r->end_row - row;
    if (inside > rows) {
        inside = rows;
    }
    rows -= inside;
    int32_t place = in->ring ? row % in->ring : row - in->row;
    const int8_t *const from = in->bytes + (r->first_col - in->col) * r->step + r->channel;
    while (inside > 0) { /* where a line buffer ends, it goes on from its start */
        const int32_t lines = in->ring && in->ring - place < inside ? in->ring - place : inside;
        mcu_ring_lines(r, from + place * in->pitch, in->pitch, lines, ring);
        ring += lines;
        inside -= lines;
        place = 0;
    }
    for (; rows > 0; rows--, ring++) {
        mcu_ring_pad(r, ring, r->words);
    }
}

/* Of columns [left, right) and rows [top, bottom) of the input's map and its padding. */
MCU_NOINLINE void mcu_ring_begin(mcu_ring *r, const mcu_depthwise_layer *l, const mcu_out *out, int32_t rows,
                                 int32_t words, mcu_word *ring)
{
    const int32_t top = out->first_row * l->stride_rows - l->before_rows;
    const int32_t bottom = top + (out->rows - 1) * l->stride_rows + l->kernel_rows;
    const int32_t left = out->first_col * l->stride_cols - l->before_cols;
    const int32_t right = left + (out->cols - 1) * l->stride_cols + l->kernel_cols;
    const int32_t first_col = left > 0 ? left : 0, end_col = right < l->in_cols ? right : l->in_cols;
    const int32_t before = first_col - left, inside = end_col > first_col ? end_col - first_col : 0;
    r->rows = rows;
    r->words = words;
    r->first_row = top;
    r->end_row = inside == 0 ? top : bottom < l->in_rows ? bottom : l->in_rows;
    r->first_col = first_col;
    r->before = before / 2;
    r->head = before % 2;
    r->whole = (inside - r->head) / 2;
    r->single = (inside - r->head) % 2;
    r->step = l->in_c;
    r->padding = ((uint32_t)l->zero_point & 0xFFu) * 0x01010101u;
    const int32_t filled = r->before + r->head + r->whole + r->single;
    for (int32_t row = 0; row < rows; row++) {
        mcu_ring_pad(r, ring + row, r->before);
        mcu_ring_pad(r, ring + row + filled * 4 * rows, words - filled);
    }
}

#endif
