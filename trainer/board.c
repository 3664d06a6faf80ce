#include "trainer/board.h"

#include <string.h>

/* A negative control may hand a range out again at once (meson -Dbreak=slab_reuse). */
#ifdef MILLRACE_BREAK_SLAB_REUSE
enum { REUSE_AT_ONCE = 1 };
#else
enum { REUSE_AT_ONCE = 0 };
#endif

enum { CHUNKS_SPARE = 4 };

void board_init(struct board *board, const struct feed_plan *plan, unsigned char *slabs,
                size_t slab_bytes, int n_slabs, struct arena *arena)
{
    *board = (struct board){.plan = plan,
                            .slabs = slabs,
                            .slab_bytes = slab_bytes,
                            .n_slabs = n_slabs,
                            .n_batches = n_slabs,
                            .timing = {.floor_us = 2000000}};
    int64_t rows = plan->stream[FEED_TRAIN].batch;
    if (plan->stream[FEED_VALIDATION].batch > rows) {
        rows = plan->stream[FEED_VALIDATION].batch;
    }
    board->batches = arena_array(arena, (size_t)n_slabs, sizeof(*board->batches));
    board->slab = arena_array(arena, (size_t)n_slabs, sizeof(*board->slab));
    for (int i = 0; i < n_slabs; i++) {
        struct board_batch *batch = &board->batches[i];
        batch->n_max = (int)rows + CHUNKS_SPARE;
        batch->chunks = arena_array(arena, (size_t)batch->n_max, sizeof(*batch->chunks));
        batch->n_skip_max = (int)rows;
        batch->skip = arena_array(arena, (size_t)rows, sizeof(*batch->skip));
    }
}

static bool slab_is_free(const struct board_slab *slab)
{
    return !slab->owned && slab->n_leases == (REUSE_AT_ONCE ? slab->n_expired : 0);
}

static int free_slab(const struct board *board, int *ret_n)
{
    int found = -1;
    *ret_n = 0;
    for (int i = 0; i < board->n_slabs; i++) {
        if (slab_is_free(&board->slab[i])) {
            found = found < 0 ? i : found;
            ++*ret_n;
        }
    }
    return found;
}

bool board_has_room(const struct board *board)
{
    int n = 0;
    free_slab(board, &n);
    return board->n_open < board->n_batches && n > (board->n_slabs >= 3 ? 1 : 0);
}

static struct board_batch *open_batch(const struct board *board, int index)
{
    return &board->batches[(board->head + index) % board->n_batches];
}

int board_open(struct board *board, const struct feed_position *at, int parts)
{
    int n = 0;
    int slab = free_slab(board, &n);
    BUG_ON(slab < 0 || board->n_open >= board->n_batches);
    int index = (board->head + board->n_open) % board->n_batches;
    struct board_batch *batch = &board->batches[index];
    BUG_ON(batch->used);
    board->n_open++;
    board->slab[slab].owned = true;
    batch->used = true;
    batch->released = false;
    batch->at = *at;
    batch->rows = feed_plan_rows(board->plan, at);
    batch->slab = slab;
    batch->n_skip = batch->n_failed = batch->n_holds = batch->n_done = 0;
    batch->err.code = 0;
    int64_t most = batch->rows < batch->n_max ? batch->rows : batch->n_max;
    if (board->plan->stream[at->stream].whole_batch || parts < 1) {
        parts = 1;
    }
    parts = parts > most ? (int)most : parts;
    batch->n_chunks = batch->n_todo = parts;
    for (int i = 0; i < parts; i++) {
        batch->chunks[i] = (struct board_chunk){.begin = batch->rows * i / parts,
                                                .end = batch->rows * (i + 1) / parts};
    }
    return index;
}

int board_ready(const struct board *board)
{
    for (int i = 0; i < board->n_open; i++) {
        const struct board_batch *batch = open_batch(board, i);
        if (batch->released) {
            continue;
        }
        bool ready =
            batch->err.code != 0 || (batch->n_done == batch->n_chunks && batch->n_holds == 0);
        return ready ? (board->head + i) % board->n_batches : -1;
    }
    return -1;
}

void board_release(struct board *board, int index)
{
    BUG_ON(!board->batches[index].used || board->batches[index].released);
    board->batches[index].released = true;
}

