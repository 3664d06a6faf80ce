#include "workers/apply.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/apply.h"
#include "proto/sandbox.h"

enum { INPUT_MAX = 512 << 20, PIECE = 1 << 16, WRITE_EVERY = 1 << 20 };
#define MEMORY_BYTES ((size_t)4 << 30)

static int close_sandbox(const char **ret_name, struct err *err)
{
    const struct sandbox_paths none = {0};
    int r = sandbox_limits(SANDBOX_PROFILE_CHECKER, MEMORY_BYTES, 0, err);
    const int abi = r < 0 ? r : sandbox_landlock(&none, err);
    r = abi < 0 ? abi : sandbox_seccomp(SANDBOX_PROFILE_CHECKER, false, err);
    *ret_name = sandbox_name(abi > 0 ? abi : 0, r == 0);
    return r;
}

static int read_all(struct buf *ret, struct err *err)
{
    char piece[PIECE];
    ssize_t n = 0;
    while ((n = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
        if (ret->size + (size_t)n > INPUT_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d MiB of data; a job takes data sets",
                           INPUT_MAX >> 20);
        }
        buf_put(ret, piece, (size_t)n);
    }
    return n < 0 ? err_set(err, ERR_IO, "reading the data fails") : 0;
}

static int write_all(struct buf *out, struct err *err)
{
    for (size_t done = 0; done < out->size;) {
        const ssize_t n = write(STDOUT_FILENO, out->data + done, out->size - done);
        if (n <= 0) {
            return err_set(err, ERR_IO, "writing the answer fails");
        }
        done += (size_t)n;
    }
    buf_clear(out);
    return 0;
}

struct request {
    const struct doc *layers, *options;
    struct {
        const char *name;
        const char *bytes;
        size_t n;
    } adapt, data;
};

/* The bytes of a file behind the head; they follow one another. */
static int take_file(const struct doc *file, const char **rest, size_t *left, const char **name,
                     const char **bytes, size_t *n, struct err *err)
{
    const int64_t size = file != NULL ? doc_int(file, "bytes", -1) : 0;
    if (size < 0 || (uint64_t)size > *left) {
        return err_set(err, ERR_TRUNCATED, "the request ends before its files do");
    }
    *name = file != NULL ? doc_str(file, "name", "-") : NULL;
    *bytes = *rest;
    *n = (size_t)size;
    *rest += size;
    *left -= (size_t)size;
    return 0;
}

static int read_request(const struct buf *in, struct arena *arena, struct request *ret,
                        struct err *err)
{
    const char *end = in->size > 0 ? memchr(in->data, '\n', in->size) : NULL;
    struct doc *head = NULL;
    if (end == NULL) {
        return err_set(err, ERR_SYNTAX, "the request has no head");
    }
    int r = doc_read_json(in->data, (size_t)(end - in->data), NULL, arena, &head, err);
    if (r < 0) {
        return r;
    }
    const char *rest = end + 1;
    size_t left = in->size - (size_t)(rest - in->data);
    ret->layers = doc_get(head, "layers");
    ret->options = doc_get(head, "options");
    if (ret->layers == NULL) {
        return err_set(err, ERR_MISSING, "the request names no layers");
    }
    r = take_file(doc_get(head, "adapt"), &rest, &left, &ret->adapt.name, &ret->adapt.bytes,
                  &ret->adapt.n, err);
    return r < 0 ? r
                 : take_file(doc_get(head, "data"), &rest, &left, &ret->data.name, &ret->data.bytes,
                             &ret->data.n, err);
}

static int apply(const struct request *request, struct arena *arena, struct apply *ret,
                 struct apply_rows *made, struct err *err)
{
    struct apply_rows rows;
    int r = apply_compile(request->layers, request->options, arena, ret, err);
    if (r == 0 && request->adapt.name != NULL) {
        r = apply_read(request->adapt.bytes, request->adapt.n, request->adapt.name, false, arena,
                       &rows, err);
        r = r < 0 ? r : apply_learn(ret, &rows, arena, err);
    }
    *made = (struct apply_rows){0};
    if (r == 0 && request->data.name != NULL) {
        r = apply_read(request->data.bytes, request->data.n, request->data.name,
                       apply_is_split(ret), arena, &rows, err);
        r = r < 0 ? r : apply_run(ret, &rows, arena, made, err);
    }
    return r;
}

static int write_answer(const struct apply *apply, const struct apply_rows *made,
                        const char *sandbox, struct arena *arena, struct buf *out, struct err *err)
{
    struct doc *head = doc_new(arena);
    doc_set_map(head);
    doc_put_int(head, arena, "rows", made->n);
    doc_put_str(head, arena, "sandbox", sandbox);
    struct doc *learned = doc_put(head, arena, "learned");
    doc_set_list(learned);
    for (int i = 0; i < apply->n; i++) {
        struct doc *options = doc_push(learned, arena);
        if (apply->learned[i] != NULL) {
            doc_copy(options, arena, apply->learned[i]);
        }
    }
    doc_write_json(head, 0, out);
    buf_puts(out, "\n");
    int r = 0;
    for (int64_t i = 0; i < made->n && r == 0; i++) {
        apply_write(&made->fields[0][i], out);
        buf_puts(out, "\n");
        r = out->size > WRITE_EVERY ? write_all(out, err) : 0;
    }
    return r < 0 ? r : write_all(out, err);
}

static int write_error(const struct err *error, struct arena *arena, struct buf *out,
                       struct err *err)
{
    struct doc *head = doc_new(arena);
    doc_set_map(head);
    struct doc *map = doc_put(head, arena, "error");
    doc_set_map(map);
    doc_put_str(map, arena, "code", err_find(error->code)->name);
    doc_put_str(map, arena, "path", error->path);
    doc_put_str(map, arena, "text", error->text);
    doc_put_int(map, arena, "line", error->line);
    doc_write_json(head, 0, out);
    buf_puts(out, "\n");
    return write_all(out, err);
}

int apply_answer(struct arena *arena, struct err *err)
{
    struct buf in = {0}, out = {0};
    struct request request = {0};
    struct apply layers;
    struct apply_rows made;
    struct err error = {0};
    const char *sandbox = NULL;
    int r = close_sandbox(&sandbox, err);
    if (r < 0) {
        return r;
    }
    r = read_all(&in, &error);
    r = r < 0 ? r : read_request(&in, arena, &request, &error);
    r = r < 0 ? r : apply(&request, arena, &layers, &made, &error);
    r = r < 0 ? write_error(&error, arena, &out, err)
              : write_answer(&layers, &made, sandbox, arena, &out, err);
    buf_fini(&in);
    buf_fini(&out);
    return r;
}
