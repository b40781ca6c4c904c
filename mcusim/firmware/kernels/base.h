/* What every kernel stands on: tensors in memory, fixed-point arithmetic, and the DSP instructions with stand-ins.

   A tensor's region lies in memory as rows of pixels (NHWC); a kernel is told where with `mcu_in` and `mcu_out`:

       bytes -> | pixel (row, col) | pixel (row, col + 1) | ...
       + pitch  | pixel (row + 1, col) | ...

   Of a line buffer (ring > 0) row r lies at r modulo ring. Arithmetic is TensorFlow Lite Micro's, to the bit; sums wrap
   as registers do, which C leaves undefined for signed numbers: they are formed as unsigned ones. */
#ifndef MCU_BASE_H
#define MCU_BASE_H

#include <stdint.h>
#if defined(__STDC_HOSTED__) && __STDC_HOSTED__ == 0
/* A freestanding compiler may lack the header; it calls these functions all the same. */
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
#else
#include <string.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the stored weights are laid out for little-endian processors"
#endif

/* A few bytes whose number is known, which even a freestanding compiler need not call a function for. */
#if defined(__GNUC__)
#define MCU_MOVE_BYTES(to, from, bytes) __builtin_memcpy(to, from, bytes)
#else
#define MCU_MOVE_BYTES(to, from, bytes) memcpy(to, from, bytes)
#endif

#if defined(__GNUC__)
#define MCU_INLINE static inline __attribute__((always_inline))
/* One text, one function: no other for the constants of a layer that calls it alone, so that a layer takes as many
   instructions in one network as in the next. */
#if defined(__has_attribute)
#if __has_attribute(noipa)
#define MCU_NOINLINE static __attribute__((noipa, unused))
#endif
#endif
#ifndef MCU_NOINLINE
#define MCU_NOINLINE static __attribute__((noinline, unused))
#endif
#define MCU_FENCE() __asm volatile("" ::: "memory")
/* What the compiler may not see through: it keeps one counter instead of a pointer for everything that it counts. */
#define MCU_OPAQUE(a) __asm("" : "+r"(a))
/* What is computed before anything volatile that follows is read. */
#define MCU_SETTLED(a) __asm volatile("" : "+r"(a))
/* What stays in memory, and is loaded anew. */
#define MCU_RELOAD(array) __asm volatile("" : "+m"(array))
#else
#define MCU_OPAQUE(a) ((void)0)
#define MCU_SETTLED(a) ((void)0)
#define MCU_RELOAD(array) ((void)0)
#define MCU_INLINE static inline
#define MCU_NOINLINE static
#define MCU_FENCE() ((void)0)
#endif

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__) && !defined(MCU_PORTABLE)
#define MCU_DSP 1
#else
#define MCU_DSP 0
#endif

/* A word of working memory, which lies among bytes of tensors. */
#if defined(__GNUC__)
typedef uint32_t __attribute__((may_alias)) mcu_word;
#else
typedef uint32_t mcu_word;
#endif

/* Rows or columns [first, first + count). */
typedef struct {
    uint16_t first;
    uint16_t count;
} mcu_span;

/* Where an input lies: `bytes` holds row `row` and column `col` of the tensor. */
typedef struct {
    const int8_t *bytes;
    int32_t row;
    int32_t col;
    int32_t pitch;
    int32_t ring;
} mcu_in;

/* Where an output lies, and the region of it that is to be computed. */
typedef struct {
    int8_t *bytes;
    int32_t row;
    int32_t col;
    int32_t pitch;
    int32_t ring;
    int32_t first_row;
    int32_t rows;
    int32_t first_col;
    int32_t cols;
} mcu_out;

MCU_INLINE const int8_t *mcu_in_at(const mcu_in *in, int32_t row, int32_t col, int32_t pixel_bytes)
{
    const int32_t place = in->ring ? row % in->ring : row - in->row;
    return in->bytes + place * in->pitch + (col - in->col) * pixel_bytes;
}

MCU_INLINE int8_t *mcu_out_at(const mcu_out *out, int32_t row, int32_t col, int32_t pixel_bytes)
{
    const int32_t place = out->ring ? row % out->ring : row - out->row;
    return out->bytes + place * out->pitch + (col - out->col) * pixel_bytes;
}

