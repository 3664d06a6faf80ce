#include "pipeline/hash/farm.h"

#include <string.h>

#define K0  0xc3a5c85c97cb3127u
#define K1  0xb492b66fbe98f273u
#define K2  0x9ae16a3b2f90404fu
#define CAT 0xc6a4a7935bd1e995u

struct pair {
    uint64_t a, b;
};

static uint64_t read64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t read32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t turn(uint64_t v, unsigned by)
{
    return v >> by | v << (64 - by);
}

static uint64_t mix(uint64_t v)
{
    return v ^ v >> 47;
}

static uint64_t join(uint64_t u, uint64_t v, uint64_t factor)
{
    const uint64_t a = mix((u ^ v) * factor);
    return mix((v ^ a) * factor) * factor;
}

static uint64_t up_to_16(const unsigned char *p, size_t n)
{
    const uint64_t factor = K2 + n * 2;
    if (n >= 8) {
        const uint64_t a = read64(p) + K2, b = read64(p + n - 8);
        return join(turn(b, 37) * factor + a, (turn(a, 25) + b) * factor, factor);
    }
    if (n >= 4) {
        return join(n + (read32(p) << 3), read32(p + n - 4), factor);
    }
    if (n > 0) {
        const uint64_t y = (uint64_t)p[0] + ((uint64_t)p[n >> 1] << 8),
                       z = n + ((uint64_t)p[n - 1] << 2);
        return mix((y * K2) ^ (z * K0)) * K2;
    }
    return K2;
}

static uint64_t up_to_32(const unsigned char *p, size_t n)
{
    const uint64_t factor = K2 + n * 2;
    const uint64_t a = read64(p) * K1, b = read64(p + 8), c = read64(p + n - 8) * factor,
                   d = read64(p + n - 16) * K2;
    return join(turn(a + b, 43) + turn(c, 30) + d, a + turn(b + K2, 18) + c, factor);
}

static uint64_t up_to_64(const unsigned char *p, size_t n)
{
    const uint64_t factor = K2 + n * 2;
    const uint64_t a = read64(p) * K2, b = read64(p + 8), c = read64(p + n - 8) * factor,
                   d = read64(p + n - 16) * K2;
    const uint64_t y = turn(a + b, 43) + turn(c, 30) + d,
                   z = join(y, a + turn(b + K2, 18) + c, factor);
    const uint64_t e = read64(p + 16) * factor, f = read64(p + 24),
                   g = (y + read64(p + n - 32)) * factor, h = (z + read64(p + n - 24)) * factor;
    return join(turn(e + f, 43) + turn(g, 30) + h, e + turn(f + a, 18) + g, factor);
}

/* 32 bytes into a pair. */
static struct pair weak(const unsigned char *p, uint64_t a, uint64_t b)
{
    const uint64_t w = read64(p), x = read64(p + 8), y = read64(p + 16), z = read64(p + 24);
    a += w;
    b = turn(b + a + z, 21);
    const uint64_t c = a;
    a += x + y;
    b += turn(a, 44);
    return (struct pair){a + z, b + c};
}

struct state {
    uint64_t x, y, z;
    struct pair v, w;
};

/* A block of 64 bytes; the last one goes in with another factor and a heavier hand. */
static void block(struct state *s, const unsigned char *p, uint64_t factor, uint64_t weight)
{
    s->x = turn(s->x + s->y + s->v.a + read64(p + 8), 37) * factor;
    s->y = turn(s->y + s->v.b + read64(p + 48), 42) * factor;
    s->x ^= s->w.b * weight;
    s->y += s->v.a * weight + read64(p + 40);
    s->z = turn(s->z + s->w.a, 33) * factor;
    s->v = weak(p, s->v.b * factor, s->x + s->w.a);
    s->w = weak(p + 32, s->z + s->w.b, s->y + read64(p + 16));
    const uint64_t x = s->x;
    s->x = s->z;
    s->z = x;
}

static uint64_t longer(const unsigned char *p, size_t n)
{
    const uint64_t seed = 81;
    const size_t rest = (n - 1) & 63;
    const unsigned char *const end = p + (n - 1) / 64 * 64;
    struct state s = {.x = seed, .y = seed * K1 + 113};
    s.z = mix(s.y * K2 + 113) * K2;
    s.x = s.x * K2 + read64(p);
    for (; p != end; p += 64) {
        block(&s, p, K1, 1);
    }
    const uint64_t factor = K1 + ((s.z & 0xff) << 1);
    s.w.a += rest;
    s.v.a += s.w.a;
    s.w.a += s.v.a;
    block(&s, end + rest - 63, factor, 9);
    return join(join(s.v.a, s.w.a, factor) + mix(s.y) * K0 + s.z, join(s.v.b, s.w.b, factor) + s.x,
                factor);
}

uint64_t farm_fingerprint(const void *data, size_t n)
{
    const unsigned char *p = data;
    return n <= 16   ? up_to_16(p, n)
           : n <= 32 ? up_to_32(p, n)
           : n <= 64 ? up_to_64(p, n)
                     : longer(p, n);
}

uint64_t farm_cat(uint64_t a, uint64_t b)
{
    uint64_t r = a ^ CAT;
    r ^= mix(b * CAT) * CAT;
    r *= CAT;
    return mix(mix(r) * CAT);
}
