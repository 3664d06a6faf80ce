#include "pipeline/apply.h"

#include <stdio.h>
#include <string.h>

/* ---- the layers */

/* A text of the command line as the option's row wants it: JSON where it is some, words parted by
 * commas as a list where a list may stand, else the text itself. */
static void read_text(const struct opt *row, const char *text, struct arena *arena, struct doc *ret)
{
    struct doc *doc = NULL;
    const bool is_plain = row != NULL && (row->type == OPT_STR || row->type == OPT_ENUM);
    const bool is_list = row != NULL && (row->type == OPT_DOC || row->type == OPT_STRS ||
                                         row->type == OPT_FLOATS || row->type == OPT_INTS);
    if (!is_plain && doc_read_json(text, strlen(text), NULL, arena, &doc, NULL) == 0) {
        *ret = *doc;
        return;
    }
    if (!is_list || strchr(text, ',') == NULL) {
        doc_set_str(ret, arena, text);
        return;
    }
    const char *list = arena_printf(arena, "[%s]", text);
    if (doc_read_json(list, strlen(list), NULL, arena, &doc, NULL) == 0) {
        *ret = *doc;
        return;
    }
    doc_set_list(ret);
    for (const char *word = text; word != NULL;) {
        const char *comma = strchr(word, ',');
        const size_t n = comma != NULL ? (size_t)(comma - word) : strlen(word);
        struct doc *item = doc_push(ret, arena);
        if (doc_read_json(word, n, NULL, arena, &doc, NULL) == 0) {
            *item = *doc;
        } else {
            doc_set_strn(item, arena, word, n);
        }
        word = comma != NULL ? comma + 1 : NULL;
    }
}

static int add_op(struct apply *apply, const struct doc *doc, struct op_names *names,
                  struct arena *arena, struct err *err)
{
    if (apply->n == APPLY_OPS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d layers", APPLY_OPS_MAX);
    }
    int r = op_read(doc, names, arena, &apply->ops[apply->n], err);
    const unsigned flags = apply->ops[apply->n].flags;
    if (r == 0 && (flags & OP_JOIN) != 0 && apply->n > 0) {
        return err_set(err, ERR_UNSUPPORTED, "%s takes several fields, and stands behind a layer",
                       apply->ops[apply->n].desc->name);
    }
    apply->n += r == 0;
    return r;
}

/* One layer whose options are texts. */
static const struct doc *with_options(const struct doc *layer, const struct doc *options,
                                      struct arena *arena, struct err *err)
{
    const char *name = NULL;
    const struct doc *given = NULL;
    if (opt_named(layer, &name, &given, err) < 0) {
        return NULL;
    }
    const struct op_desc *desc = op_find(name);
    struct doc *made = doc_new(arena), *map;
    doc_set_map(made);
    map = doc_put(made, arena, name);
    if (given != NULL && given->type == DOC_MAP) {
        doc_copy(map, arena, given);
    } else {
        doc_set_map(map);
    }
    for (size_t i = 0; i < options->n; i++) {
        const struct doc_pair *pair = &options->pairs[i];
        read_text(desc != NULL ? opt_find(desc->options, pair->key) : NULL, pair->value.str, arena,
                  doc_put(map, arena, pair->key));
    }
    return made;
}

int apply_compile(const struct doc *layers, const struct doc *options, struct arena *arena,
                  struct apply *ret, struct err *err)
{
    struct op_names names = {0};
    const bool has_options = options != NULL && options->type == DOC_MAP && options->n > 0;
    *ret = (struct apply){0};
    if (layers->type != DOC_LIST) {
        const struct doc *layer = has_options ? with_options(layers, options, arena, err) : layers;
        return layer != NULL ? add_op(ret, layer, &names, arena, err) : ERR_INVALID;
    }
    if (has_options) {
        return err_set(err, ERR_USAGE,
                       "options belong to one layer; write those of a list into it");
    }
    int r = layers->n == 0 ? err_set(err, ERR_EMPTY, "there is no layer in the list") : 0;
    for (size_t i = 0; i < layers->n && r == 0; i++) {
        r = add_op(ret, &layers->items[i], &names, arena, err);
        if (r < 0) {
            err_prefix(err, "[%zu]", i);
        }
    }
    return r;
}

bool apply_is_split(const struct apply *apply)
{
    return apply->n > 0 && (apply->ops[0].flags & OP_JOIN) != 0;
}