/* ---- memory: tensors need not be aligned for what is read from them ---- */

MCU_INLINE uint32_t mcu_load_word(const int8_t *from)
{
    uint32_t word;
    MCU_MOVE_BYTES(&word, from, sizeof word);
    return word;
}

MCU_INLINE uint32_t mcu_load_half(const int8_t *from)
{
    uint16_t half;
    MCU_MOVE_BYTES(&half, from, sizeof half);
    return half;
}

MCU_INLINE int32_t mcu_load_16(const int8_t *from)
{
    int16_t value;
    MCU_MOVE_BYTES(&value, from, sizeof value);
    return value;
}

MCU_INLINE void mcu_store_16(int8_t *to, int32_t value)
{
    const int16_t narrow = (int16_t)value;
    MCU_MOVE_BYTES(to, &narrow, sizeof narrow);
}

MCU_INLINE int32_t mcu_load_32(const int8_t *from)
{
    int32_t value;
    MCU_MOVE_BYTES(&value, from, sizeof value);
    return value;
}

/* A position of 2, 4 or 8 bytes; one of 64 bits is first brought to 32, so that what lies outside stays outside. */
static inline int32_t mcu_load_position(const int8_t *from, int32_t bytes)
{
    if (bytes == 2) {
        return mcu_load_16(from);
    }
    const int32_t low = mcu_load_32(from), sign = low < 0 ? -1 : 0, high = bytes == 8 ? mcu_load_32(from + 4) : sign;
    return high == sign ? low : high < 0 ? INT32_MIN : INT32_MAX;
}

MCU_INLINE void mcu_store_32(int8_t *to, int32_t value)
{
    MCU_MOVE_BYTES(to, &value, sizeof value);
}

/* ---- integers that wrap and integers that do not ---- */

