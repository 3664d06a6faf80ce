#include "pipeline/format/unpack.h"

#include <stdbool.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"

struct run {
    const struct input *in;
    struct input_window window;
    int64_t at; /* packed bytes taken */
    int64_t made, max;
    const struct unpack_sink *sink;
    bool is_gzip; /* may have several members */
    unsigned char out[INPUT_WINDOW];
};

int unpack_kind(const struct input *in, bool with_zlib, enum unpack_kind *ret, struct err *err)
{
    unsigned char p[4] = {0};
    const size_t n = in->size < 4 ? (size_t)in->size : 4;
    int r = input_read(in, 0, p, n, err);
    *ret =
        n >= 2 && p[0] == 0x1f && p[1] == 0x8b            ? UNPACK_GZIP
        : n == 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0 ? UNPACK_ZSTD
        : with_zlib && n >= 2 && (p[0] & 15) == 8 && p[0] <= 0x78 && (p[0] * 256 + p[1]) % 31 == 0
            ? UNPACK_ZLIB
            : UNPACK_NONE;
    return r;
}

static int give(struct run *run, size_t n, struct err *err)
{
    run->made += (int64_t)n;
    if (run->made > run->max) {
        return input_fail(run->in, -1, ERR_LIMIT, err, "unpacks to more than %lld bytes",
                          (long long)run->max);
    }
    if ((run->made - UNPACK_SLACK) / UNPACK_RATIO_MAX > run->in->size) {
        return input_fail(run->in, -1, ERR_LIMIT, err,
                          "unpacks to more than %d times its own bytes", UNPACK_RATIO_MAX);
    }
    return n == 0 ? 0 : run->sink->take(run->sink->arg, run->out, n, err);
}

static int cut(const struct run *run, struct err *err)
{
    return input_fail(run->in, run->in->size, ERR_TRUNCATED, err, "packed data end early");
}

/* More packed bytes; 0 at the end. */
static int64_t more(struct run *run, const unsigned char **ret, struct err *err)
{
    return input_window_peek(&run->window, run->at, INPUT_WINDOW, ret, err);
}

static int inflate_piece(struct run *run, z_stream *z, bool *ret_is_end, struct err *err)
{
    z->next_out = run->out;
    z->avail_out = sizeof run->out;
    const uInt before = z->avail_in;
    const int code = inflate(z, Z_NO_FLUSH);
    run->at += before - z->avail_in;
    *ret_is_end = code == Z_STREAM_END;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        return code == Z_MEM_ERROR
                   ? err_set(err, ERR_NO_MEMORY, "no memory to inflate")
                   : input_fail(run->in, run->at, ERR_CORRUPT, err, "packed data are damaged: %s",
                                z->msg != NULL ? z->msg : "a dictionary is needed");
    }
    return give(run, sizeof run->out - z->avail_out, err);
}

static int inflate_run(struct run *run, z_stream *z, struct err *err)
{
    bool is_end = false;
    int64_t got = 0;
    for (;;) {
        got = more(run, &z->next_in, err);
        if (got < 0) {
            return (int)got;
        }
        z->avail_in = (uInt)got;
        if (got == 0) {
            return is_end ? 0 : cut(run, err);
        }
        if (is_end && (!run->is_gzip || z->next_in[0] != 0x1f || inflateReset(z) != Z_OK)) {
            return input_fail(run->in, run->at, ERR_CORRUPT, err, "bytes behind the packed data");
        }
        do {
            int r = inflate_piece(run, z, &is_end, err);
            if (r < 0) {
                return r;
            }
        } while (!is_end && (z->avail_in > 0 || z->avail_out == 0));
    }
}

static int run_inflate(struct run *run, int window_bits, struct err *err)
{
    z_stream z = {.next_in = NULL};
    if (inflateInit2(&z, window_bits) != Z_OK) {
        return err_set(err, ERR_NO_MEMORY, "no memory to inflate");
    }
    const int r = inflate_run(run, &z, err);
    (void)inflateEnd(&z);
    return r;
}

static int zstd_run(struct run *run, ZSTD_DStream *z, struct err *err)
{
    size_t hint = 1;
    for (;;) {
        const unsigned char *data = NULL;
        const int64_t got = more(run, &data, err);
        if (got <= 0) {
            return got < 0 ? (int)got : hint == 0 ? 0 : cut(run, err);
        }
        ZSTD_inBuffer in = {.src = data, .size = (size_t)got};
        ZSTD_outBuffer out = {.dst = run->out, .size = sizeof run->out};
        do {
            out.pos = 0;
            hint = ZSTD_decompressStream(z, &out, &in);
            if (ZSTD_isError(hint)) {
                return input_fail(run->in, run->at, ERR_CORRUPT, err, "packed data are damaged: %s",
                                  ZSTD_getErrorName(hint));
            }
            int r = give(run, out.pos, err);
            if (r < 0) {
                return r;
            }
        } while (in.pos < in.size || out.pos == out.size);
        run->at += (int64_t)in.pos;
    }
}

static int run_zstd(struct run *run, struct err *err)
{
    enum { WINDOW_LOG_MAX = 27 }; /* 128 MiB: what the command line program takes */
    ZSTD_DStream *z = ZSTD_createDStream();
    if (z == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory to unpack");
    }
    (void)ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    const int r = zstd_run(run, z, err);
    (void)ZSTD_freeDStream(z);
    return r;
}

static int take_all(struct run *run, struct err *err)
{
    for (;;) {
        const unsigned char *data = NULL;
        const int64_t n = more(run, &data, err);
        if (n <= 0) {
            return (int)n;
        }
        run->at += n;
        run->made += n;
        int r = run->made > run->max ? input_fail(run->in, -1, ERR_LIMIT, err,
                                                  "has more than %lld bytes", (long long)run->max)
                                     : run->sink->take(run->sink->arg, data, (size_t)n, err);
        if (r < 0) {
            return r;
        }
    }
}

int unpack_run(const struct input *in, enum unpack_kind kind, int64_t max_bytes,
               const struct unpack_sink *sink, struct err *err)
{
    struct run run = {
        .in = in, .window.in = in, .max = max_bytes, .sink = sink, .is_gzip = kind == UNPACK_GZIP};
    int r = 0;
    switch (kind) {
    case UNPACK_GZIP: r = run_inflate(&run, 16 + MAX_WBITS, err); break;
    case UNPACK_ZLIB: r = run_inflate(&run, MAX_WBITS, err); break;
    case UNPACK_DEFLATE: r = run_inflate(&run, -MAX_WBITS, err); break;
    case UNPACK_ZSTD: r = run_zstd(&run, err); break;
    case UNPACK_NONE:
    default: r = take_all(&run, err); break;
    }
    input_window_fini(&run.window);
    return r;
}

static int take_to_buf(void *arg, const void *data, size_t n, struct err *err)
{
    (void)err;
    buf_put(arg, data, n);
    return 0;
}

int unpack_to_buf(const struct input *in, enum unpack_kind kind, int64_t max_bytes, struct buf *out,
                  struct err *err)
{
    const struct unpack_sink sink = {take_to_buf, out};
    return unpack_run(in, kind, max_bytes, &sink, err);
}

static int take_to_fd(void *arg, const void *data, size_t n, struct err *err)
{
    return file_write_all(*(const int *)arg, data, n, err);
}

int unpack_to_fd(const struct input *in, enum unpack_kind kind, int64_t max_bytes, int fd,
                 struct err *err)
{
    const struct unpack_sink sink = {take_to_fd, &fd};
    return unpack_run(in, kind, max_bytes, &sink, err);
}