/* ---- running */

static bool is_number_text(const struct tensor_text *text)
{
    char word[64];
    double ignored;
    (void)snprintf(word, sizeof word, "%.*s", (int)(text->n < 63 ? text->n : 63), text->text);
    return doc_parse_float(word, &ignored);
}

/* A table's text where numbers are wanted: which one it is that made its column one of texts. */
static int blame_text(const struct apply_rows *rows, const struct op *op, int code, struct err *err)
{
    const bool is_text = rows->is_table && rows->n > 0 && rows->n_fields == 1 &&
                         rows->fields[0][0].dtype == DTYPE_STR && code == ERR_SHAPE;
    for (int64_t i = 0; is_text && i < rows->n; i++) {
        const struct tensor *row = &rows->fields[0][i];
        const struct tensor_text *texts = row->data;
        const int64_t n = row->shape.rank > 0 ? row->shape.d[0] : 1;
        for (int64_t k = 0; k < n; k++) {
            if (!is_number_text(&texts[k])) {
                return err_set(err, ERR_VALUE,
                               "%s: row %lld, column %lld: '%.*s' is no number, and %s takes "
                               "numbers",
                               rows->name, (long long)i + 1, (long long)k + 1,
                               (int)(texts[k].n < 64 ? texts[k].n : 64), texts[k].text,
                               op->desc->name);
            }
        }
    }
    return code;
}

static int run_op(const struct op *op, int64_t row, const struct tensor *in, int n,
                  struct arena *arena, struct op_scratch *scratch, struct tensor *out,
                  struct err *err)
{
    const bool is_join = (op->flags & OP_JOIN) != 0;
    const struct op_key key = {.position = (uint64_t)row, .sample = row};
    struct op_spec specs[ELEMENT_FIELDS_MAX];
    struct op checked = *op;
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        specs[i] = (struct op_spec){.dtype = in[i].dtype, .shape = in[i].shape};
    }
    int r = is_join ? op_check_all(&checked, specs, n, err) : op_check(&checked, specs, err);
    if (r < 0) {
        return r;
    }
    r = is_join ? shape_bytes(&checked.out.shape, checked.out.dtype, &bytes)
                : op_room(&checked, in, &bytes, err);
    *out = (struct tensor){.data = r == 0 && bytes < (size_t)1 << 32 ? arena_try(arena, bytes + 1)
                                                                     : NULL};
    if (out->data == NULL) {
        return err_set(err, ERR_LIMIT, "what comes out is too large");
    }
    return is_join ? op_run_all(&checked, in, n, out, scratch, err)
                   : op_run(&checked, &key, in, out, scratch, err);
}

static void name_row(int64_t row, struct err *err)
{
    char text[512];
    if (err != NULL) {
        (void)snprintf(text, sizeof text, "%.500s", err->text);
        (void)snprintf(err->text, sizeof err->text, "row %lld: %s", (long long)row + 1, text);
    }
}

/* Ops [0, n) on all rows. */
static int run_ops(struct apply *apply, int n, const struct apply_rows *rows, struct arena *arena,
                   struct apply_rows *ret, struct err *err)
{
    struct op_scratch scratch = {0};
    int r = 0;
    *ret = *rows;
    for (int k = 0; k < n && r == 0; k++) {
        struct tensor *made = arena_array(arena, (size_t)rows->n + 1, sizeof *made);
        for (int64_t i = 0; i < rows->n && r == 0; i++) {
            struct tensor in[ELEMENT_FIELDS_MAX];
            for (int f = 0; f < ret->n_fields; f++) {
                in[f] = ret->fields[f][i];
            }
            r = run_op(&apply->ops[k], i, in, ret->n_fields, arena, &scratch, &made[i], err);
            if (r < 0) {
                name_row(i, err);
                r = blame_text(ret, &apply->ops[k], r, err);
            }
        }
        ret->is_table = false; /* what was made is no longer the file's */
        ret->fields[0] = made;
        ret->n_fields = 1;
    }
    op_scratch_fini(&scratch);
    return r;
}

int apply_run(struct apply *apply, const struct apply_rows *rows, struct arena *arena,
              struct apply_rows *ret, struct err *err)
{
    return run_ops(apply, apply->n, rows, arena, ret, err);
}