MCU_INLINE int32_t mcu_add_wrapping(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

MCU_INLINE int32_t mcu_clamp(int64_t value, int32_t lowest, int32_t highest)
{
    return value < lowest ? lowest : value > highest ? highest : (int32_t)value;
}

/* round(a * b / 2^31), ties upwards; only (-2^31)^2 does not fit, and saturates. */
MCU_INLINE int32_t mcu_multiply_high(int32_t a, int32_t b)
{
    const int64_t high = ((int64_t)a * b + ((int64_t)1 << 30)) >> 31;
    return high > INT32_MAX ? INT32_MAX : (int32_t)high;
}

/* round(value / 2^exponent), ties away from zero; exponent in 0..31. */
MCU_INLINE int32_t mcu_divide_by_power(int32_t value, int32_t exponent)
{
    const int64_t half = ((int64_t)1 << exponent) >> 1;
    return (int32_t)((value + half - (value < 0 && exponent > 0)) >> exponent);
}

/* acc * multiplier * 2^(shift - 31), rounded twice; a left shift wraps. */
MCU_INLINE int32_t mcu_rescale(int32_t acc, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t shifted = (int32_t)((uint32_t)acc << left);
    return mcu_divide_by_power(mcu_multiply_high(shifted, multiplier), shift < 0 ? -shift : 0);
}

/* The same for 64-bit sums of int16 networks: the multiplier cut to 16 bits, rounded once, ties upwards. */
MCU_INLINE int32_t mcu_rescale_wide(int64_t acc, int32_t multiplier, int32_t shift)
{
    const int32_t reduced = multiplier < 0x7FFF0000 ? (multiplier + (1 << 15)) >> 16 : 0x7FFF;
    const int32_t total = 15 - shift;
    const uint64_t sum = (uint64_t)acc * (uint64_t)(int64_t)reduced + ((uint64_t)1 << (total - 1));
    return (int32_t)(uint32_t)(uint64_t)((int64_t)sum >> total);
}

/* How a sum becomes a stored integer. */
typedef struct {
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
    int32_t lowest;
    int32_t highest;
} mcu_stage;

MCU_INLINE int32_t mcu_staged(int32_t acc, const mcu_stage *stage)
{
    const int64_t scaled = mcu_rescale(acc, stage->multiplier, stage->shift);
    return mcu_clamp(scaled + stage->zero_point, stage->lowest, stage->highest);
}

/* ---- instructions of the DSP extension, and what they do ---- */

#if MCU_DSP
/* Bytes 0 and 2 of a word as two signed halves; bytes 1 and 3. */
MCU_INLINE uint32_t mcu_sxtb16(uint32_t a)
{
    uint32_t r;
    __asm("sxtb16 %0, %1" : "=r"(r) : "r"(a));
    return r;
}
MCU_INLINE uint32_t mcu_sxtb16_high(uint32_t a)
{
    uint32_t r;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(a));
    return r;
}
/* Two signed halves of `b` each added to bytes 0 and 2 (1 and 3) of `a`. */
MCU_INLINE uint32_t mcu_sxtab16(uint32_t b, uint32_t a)
{
    uint32_t r;
    __asm("sxtab16 %0, %1, %2" : "=r"(r) : "r"(b), "r"(a));
    return r;
}
MCU_INLINE uint32_t mcu_sxtab16_high(uint32_t b, uint32_t a)
{
    uint32_t r;
    __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(r) : "r"(b), "r"(a));
    return r;
}
/* Sum of two products of halves; of one product: bottom or top half of `a` times bottom or top half of `b`. */
#define MCU_MULTIPLY_ADD(name, instruction)                                                                            \
    MCU_INLINE int32_t name(uint32_t a, uint32_t b, int32_t sum)                                                       \
    {                                                                                                                  \
        int32_t r;                                                                                                     \
        __asm(instruction " %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(sum));                                     \
        return r;                                                                                                      \
    }
MCU_MULTIPLY_ADD(mcu_smlad, "smlad")
MCU_MULTIPLY_ADD(mcu_smlabb, "smlabb")
MCU_MULTIPLY_ADD(mcu_smlabt, "smlabt")
MCU_MULTIPLY_ADD(mcu_smlatb, "smlatb")
MCU_MULTIPLY_ADD(mcu_smlatt, "smlatt")
#undef MCU_MULTIPLY_ADD
/* The same into the register that holds the sum: where none is free, it stays where it is. */
#define MCU_ADD_PRODUCTS(sum, a, b) __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b))
/* Upper 32 bits of a * b, rounded; with `sum` added to them. */
MCU_INLINE int32_t mcu_smmulr(int32_t a, int32_t b)
{
    int32_t r;
    __asm("smmulr %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
}
MCU_INLINE int32_t mcu_smmlar(int32_t a, int32_t b, int32_t sum)
{
    int32_t r;
    __asm("smmlar %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(sum));
    return r;
}
/* round(a / 2^r) + z, ties upwards, for the r in the lowest byte of `shifts`, 1 or more: the last bit that is shifted
   out is the carry. */
MCU_INLINE int32_t mcu_round_and_shift(int32_t a, uint32_t shifts, int32_t z)
{
    __asm("asrs %0, %0, %1\n\tadc %0, %0, %2" : "+r"(a) : "r"(shifts), "r"(z) : "cc");
    return a;
}
MCU_INLINE int32_t mcu_saturate_8(int32_t a)
{
    int32_t r;
    __asm("ssat %0, #8, %1" : "=r"(r) : "r"(a));
    return r;
}
/* Halves side by side: bottom of `low` below bottom of `high`; top of `low` below top of `high`. */
MCU_INLINE uint32_t mcu_pack_bottoms(uint32_t low, uint32_t high)
{
    uint32_t r;
    __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(r) : "r"(low), "r"(high));
    return r;
}
/* Bottom of `low` below twice the bottom of `high`. */
MCU_INLINE uint32_t mcu_pack_twice_above(uint32_t low, uint32_t high)
{
    uint32_t r;
    __asm("pkhbt %0, %1, %2, lsl #17" : "=r"(r) : "r"(low), "r"(high));
    return r;
}
MCU_INLINE uint32_t mcu_pack_tops(uint32_t low, uint32_t high)
{
    uint32_t r;
    __asm("pkhtb %0, %1, %2, asr #16" : "=r"(r) : "r"(high), "r"(low));
    return r;
}
/* Both halves of `b` from those of `a`. */
MCU_INLINE uint32_t mcu_subtract_halves(uint32_t a, uint32_t b)
{
    uint32_t r;
    __asm("ssub16 %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
}
/* Of each of four signed bytes the larger, the smaller. */
MCU_INLINE uint32_t mcu_larger_bytes(uint32_t a, uint32_t b)
{
    uint32_t r;
    __asm("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(r) : "r"(a), "r"(b) : "cc");
    return r;
}
MCU_INLINE uint32_t mcu_smaller_bytes(uint32_t a, uint32_t b)
{
    uint32_t r;
    __asm("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(r) : "r"(a), "r"(b) : "cc");
    return r;
}
/* One word, one byte, or two words, from `from`, which moves on. */
#define MCU_NEXT(a, from) __asm volatile("ldr %0, [%1], #4" : "=&r"(a), "+r"(from))
#define MCU_NEXT_BYTE(a, from) __asm volatile("ldrsb %0, [%1], #1" : "=&r"(a), "+r"(from))
#define MCU_NEXT_PAIR(a, b, from) __asm volatile("ldrd %0, %1, [%2], #8" : "=&r"(a), "=&r"(b), "+r"(from))
/* The same of a block of four words, of which only the first are wanted. */
#define MCU_NEXT_OF_FOUR(a, from) __asm volatile("ldr %0, [%1], #16" : "=&r"(a), "+r"(from))
#define MCU_NEXT_PAIR_OF_FOUR(a, b, from) __asm volatile("ldrd %0, %1, [%2], #16" : "=&r"(a), "=&r"(b), "+r"(from))
/* Two words, `index` words behind `from`. The instruction reaches 255 words far. */
#define MCU_PAIR(a, b, from, index)                                                                                    \
    __asm volatile("ldrd %0, %1, [%2, %3]"                                                                             \
                   : "=&r"(a), "=r"(b)                                                                                 \
                   : "r"((from) + ((index) & ~255)), "i"(4 * ((index) & 255)))
/* Two words to `index` words behind `to`, less than 256; two to `to`, which moves on. */
#define MCU_PAIR_TO(to, index, a, b)                                                                                  \
    __asm volatile("strd %1, %2, [%0, %3]" : : "r"(to), "r"(a), "r"(b), "i"(4 * (index)) : "memory")
#define MCU_NEXT_PAIR_TO(to, a, b) __asm volatile("strd %1, %2, [%0], #8" : "+r"(to) : "r"(a), "r"(b) : "memory")
#else
MCU_INLINE int32_t mcu_bottom(uint32_t a)
{
    return (int16_t)(uint16_t)(a & 0xFFFFu);
}
MCU_INLINE int32_t mcu_top(uint32_t a)
{
    return (int16_t)(uint16_t)(a >> 16);
}
MCU_INLINE uint32_t mcu_halves(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFu) | (uint32_t)high << 16;
}
MCU_INLINE uint32_t mcu_sxtb16(uint32_t a)
{
    return mcu_halves((int8_t)(uint8_t)(a & 0xFFu), (int8_t)(uint8_t)(a >> 16 & 0xFFu));
}
MCU_INLINE uint32_t mcu_sxtb16_high(uint32_t a)
{
    return mcu_halves((int8_t)(uint8_t)(a >> 8 & 0xFFu), (int8_t)(uint8_t)(a >> 24));
}
MCU_INLINE uint32_t mcu_sxtab16(uint32_t b, uint32_t a)
{
    const uint32_t c = mcu_sxtb16(a);
    return mcu_halves(mcu_bottom(b) + mcu_bottom(c), mcu_top(b) + mcu_top(c));
}
MCU_INLINE uint32_t mcu_sxtab16_high(uint32_t b, uint32_t a)
{
    return mcu_sxtab16(b, a >> 8);
}
MCU_INLINE int32_t mcu_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    const uint32_t low = (uint32_t)(mcu_bottom(a) * mcu_bottom(b));
    return (int32_t)((uint32_t)sum + low + (uint32_t)(mcu_top(a) * mcu_top(b)));
}
MCU_INLINE int32_t mcu_smlabb(uint32_t a, uint32_t b, int32_t sum)
{
    return mcu_add_wrapping(sum, mcu_bottom(a) * mcu_bottom(b));
}
MCU_INLINE int32_t mcu_smlabt(uint32_t a, uint32_t b, int32_t sum)
{
    return mcu_add_wrapping(sum, mcu_bottom(a) * mcu_top(b));
}
MCU_INLINE int32_t mcu_smlatb(uint32_t a, uint32_t b, int32_t sum)
{
    return mcu_add_wrapping(sum, mcu_top(a) * mcu_bottom(b));
}
MCU_INLINE int32_t mcu_smlatt(uint32_t a, uint32_t b, int32_t sum)
{
    return mcu_add_wrapping(sum, mcu_top(a) * mcu_top(b));
}
MCU_INLINE uint32_t mcu_subtract_halves(uint32_t a, uint32_t b)
{
    return mcu_halves(mcu_bottom(a) - mcu_bottom(b), mcu_top(a) - mcu_top(b));
}
MCU_INLINE int32_t mcu_byte(uint32_t a, int32_t index)
{
    return (int8_t)(uint8_t)(a >> (8 * index) & 0xFFu);
}
MCU_INLINE uint32_t mcu_chosen_bytes(uint32_t a, uint32_t b, int32_t wants_larger)
{
    uint32_t chosen = 0;
    for (int32_t i = 0; i < 4; i++) {
        const int32_t x = mcu_byte(a, i), y = mcu_byte(b, i);
        chosen |= ((uint32_t)((x > y) == wants_larger ? x : y) & 0xFFu) << (8 * i);
    }
    return chosen;
}
MCU_INLINE uint32_t mcu_larger_bytes(uint32_t a, uint32_t b)
{
    return mcu_chosen_bytes(a, b, 1);
}
MCU_INLINE uint32_t mcu_smaller_bytes(uint32_t a, uint32_t b)
{
    return mcu_chosen_bytes(a, b, 0);
}
MCU_INLINE int32_t mcu_smmulr(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
}
MCU_INLINE int32_t mcu_smmlar(int32_t a, int32_t b, int32_t sum)
{
    return mcu_add_wrapping(mcu_smmulr(a, b), sum);
}
MCU_INLINE int32_t mcu_round_and_shift(int32_t a, uint32_t shifts, int32_t z)
{
    const uint32_t r = shifts & 0xFFu;
    return (a >> r) + (a >> (r - 1) & 1) + z;
}
MCU_INLINE int32_t mcu_saturate_8(int32_t a)
{
    return mcu_clamp(a, -128, 127);
}
MCU_INLINE uint32_t mcu_pack_bottoms(uint32_t low, uint32_t high)
{
    return (low & 0xFFFFu) | high << 16;
}
MCU_INLINE uint32_t mcu_pack_twice_above(uint32_t low, uint32_t high)
{
    return (low & 0xFFFFu) | high << 17;
}
MCU_INLINE uint32_t mcu_pack_tops(uint32_t low, uint32_t high)
{
    return low >> 16 | (high & 0xFFFF0000u);
}
#define MCU_ADD_PRODUCTS(sum, a, b) ((sum) = mcu_smlad(a, b, sum))
#define MCU_NEXT(a, from) ((a) = *(from)++)
#define MCU_NEXT_BYTE(a, from) ((a) = *(from)++)
#define MCU_NEXT_PAIR(a, b, from) ((a) = (from)[0], (b) = (from)[1], (from) += 2)
#define MCU_NEXT_OF_FOUR(a, from) ((a) = (from)[0], (from) += 4)
#define MCU_NEXT_PAIR_OF_FOUR(a, b, from) ((a) = (from)[0], (b) = (from)[1], (from) += 4)
#define MCU_PAIR_TO(to, index, a, b) ((to)[index] = (a), (to)[(index) + 1] = (b))
#define MCU_NEXT_PAIR_TO(to, a, b) ((to)[0] = (a), (to)[1] = (b), (to) += 2)
#define MCU_PAIR(a, b, from, index) ((a) = (from)[index], (b) = (from)[(index) + 1])
#endif

/* Four bytes that are channels [first, first + 4) of a pixel; fewer where the pixel ends, the others 0. */
MCU_INLINE uint32_t mcu_load_some(const int8_t *from, int32_t count)
{
    uint32_t word = 0;
    for (int32_t i = 0; i < count; i++) {
        word |= (uint32_t)(uint8_t)from[i] << (8 * i);
    }
    return word;
}

MCU_NOINLINE uint32_t mcu_load_few(const int8_t *from, int32_t count)
{
    return mcu_load_some(from, count);
}

/* ---- requantising, the fast way ----

   Where a channel's bounds allow (`mode` says so), with r the right shift and z the output's zero point,
       q = (smmlar(2 * acc, multiplier, c) >> r),   c = (2 z + 1) << (r - 1)
   is the sum rescaled, rounded twice, plus z. The second rounding is away from zero: a negative product has 1
   subtracted first, unless it is clamped anyway because outputs begin at the zero point. */

typedef enum {
    MCU_RISING_8 = 0,  /* outputs begin at the zero point, and span all int8 above it */
    MCU_RISING = 1,    /* outputs begin at the zero point or above */
    MCU_SIGNED_8 = 2,  /* outputs span all int8 */
    MCU_SIGNED = 3,    /* outputs are clamped to some range */
    MCU_CAREFUL = 4    /* some channel's sums, shifts or multipliers are beyond what the fast way can do */
} mcu_mode;

/* What sums of products turn into.   scale: bias and multiplier of each channel.   shift: the right shift less one.
   mode: of all channels that can go a fast way. Others, which take 64 bits, are marked: their shift is MCU_CAREFULLY
   more. The matrix product's fast way has its own multipliers and shifts, and one way for all channels (`gemm.h`). */
#define MCU_CAREFULLY 64
typedef struct {
    const int32_t *scale;
    const int8_t *shift;
    int32_t zero_point;
    int32_t lowest;
    int32_t highest;
    mcu_mode mode;
} mcu_channels;

/* An output in 64 bits: rarely asked for, so it is there once. */
MCU_NOINLINE int32_t mcu_careful_output(const mcu_channels *t, int32_t acc, int32_t multiplier, int32_t shift)
{
    return mcu_clamp((int64_t)mcu_rescale(acc, multiplier, -1 - shift) + t->zero_point, t->lowest, t->highest);
}

/* `twice`: two times the sum. */
MCU_INLINE int32_t mcu_rising(int32_t twice, int32_t multiplier, int32_t c, int32_t shift)
{
    return mcu_smmlar(twice, multiplier, c) >> shift;
}

/* 1 less where negative: ties of a rounding shift then go away from zero. */
MCU_INLINE int32_t mcu_less_if_negative(int32_t a)
{
    return a + (a >> 31);
}

MCU_INLINE int32_t mcu_signed(int32_t twice, int32_t multiplier, int32_t c, int32_t shift)
{
    return (mcu_less_if_negative(mcu_smmulr(twice, multiplier)) + c) >> shift;
}

MCU_INLINE int32_t mcu_within(int32_t value, int32_t lowest, int32_t highest)
{
    return value < lowest ? lowest : value > highest ? highest : value;
}

/* The output of a channel, the way that it can go. */
MCU_INLINE int32_t mcu_requantised(const mcu_channels *t, int32_t sum, int32_t channel)
{
    const int32_t m = t->scale[2 * channel + 1], r = t->shift[channel];
    if (r >= MCU_CAREFULLY / 2) {
        return mcu_careful_output(t, sum, m, r - MCU_CAREFULLY);
    }
    const int32_t c = (int32_t)((uint32_t)(2 * t->zero_point + 1) << r), twice = (int32_t)((uint32_t)sum << 1);
    const int32_t value = t->mode <= MCU_RISING ? mcu_rising(twice, m, c, r + 1) : mcu_signed(twice, m, c, r + 1);
    return mcu_within(value, t->lowest, t->highest);
}

/* `count` equal bytes from one place to another; they may be the same place. */
MCU_INLINE void mcu_copy(int8_t *to, const int8_t *from, uint32_t count)
{
    if (to != from) {
        memmove(to, from, count);
    }
}

#endif