void board_return(struct board *board, int index)
{
    struct board_batch *batch = &board->batches[index];
    BUG_ON(index != board->head || !batch->used || !batch->released);
    board->slab[batch->slab].owned = false;
    batch->used = false;
    board->head = (board->head + 1) % board->n_batches;
    board->n_open--;
}

int board_add_worker(struct board *board, int64_t number, int64_t pid)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        if (!board->workers[i].used) {
            board->workers[i] = (struct board_worker){.used = true, .number = number, .pid = pid};
            return i;
        }
    }
    return -1;
}

int board_find_worker(const struct board *board, int64_t number, int64_t pid)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        const struct board_worker *worker = &board->workers[i];
        if (worker->used && worker->number == number && worker->pid == pid) {
            return i;
        }
    }
    return -1;
}

int board_n_workers(const struct board *board)
{
    int n = 0;
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        n += board->workers[i].used && !board->workers[i].doomed;
    }
    return n;
}

/* ---- leases
 * -------------------------------------------------------------------------------------------------
 */

static void copy_rows(const struct board *board, const struct board_batch *batch, int from, int to,
                      int64_t begin, int64_t end)
{
    const struct slab_layout *layout = &board->plan->stream[batch->at.stream].layout;
    unsigned char *source = board->slabs + (size_t)from * board->slab_bytes;
    unsigned char *target = board->slabs + (size_t)to * board->slab_bytes;
    for (int i = 0; i < layout->n_fields; i++) {
        const struct slab_field *field = &layout->fields[i];
        size_t offset = field->offset + (size_t)begin * field->row_bytes;
        memcpy(target + offset, source + offset, (size_t)(end - begin) * field->row_bytes);
    }
}

/* Rows that are made already go along; what others still write in the old slab is brought over when
 * it is done. */
static bool move_batch(struct board *board, struct board_batch *batch)
{
    int n = 0;
    int to = free_slab(board, &n);
    if (to < 0) {
        return false;
    }
    for (int i = 0; i < batch->n_chunks; i++) {
        if (batch->chunks[i].state == BOARD_CHUNK_DONE) {
            copy_rows(board, batch, batch->slab, to, batch->chunks[i].begin, batch->chunks[i].end);
        }
    }
    board->slab[batch->slab].owned = false;
    board->slab[to].owned = true;
    batch->slab = to;
    board->n_moved++;
    return true;
}

static struct board_chunk *find_todo(struct board *board, const struct board_worker *worker,
                                     struct board_batch **ret)
{
    for (int i = 0; i < board->n_open; i++) {
        struct board_batch *batch = open_batch(board, i);
        if (batch->released || batch->n_todo == 0 || batch->err.code != 0) {
            continue;
        }
        if (!REUSE_AT_ONCE && board->slab[batch->slab].n_expired > 0 && !move_batch(board, batch)) {
            continue;
        }
        for (int k = 0; k < batch->n_chunks; k++) {
            struct board_chunk *chunk = &batch->chunks[k];
            if (chunk->state == BOARD_CHUNK_TODO && (!chunk->alone || worker->n_leases == 0)) {
                *ret = batch;
                return chunk;
            }
        }
    }
    return NULL;
}

static bool holds_suspect(const struct board *board, const struct board_worker *worker)
{
    for (int i = 0; i < worker->n_leases; i++) {
        const struct board_lease *lease = &worker->leases[i];
        const struct board_batch *batch = &board->batches[lease->batch];
        for (int k = 0; k < batch->n_chunks; k++) {
            if (batch->chunks[k].begin == lease->begin && batch->chunks[k].alone) {
                return true;
            }
        }
    }
    return false;
}

static int64_t deadline_of(const struct board *board, const struct board_worker *worker,
                           int64_t rows, int64_t now_us)
{
    for (int i = 0; i < worker->n_leases; i++) {
        rows += worker->leases[i].end - worker->leases[i].begin;
    }
    if (board->timing.row_us ==
        0) { /* nothing measured: a first chunk may have to open and index whole files */
        return now_us + 10 * board->timing.floor_us;
    }
    return now_us + board->timing.floor_us + 10 * rows * board->timing.row_us;
}

