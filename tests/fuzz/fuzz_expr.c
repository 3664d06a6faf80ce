/* expr: any text as an expression over an element. What is taken is computed, twice alike; what is
 * refused says so. */
#include <string.h>

#include "pipeline/expr.h"
#include "pipeline/op.h"
#include "tests/fuzz/fuzz.h"

enum { VALUES = 2100, OUT_MAX = 1 << 22 };

static const struct element_field fields[] = {
    {"x", ELEMENT_NUMERIC, {DTYPE_F32, {3, {25, 28, 3}}}, false},
    {"y", ELEMENT_LABEL, {DTYPE_I64, {0, {0}}}, false},
    {"u", ELEMENT_IMAGE, {DTYPE_U8, {2, {28, 1}}}, false},
    {"b", ELEMENT_MASK, {DTYPE_BOOL, {1, {3}}}, false},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

/* Two runs into two memories give the same bytes. */
static void run(const struct expr *expr, const struct element *in, const struct op_spec *spec)
{
    static unsigned char out[2][OUT_MAX];
    struct op_scratch scratch = {0};
    const struct expr_key key = {.seed = 1, .id = 2, .epoch = 3, .position = 4};
    size_t bytes = 0;
    if (shape_bytes(&spec->shape, spec->dtype, &bytes) < 0 || bytes > OUT_MAX) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        struct tensor made = {.data = out[i]};
        struct err err = {0};
        BUG_ON(expr_run(expr, in, &key, &made, &scratch, &err) != 0);
        BUG_ON(made.dtype != spec->dtype || !shape_equal(&made.shape, &spec->shape));
    }
    BUG_ON(memcmp(out[0], out[1], bytes) != 0);
    op_scratch_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float x[VALUES];
    static uint8_t u[28] = {1, 255}, b[3] = {0, 1};
    static int64_t y = -5;
    void *const memory[] = {x, &y, u, b};
    struct arena arena;
    struct element_spec spec = {.n = 0};
    struct element element = {.sample = 0};
    struct expr *expr = NULL;
    struct err err = {0};
    struct op_spec made;
    arena_init(&arena);
    for (int i = 0; i < FIELDS; i++) {
        element_add(&spec, &fields[i]);
        element.fields[i] = (struct tensor){fields[i].spec.dtype, fields[i].spec.shape, memory[i]};
    }
    for (int i = 0; i < VALUES; i++) {
        x[i] = (float)(i % 97 - 48) / 7;
    }
    const char *text = arena_strndup(&arena, (const char *)data, size);
    int r = expr_compile(text, &spec, size & 1 ? EXPR_FLOATS : 0, &arena, &expr, &err);
    r = r < 0 ? r : expr_check(expr, &spec, &made, &err);
    BUG_ON(r > 0 || r != err.code || (r < 0 && err.text[0] == '\0'));
    if (r == 0) {
        run(expr, &element, &made);
    }
    arena_fini(&arena);
    return 0;
}

static void seeds(void (*take)(const void *data, size_t size, void *arg), void *arg)
{
    static const char *const texts[] = {
        "255 - x",
        "y < 5 && mean(x) > 0.1",
        "where(random() < 0.5, 255 - x, x)",
        "clip(x + random_like(x, -8, 8) + normal_like(u), 0, 255)",
        "cast(round(x ** -3 * 1e3), uint8) // u % 7 - shape(x, -1)",
        "b ? !any(x != 0) || all(b) : is_nan(sqrt(x / 0)) == true",
        "sum((x - mean(x)) ** 2) / size(x) - max(abs(sign(x)), min(u))",
        "9223372036854775807 * -1 // (y + 5) - y ** 63",
        "floor(exp(log(tanh(x)))) + ceil(.5e-3) >= random_like(b)",
        "((((((((((((1))))))))))))",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        take(texts[i], strlen(texts[i]), arg);
        take(texts[i], strlen(texts[i]) + 1, arg); /* the other parity */
    }
}

const struct fuzz_corpus fuzz_corpus = {.max_bytes = 1 << 16, .copies = 300, .seeds = seeds};
