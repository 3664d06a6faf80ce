#include <string.h>

#include "trainer/feeder_impl.h"

/* Bad rows are of two kinds: bytes that the decoder refused (named in the token), and convicted
 * samples, which are in the list of rows to skip. Only the second hold their batch back until the
 * daemon has written them down. */

static const char *const stream_names[FEED_STREAM_MAX_] = {"train", "validation"};

static bool is_listed(const struct feeder *feeder, int64_t stream, int64_t sample)
{
    for (int i = 0; i < feeder->n_bads; i++) {
        if (feeder->bads[i].stream == stream && feeder->bads[i].sample == sample) {
            return true;
        }
    }
    return false;
}

static void add_known(struct feeder *feeder, const struct doc *map, struct arena *arena)
{
    bool is_validation = strcmp(doc_str(map, "stream", ""), stream_names[FEED_VALIDATION]) == 0;
    int stream = is_validation ? FEED_VALIDATION : FEED_TRAIN;
    int64_t sample = doc_int(map, "sample", -1);
    if (sample < 0 || feeder->n_bads >= FEEDER_BAD_MAX || is_listed(feeder, stream, sample)) {
        return;
    }
    struct feeder_bad_row *bad = &feeder->bads[feeder->n_bads++];
    *bad = (struct feeder_bad_row){.stream = stream,
                                   .sample = sample,
                                   .offset = doc_int(map, "offset", -1),
                                   .path = arena_strdup(arena, doc_str(map, "path", "")),
                                   .reason = arena_strdup(arena, doc_str(map, "reason", "")),
                                   .convicted = doc_bool(map, "convicted", false)};
    if (bad->convicted) {
        feeder->convicted[stream][feeder->n_convicted[stream]++] = sample;
    }
}

void feeder_bad_init(struct feeder *feeder, struct arena *arena)
{
    feeder->known = arena_array(arena, (size_t)1 << FEEDER_KNOWN_BITS, sizeof(*feeder->known));
    feeder->bads = arena_array(arena, FEEDER_BAD_MAX, sizeof(*feeder->bads));
    for (int stream = 0; stream < FEED_STREAM_MAX_; stream++) {
        feeder->convicted[stream] =
            arena_array(arena, FEEDER_BAD_MAX, sizeof(*feeder->convicted[stream]));
    }
    for (int k = 0; k < 2; k++) {
        const struct doc *list = feeder->options.known_bad[k];
        for (size_t i = 0; list != NULL && list->type == DOC_LIST && i < list->n; i++) {
            add_known(feeder, doc_at(list, i), arena);
        }
    }
}

/* Adds to the set; false if it was there. A full set forgets nothing and reports again. */
static bool is_news(struct feeder *feeder, int64_t stream, int64_t sample)
{
    uint64_t key = ((uint64_t)sample << 1 | (uint64_t)stream) + 1;
    uint64_t mask = ((uint64_t)1 << FEEDER_KNOWN_BITS) - 1;
    uint64_t at = key * 0x9e3779b97f4a7c15u >> (64 - FEEDER_KNOWN_BITS);
    while (feeder->known[at] != 0) {
        if (feeder->known[at] == key) {
            return false;
        }
        at = (at + 1) & mask;
    }
    if ((uint64_t)feeder->n_known * 2 < mask) {
        feeder->known[at] = key;
        feeder->n_known++;
    }
    return true;
}

static void list_bad(struct feeder *feeder, const struct feeder_bad_row *bad)
{
    if (feeder->n_bads >= FEEDER_BAD_MAX || is_listed(feeder, bad->stream, bad->sample)) {
        return;
    }
    struct feeder_bad_row copy = *bad;
    copy.path = arena_strdup(&feeder->texts, bad->path);
    copy.reason = arena_strdup(&feeder->texts, bad->reason);
    if (bad->convicted) {
        feeder->convicted[bad->stream][feeder->n_convicted[bad->stream]++] = bad->sample;
    }
    pthread_mutex_lock(&feeder->lock);
    feeder->bads[feeder->n_bads++] = copy;
    feeder->stats.counters[FEEDER_CONVICTED] += bad->convicted;
    pthread_mutex_unlock(&feeder->lock);
}

static bool is_skipped(const struct board_batch *batch, int64_t row)
{
    for (int i = 0; i < batch->n_skip; i++) {
        if (batch->skip[i] == row) {
            return true;
        }
    }
    return false;
}