static int add_rows(const struct op *op, void *state, const struct apply_rows *rows,
                    struct err *err)
{
    int r = 0;
    for (int64_t i = 0; i < rows->n && r == 0; i++) {
        r = op->desc->learn->add(state, 0, &rows->fields[0][i], err);
        if (r < 0 && err != NULL) {
            char text[512];
            (void)snprintf(text, sizeof text, "%.500s", err->text);
            (void)snprintf(err->text, sizeof err->text, "%s: row %lld: %s", rows->name,
                           (long long)i + 1, text);
        }
    }
    return r;
}

/* The op again, with what it learned. */
static int learn_op(struct apply *apply, int k, const struct apply_rows *rows, void *state,
                    struct arena *arena, struct err *err)
{
    struct op *op = &apply->ops[k];
    struct op_names names = {0};
    struct apply_rows before;
    struct doc *options = doc_new(arena), *learned = doc_new(arena);
    doc_set_map(learned);
    int r = run_ops(apply, k, rows, arena, &before, err);
    r = r < 0 ? r : add_rows(op, state, &before, err);
    r = r < 0 ? r : op->desc->learn->finish(state, learned, arena, err);
    if (r < 0) {
        return r;
    }
    opt_write(op->desc->options, op->ctx, true, options, arena);
    for (size_t i = 0; i < learned->n; i++) {
        *doc_put(options, arena, learned->pairs[i].key) = learned->pairs[i].value;
    }
    apply->learned[k] = learned;
    return op_make(op->desc, options, &names, arena, op, err);
}

int apply_learn(struct apply *apply, const struct apply_rows *rows, struct arena *arena,
                struct err *err)
{
    int r = 0, n = 0;
    for (int k = 0; k < apply->n && r == 0; k++) {
        const struct op_learn *learn = apply->ops[k].desc->learn;
        void *state = NULL;
        struct err refused = {0};
        if (learn == NULL) {
            continue;
        }
        r = learn->create(apply->ops[k].ctx, &state, &refused);
        if (r < 0 && apply->n > 1 && refused.code == ERR_INVALID) {
            r = 0; /* this one has what it needs */
            continue;
        }
        if (r < 0 && err != NULL) {
            *err = refused;
        }
        r = r < 0 ? r : learn_op(apply, k, rows, state, arena, err);
        learn->destroy(state);
        n++;
    }
    return r == 0 && n == 0 ? err_set(err, ERR_USAGE, "no layer here learns anything from data")
                            : r;
}

/* ---- writing */

static void put_text(const struct tensor_text *text, struct buf *out)
{
    struct arena arena;
    struct doc doc = {0};
    arena_init(&arena);
    doc_set_strn(&doc, &arena, text->text, text->n);
    doc_write_json(&doc, 0, out);
    arena_fini(&arena);
}

/* The shortest text that reads back as the float32. */
static void put_float(float v, struct buf *out)
{
    char text[40];
    if (v - v < 0 || v - v > 0 || v != v) {
        doc_format_float((double)v, text, sizeof text);
        buf_printf(out, "\"%s\"", text);
        return;
    }
    for (int digits = 1; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)v);
        double back = 0;
        if (doc_parse_float(text, &back) && !((float)back < v) && !((float)back > v)) {
            break;
        }
    }
    buf_puts(out, text);
    buf_puts(out, strpbrk(text, ".en") == NULL ? ".0" : "");
}

static void put_value(const struct tensor *t, int64_t i, struct buf *out)
{
    char text[40];
    switch ((int)t->dtype) {
    case DTYPE_STR: put_text((const struct tensor_text *)t->data + i, out); break;
    case DTYPE_F32: put_float(((const float *)t->data)[i], out); break;
    case DTYPE_F64:
        doc_format_float(((const double *)t->data)[i], text, sizeof text);
        buf_puts(out, text);
        break;
    default: buf_printf(out, "%lld", (long long)op_integer(t, i)); break;
    }
}

static void put_axis(const struct tensor *t, int axis, int64_t *at, struct buf *out)
{
    if (axis == t->shape.rank) {
        put_value(t, (*at)++, out);
        return;
    }
    buf_puts(out, "[");
    for (int64_t i = 0; i < t->shape.d[axis]; i++) {
        buf_puts(out, i > 0 ? ", " : "");
        put_axis(t, axis + 1, at, out);
    }
    buf_puts(out, "]");
}

void apply_write(const struct tensor *sample, struct buf *out)
{
    int64_t at = 0;
    put_axis(sample, 0, &at, out);
}
