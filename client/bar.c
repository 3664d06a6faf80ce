#include "client/bar.h"

#include <stdio.h>
#include <string.h>

#include "client/show.h"

enum { PART_TEXT = 96, PARTS_MAX = 12, BAR_LEAST = 6, BAR_MOST = 30, NARROW = 100, BAR_NEED = 7 };

struct part {
    char text[PART_TEXT];
    const char *on; /* colour */
    int need;       /* smaller: kept longer */
    bool kept;
};
struct parts {
    struct part part[PARTS_MAX];
    int n;
    int gap; /* columns between parts: everything that matters fits into 80 */
};

static void add(struct parts *parts, int need, const char *on, const char *text)
{
    if (parts->n < PARTS_MAX) {
        struct part *part = &parts->part[parts->n++];
        *part = (struct part){.on = on, .need = need};
        (void)snprintf(part->text, sizeof(part->text), "%s", text);
    }
}

/* Keeps parts in the order of need while they fit; returns the columns taken. */
static int choose(struct parts *parts, int width)
{
    int taken = 0;
    for (int need = 0; need <= PARTS_MAX; need++) {
        if (need == BAR_NEED && taken + parts->gap + BAR_LEAST <= width) {
            width -= parts->gap + BAR_LEAST; /* the bar itself, before what is nice to know */
        }
        for (int i = 0; i < parts->n; i++) {
            int columns = term_columns(parts->part[i].text) + (taken > 0 ? parts->gap : 0);
            if (parts->part[i].need == need && taken + columns <= width) {
                parts->part[i].kept = true;
                taken += columns;
            }
        }
    }
    return taken;
}

static void draw(double share, int columns, const struct term *term, struct buf *out)
{
    share = share >= 0 && share <= 1 ? share : 0;
    int halves = (int)(share * (double)columns * 2);
    buf_puts(out, term->utf8 ? term->green : "[");
    for (int i = 0; i < columns - (term->utf8 ? 0 : 2); i++) {
        if (!term->utf8) {
            buf_puts(out, (double)i < share * (double)(columns - 2) ? "=" : " ");
        } else if (i == halves / 2) {
            buf_puts(out, term->plain);
            buf_puts(out, term->plain[0] != '\0' ? term->dim : "");
            buf_puts(out, halves % 2 == 1          ? "\u2578"
                          : term->plain[0] != '\0' ? "\u2501"
                                                   : "\u2500");
        } else {
            buf_puts(out, i < halves / 2 || term->plain[0] != '\0' ? "\u2501" : "\u2500");
        }
    }
    buf_puts(out, term->utf8 ? term->plain : "]");
}

/* The parts with the bar behind the first one if `share` is given and there is room. */
static void put(struct parts *parts, double share, const struct term *term, int width,
                struct buf *out)
{
    int left = width - choose(parts, width) - parts->gap;
    bool first = true;
    for (int i = 0; i < parts->n; i++) {
        const struct part *part = &parts->part[i];
        if (!part->kept) {
            continue;
        }
        buf_printf(out, "%*s%s%s%s", first ? 0 : parts->gap, "", part->on, part->text,
                   part->on[0] != '\0' ? term->plain : "");
        if (first && left >= BAR_LEAST) {
            buf_printf(out, "%*s", parts->gap, "");
            draw(share, left < BAR_MOST ? left : BAR_MOST, term, out);
        }
        first = false;
    }
}

/* 80 columns hold a bar too when the longest word of all is cut, as people do. */
static const char *metric_name(const char *key, bool narrow)
{
    return narrow && strcmp(key, "accuracy") == 0 ? "acc" : key;
}

static void add_metrics(struct parts *parts, const struct doc *metrics, bool narrow,
                        const struct term *term)
{
    for (size_t i = 0; metrics != NULL && metrics->type == DOC_MAP && i < metrics->n && i < 4;
         i++) {
        char number[SHOW_TEXT];
        char text[PART_TEXT];
        if (!doc_is_number(&metrics->pairs[i].value)) {
            continue;
        }
        show_number(doc_number(&metrics->pairs[i].value), number);
        (void)snprintf(text, sizeof(text), "%.40s %s", metric_name(metrics->pairs[i].key, narrow),
                       number);
        add(parts, i == 0 ? 2 : i == 1 ? 4 : 9, term->bold, text);
    }
}