static void report(struct feeder *feeder, int index, const struct msg_chunk_bad *row)
{
    struct board_batch *batch = &feeder->board.batches[index];
    struct feeder_bad_row bad = {.stream = batch->at.stream,
                                 .sample = row->sample,
                                 .offset = row->offset,
                                 .path = row->path != NULL ? row->path : "",
                                 .reason = row->reason != NULL ? row->reason : "",
                                 .convicted = is_skipped(batch, row->row)};
    if (!is_news(feeder, bad.stream, bad.sample)) {
        return;
    }
    if (bad.convicted) {
        bad.reason = "three workers died on it";
    } else if (is_listed(feeder, bad.stream, bad.sample)) {
        return;
    }
    struct msg_child_quarantine body = {.seq = ++feeder->seq,
                                        .stream = stream_names[bad.stream],
                                        .sample = bad.sample,
                                        .path = bad.path,
                                        .offset = bad.offset,
                                        .reason = bad.reason,
                                        .convicted = bad.convicted};
    if (bad.convicted && feeder->n_holds < FEEDER_HOLDS_MAX) {
        feeder->holds[feeder->n_holds++] = (struct feeder_hold){.seq = body.seq, .batch = index};
        batch->n_holds++;
    }
    list_bad(feeder, &bad);
    control_send(feeder->options.control, MSG_CHILD_QUARANTINE, &body, NULL);
}

void feeder_bad_report(struct feeder *feeder, int index, const struct msg_chunk_done *done)
{
    const struct msg_chunk_bad *rows = done->bad.v;
    for (size_t i = 0; i < done->bad.n; i++) {
        if (rows[i].row >= done->begin && rows[i].row < done->end && rows[i].sample >= 0) {
            report(feeder, index, &rows[i]);
        }
    }
}

void feeder_bad_quarantined(struct feeder *feeder, int64_t seq)
{
    for (int i = 0; i < feeder->n_holds; i++) {
        if (feeder->holds[i].seq == seq) {
            feeder->board.batches[feeder->holds[i].batch].n_holds--;
            feeder->holds[i] = feeder->holds[--feeder->n_holds];
            return;
        }
    }
}

static int count_bad(struct feeder *feeder, const struct board_batch *batch, int64_t n,
                     struct err *err)
{
    const struct feed_stream *stream = &feeder->options.plan->stream[batch->at.stream];
    if (batch->at.epoch != feeder->bad_epoch[batch->at.stream]) { /* its first batch may be good */
        feeder->bad_epoch[batch->at.stream] = batch->at.epoch;
        feeder->bad_rows[batch->at.stream] = 0;
    }
    feeder->bad_rows[batch->at.stream] += n;
    int64_t bad = feeder->bad_rows[batch->at.stream];
    if (n > 0) {
        pthread_mutex_lock(&feeder->lock);
        feeder->stats.counters[FEEDER_BAD] += n;
        pthread_mutex_unlock(&feeder->lock);
    }
    if ((double)bad > feeder->options.max_bad * (double)stream->samples) {
        return err_set_at(err, ERR_DATA, "data.max_bad",
                          "too many bad samples: %lld of %lld, allowed is a share of %g",
                          (long long)bad, (long long)stream->samples, feeder->options.max_bad);
    }
    return 0;
}

int feeder_bad_compact(struct feeder *feeder, struct board_batch *batch, struct feeder_out *ret,
                       struct err *err)
{
    const struct feed_stream *stream = &feeder->options.plan->stream[batch->at.stream];
    unsigned char *slab = feeder->options.slabs + (size_t)batch->slab * feeder->options.slab_bytes;
    unsigned char *ok = slab + stream->layout.fields[stream->ok].offset;
    int64_t good = 0, bad = 0, replaced = 0;
    for (int64_t row = 0; row < batch->rows; row++) {
        bad += ok[row] == SLAB_ROW_BAD;
        replaced += ok[row] == SLAB_ROW_REPLACED;
        if (ok[row] == SLAB_ROW_BAD || ok[row] == SLAB_ROW_NONE) {
            continue;
        }
        for (int i = 0; good < row && i < stream->layout.n_fields; i++) {
            const struct slab_field *field = &stream->layout.fields[i];
            unsigned char *base = slab + field->offset;
            memcpy(base + (size_t)good * field->row_bytes, base + (size_t)row * field->row_bytes,
                   field->row_bytes);
        }
        good++;
    }
    ret->rows = good;
    ret->bad = bad;
    return bad + replaced > 0 ? count_bad(feeder, batch, bad + replaced, err) : 0;
}