bool board_lease(struct board *board, int index, int64_t now_us, struct msg_chunk_make *ret)
{
    struct board_worker *worker = &board->workers[index];
    if (!worker->used || worker->doomed || worker->n_leases >= BOARD_LEASES_MAX ||
        holds_suspect(board, worker)) {
        return false;
    }
    struct board_batch *batch = NULL;
    struct board_chunk *chunk = find_todo(board, worker, &batch);
    if (chunk == NULL) {
        return false;
    }
    struct board_lease *lease = &worker->leases[worker->n_leases];
    *lease = (struct board_lease){
        .used = true,
        .batch = (int)(batch - board->batches),
        .begin = chunk->begin,
        .end = chunk->end,
        .slab = batch->slab,
        .generation = ++board->generation,
        .sent_us = now_us,
        .deadline_us = deadline_of(board, worker, chunk->end - chunk->begin, now_us),
    };
    worker->n_leases++;
    board->slab[batch->slab].n_leases++;
    chunk->state = BOARD_CHUNK_LEASED;
    batch->n_todo--;
    *ret = (struct msg_chunk_make){
        .stream = batch->at.stream,
        .epoch = batch->at.epoch,
        .step = batch->at.step,
        .begin = chunk->begin,
        .end = chunk->end,
        .slab = batch->slab,
        .generation = lease->generation,
        .skip = {batch->skip, (size_t)batch->n_skip},
    };
    return true;
}

static struct board_chunk *chunk_of(struct board *board, const struct board_lease *lease)
{
    struct board_batch *batch = &board->batches[lease->batch];
    for (int i = 0; i < batch->n_chunks; i++) {
        if (batch->chunks[i].begin == lease->begin && batch->chunks[i].end == lease->end) {
            return &batch->chunks[i];
        }
    }
    BUG("a lease without its chunk");
}

static void drop_lease(struct board *board, struct board_worker *worker, int i)
{
    struct board_lease *lease = &worker->leases[i];
    board->slab[lease->slab].n_leases--;
    board->slab[lease->slab].n_expired -= lease->expired;
    worker->n_leases--;
    memmove(&worker->leases[i], &worker->leases[i + 1],
            sizeof(*lease) * (size_t)(worker->n_leases - i));
}

static const int64_t CHUNK_US_MAX = 3600 * (int64_t)1000000;

static void measure(struct board *board, const struct board_lease *lease, int64_t us)
{
    us = us < 0 ? 0 : us > CHUNK_US_MAX ? CHUNK_US_MAX : us; /* a worker's word */
    int64_t row_us = us / (lease->end - lease->begin) + 1;
    int64_t old = board->timing.row_us;
    /* One chunk that took long (its worker was stopped for a while) must not make all deadlines long. */
    int64_t bound = old > 0 && row_us > 2 * old ? 2 * old : row_us;
    board->timing.row_us = old == 0 ? row_us : old + (bound - old) / 8 + (bound > old);
}

int board_done(struct board *board, int index, const struct msg_chunk_done *done)
{
    struct board_worker *worker = &board->workers[index];
    for (int i = 0; i < worker->n_leases; i++) {
        struct board_lease lease = worker->leases[i];
        if (lease.generation != done->generation) {
            continue;
        }
        struct board_batch *batch = &board->batches[lease.batch];
        if (lease.expired || lease.begin != done->begin || lease.end != done->end ||
            lease.slab != done->slab) {
            break;
        }
        struct board_chunk *chunk = chunk_of(board, &lease);
        chunk->state = BOARD_CHUNK_DONE;
        chunk->alone = false;
        batch->n_done++;
        measure(board, &lease, done->us);
        if (lease.slab != batch->slab) {
            copy_rows(board, batch, lease.slab, batch->slab, lease.begin, lease.end);
        }
        drop_lease(board, worker, i);
        return lease.batch;
    }
    board->n_late++;
    return -1;
}

int board_failed(struct board *board, int index)
{
    struct board_worker *worker = &board->workers[index];
    worker->doomed = true;
    if (worker->n_leases == 0 || worker->leases[0].expired) {
        return -1;
    }
    board->batches[worker->leases[0].batch].n_failed++;
    return worker->leases[0].batch;
}

static void forget_chunk(struct board *board, const struct board_lease *lease)
{
    struct board_chunk *chunk = chunk_of(board, lease);
    chunk->state = BOARD_CHUNK_TODO;
    board->batches[lease->batch].n_todo++;
    board->n_remade++;
}

void board_wait(struct board *board, int index, int64_t now_us)
{
    struct board_worker *worker = &board->workers[index];
    const int64_t deadline_us = deadline_of(board, worker, 0, now_us);
    for (int i = 0; i < worker->n_leases; i++) {
        worker->leases[i].deadline_us = deadline_us;
    }
}