void bar_line(const struct doc *progress, const struct term *term, int width, struct buf *out)
{
    bool narrow = width < NARROW;
    struct parts parts = {.gap = narrow ? 1 : 2};
    char text[PART_TEXT];
    char number[SHOW_TEXT];
    bool validates = doc_int(progress, "validation_step", 0) > 0;
    const char *what = !validates ? "" : narrow ? "val " : "validation ";
    int64_t step = doc_int(progress, validates ? "validation_step" : "step", 0);
    int64_t steps = doc_int(progress, validates ? "validation_steps" : "steps", 0);
    double share = steps > 0 ? (double)step / (double)steps : 0;
    (void)snprintf(text, sizeof(text), "epoch %lld/%lld",
                   (long long)doc_int(progress, "epoch", 0) + 1,
                   (long long)doc_int(progress, "epochs", 0));
    add(&parts, 0, "", text);
    (void)snprintf(text, sizeof(text), "%s%lld/%lld", what, (long long)step, (long long)steps);
    add(&parts, 1, "", text);
    add_metrics(&parts, doc_get(progress, "metrics"), narrow, term);
    double rate = doc_float(progress, "samples_per_second", 0);
    show_count(rate >= 0 && rate < 1e15 ? (int64_t)rate : 0, number);
    (void)snprintf(text, sizeof(text), narrow ? "%s/s" : "%s images/s", number);
    add(&parts, 5, "", text);
    (void)snprintf(text, sizeof(text), narrow ? "wait %.0f %%" : "input wait %.0f %%",
                   100 * doc_float(progress, "wait_share", 0));
    add(&parts, 6, "", text);
    (void)snprintf(text, sizeof(text), "%lld worker%s", (long long)doc_int(progress, "workers", 0),
                   doc_int(progress, "workers", 0) == 1 ? "" : "s");
    add(&parts, 8, "", text);
    show_duration(doc_float(progress, "eta_seconds", -1), number);
    (void)snprintf(text, sizeof(text), "ETA %s", number);
    add(&parts, 3, "", text);
    put(&parts, share, term, width, out);
}

void bar_epoch(const struct doc *epoch, int64_t epochs, const struct term *term, struct buf *out)
{
    double seconds = doc_float(epoch, "seconds", 0);
    const struct doc *metrics = doc_get(epoch, "metrics");
    buf_printf(out, "%sepoch %lld", term->bold, (long long)doc_int(epoch, "epoch", 0) + 1);
    if (epochs > 0) {
        buf_printf(out, "/%lld", (long long)epochs);
    }
    buf_puts(out, term->plain);
    for (size_t i = 0; metrics != NULL && metrics->type == DOC_MAP && i < metrics->n; i++) {
        char number[SHOW_TEXT];
        if (doc_is_number(&metrics->pairs[i].value)) {
            show_number(doc_number(&metrics->pairs[i].value), number);
            buf_printf(out, "  %s%s %s%s",
                       strncmp(metrics->pairs[i].key, "val_", 4) == 0 ? term->green : "",
                       metrics->pairs[i].key, number, term->plain);
        }
    }
    if (seconds > 0) {
        buf_printf(out, "  %s%.1f s%s", term->dim, seconds, term->plain);
    }
    buf_puts(out, "\n");
}

void bar_parts(const struct doc *adapting, const struct term *term, int width, struct buf *out)
{
    struct parts parts = {.gap = 2};
    char text[PART_TEXT];
    const int64_t made = doc_int(adapting, "made", 0), all = doc_int(adapting, "parts", 0);
    const int64_t workers = doc_int(adapting, "workers", 0);
    (void)snprintf(text, sizeof(text), "adapting %.40s", doc_str(adapting, "path", ""));
    add(&parts, 0, "", text);
    (void)snprintf(text, sizeof(text), "%lld/%lld parts", (long long)made, (long long)all);
    add(&parts, 1, "", text);
    (void)snprintf(text, sizeof(text), "of its %.24s", doc_str(adapting, "what", ""));
    add(&parts, 2, term->dim, text);
    (void)snprintf(text, sizeof(text), "%lld worker%s", (long long)workers,
                   workers == 1 ? "" : "s");
    add(&parts, 3, "", text);
    put(&parts, all > 0 ? (double)made / (double)all : 0, term, width, out);
}

void bar_bytes(const char *what, int64_t done, int64_t total, const char *name,
               const struct term *term, int width, struct buf *out)
{
    struct parts parts = {.gap = 2};
    char text[PART_TEXT];
    char a[SHOW_TEXT];
    char b[SHOW_TEXT];
    show_bytes(done, a);
    show_bytes(total, b);
    add(&parts, 0, "", what);
    (void)snprintf(text, sizeof(text), "%s of %s", a, b);
    add(&parts, 1, "", text);
    add(&parts, 2, term->dim, name != NULL ? name : "");
    put(&parts, total > 0 ? (double)done / (double)total : 1, term, width, out);
}