int board_overdue(const struct board *board, int64_t now_us)
{
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        const struct board_worker *worker = &board->workers[i];
        if (worker->used && worker->n_leases > 0 && !worker->leases[0].expired &&
            worker->leases[0].deadline_us <= now_us) {
            return i;
        }
    }
    return -1;
}

int64_t board_next_deadline(const struct board *board)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < SLAB_WORKERS_MAX; i++) {
        const struct board_worker *worker = &board->workers[i];
        if (worker->used && worker->n_leases > 0 && !worker->leases[0].expired &&
            worker->leases[0].deadline_us < next) {
            next = worker->leases[0].deadline_us;
        }
    }
    return next;
}

/* ---- suspects
 * -----------------------------------------------------------------------------------------------
 */

static void insert_chunk(struct board_batch *batch, int at, int64_t begin, int64_t end)
{
    BUG_ON(batch->n_chunks >= batch->n_max);
    memmove(&batch->chunks[at + 1], &batch->chunks[at],
            sizeof(*batch->chunks) * (size_t)(batch->n_chunks - at));
    batch->chunks[at] = (struct board_chunk){.begin = begin, .end = end};
    batch->n_chunks++;
    batch->n_todo++;
}

/* Cuts a chunk that is to be made again so that rows begin..end stand alone. */
static struct board_chunk *isolate(struct board_batch *batch, struct board_chunk *chunk,
                                   int64_t begin, int64_t end)
{
    int at = (int)(chunk - batch->chunks);
    int64_t first = chunk->begin, last = chunk->end;
    chunk->begin = begin;
    chunk->end = end;
    if (last > end) {
        insert_chunk(batch, at + 1, end, last);
    }
    if (first < begin) {
        insert_chunk(batch, at, first, begin);
        at++;
    }
    batch->chunks[at].alone = true;
    return &batch->chunks[at];
}

static bool convict(struct board_batch *batch, struct board_chunk *chunk)
{
    if (++chunk->strikes < BOARD_STRIKES || batch->n_skip >= batch->n_skip_max) {
        return false;
    }
    batch->skip[batch->n_skip++] = chunk->begin;
    chunk->alone = false;
    return true;
}

/* What a death says about the row that was being made. Only the first lease can have been in the
 * works. */
static bool accuse(struct board *board, const struct board_lease *lease, int64_t row,
                   int64_t *ret_row)
{
    struct board_batch *batch = &board->batches[lease->batch];
    struct board_chunk *chunk = chunk_of(board, lease);
    bool unknown = row == BOARD_ROW_UNKNOWN;
    if (board->plan->stream[batch->at.stream].whole_batch ||
        (!unknown && (row < chunk->begin || row >= chunk->end))) {
        return false;
    }
    if (unknown && chunk->end - chunk->begin > 1) {
        isolate(batch, chunk, chunk->begin, chunk->begin + (chunk->end - chunk->begin) / 2);
        return false;
    }
    *ret_row = unknown ? chunk->begin : row;
    if (chunk->alone && chunk->end - chunk->begin == 1) {
        return convict(batch, chunk);
    }
    isolate(batch, chunk, *ret_row, *ret_row + 1);
    return false;
}

int64_t board_expire(struct board *board, int index, int64_t row, int *ret_batch)
{
    struct board_worker *worker = &board->workers[index];
    int64_t convicted = -1;
    worker->doomed = true;
    for (int i = 0; i < worker->n_leases; i++) {
        struct board_lease *lease = &worker->leases[i];
        if (lease->expired) {
            continue;
        }
        forget_chunk(board, lease);
        lease->expired = true;
        board->slab[lease->slab].n_expired++;
        int64_t at = -1;
        if (i == 0 && row != -1 && accuse(board, lease, row, &at)) {
            convicted = at;
            *ret_batch = lease->batch;
        }
    }
    return convicted;
}

int64_t board_gone(struct board *board, int index, int64_t row, int *ret_batch)
{
    struct board_worker *worker = &board->workers[index];
    int64_t convicted = board_expire(board, index, row, ret_batch);
    while (worker->n_leases > 0) {
        drop_lease(board, worker, worker->n_leases - 1);
    }
    worker->used = false;
    return convicted;
}
