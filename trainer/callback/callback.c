#include "trainer/callback/callback.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "trainer/class_name.h"

#define CALLBACK_ROW(name) extern const struct callback_desc callback_##name;
#include "trainer/callback/callback_rows.h"
#undef CALLBACK_ROW

static const struct callback_desc *const table[] = {
#define CALLBACK_ROW(name) &callback_##name,
#include "trainer/callback/callback_rows.h"
#undef CALLBACK_ROW
};

struct callbacks {
    int n;
    struct {
        const struct callback_desc *desc;
        void *options, *memory;
    } v[CALLBACKS_MAX];
};

const struct callback_desc *callback_at(size_t n)
{
    return n < sizeof(table) / sizeof(table[0]) ? table[n] : NULL;
}

static const char *name_at(size_t n, const char **ret_aliases)
{
    const struct callback_desc *desc = callback_at(n);
    *ret_aliases = NULL;
    return desc ? desc->name : NULL;
}

static int read_one(struct callbacks *callbacks, const struct doc *doc,
                    const struct callback_setup *setup, struct arena *arena, struct err *err)
{
    static const struct class_name_family family = {"callback", name_at};
    const struct doc *map;
    int r = class_name_read(&family, doc, &map, err);
    if (r < 0) {
        return r;
    }
    const struct callback_desc *desc = table[r];
    void *options = arena_alloc(arena, desc->size);
    r = opt_read(desc->options, options, map, arena, err);
    r = r < 0 || !desc->prepare ? r : desc->prepare(options, setup, err);
    if (r < 0) {
        err_prefix(err, "%s", desc->name);
        return r;
    }
    callbacks->v[callbacks->n].desc = desc;
    callbacks->v[callbacks->n].options = options;
    callbacks->v[callbacks->n++].memory = arena_alloc(arena, desc->memory + 1);
    return 0;
}

int callback_list_read(const struct doc *doc, const struct callback_setup *setup,
                       struct arena *arena, struct callbacks **ret, struct err *err)
{
    struct callbacks *callbacks = ARENA_NEW(arena, struct callbacks);
    bool is_list = doc && doc->type == DOC_LIST;
    size_t n = is_list ? doc->n : doc && doc->type != DOC_NULL ? 1 : 0;
    *ret = callbacks;
    if (n > CALLBACKS_MAX) {
        return err_set_at(err, ERR_LIMIT, "fit.callbacks", "%zu callbacks, at most %d", n,
                          CALLBACKS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        int r = read_one(callbacks, is_list ? &doc->items[i] : doc, setup, arena, err);
        if (r < 0) {
            err_prefix(err, is_list ? "fit.callbacks[%zu]" : "fit.callbacks", i);
            return r;
        }
    }
    return 0;
}

int callback_list_n(const struct callbacks *callbacks)
{
    return callbacks->n;
}

void callback_list_begin(struct callbacks *callbacks, int64_t epoch, struct callback_wish *wish)
{
    for (int i = 0; i < callbacks->n; i++) {
        if (callbacks->v[i].desc->begin) {
            callbacks->v[i].desc->begin(callbacks->v[i].options, callbacks->v[i].memory, epoch,
                                        wish);
        }
    }
}

void callback_list_end(struct callbacks *callbacks, const struct callback_epoch *epoch,
                       struct callback_wish *wish)
{
    for (int i = 0; i < callbacks->n; i++) {
        if (callbacks->v[i].desc->end) {
            callbacks->v[i].desc->end(callbacks->v[i].options, callbacks->v[i].memory, epoch, wish);
        }
    }
}

void callback_list_replay(struct callbacks *callbacks, const struct doc *history,
                          struct callback_wish *wish)
{
    for (size_t i = 0; history && history->type == DOC_LIST && i < history->n; i++) {
        const struct doc shown = {.type = DOC_LIST, .n = i + 1, .items = history->items};
        const struct callback_epoch epoch = {(int64_t)i, &history->items[i], &shown};
        struct callback_wish now = {0};
        callback_list_begin(callbacks, epoch.epoch, &now);
        callback_list_end(callbacks, &epoch, &now);
        wish->stop = wish->stop || now.stop;
        wish->restore = now.restore ? now.restore : wish->restore;
    }
}

void callback_list_fini(struct callbacks *callbacks)
{
    for (int i = 0; callbacks && i < callbacks->n; i++) {
        if (callbacks->v[i].desc->fini) {
            callbacks->v[i].desc->fini(callbacks->v[i].memory);
        }
    }
}

void callback_save(struct callback_wish *wish, const char *name)
{
    for (int i = 0; i < wish->n_saves; i++) {
        if (strcmp(wish->saves[i], name) == 0) {
            return;
        }
    }
    BUG_ON(wish->n_saves >= CALLBACKS_MAX);
    (void)snprintf(wish->saves[wish->n_saves++], CALLBACK_NAME_MAX, "%s", name);
}

void callback_say(struct callback_wish *wish, const char *format, ...)
{
    va_list args;
    BUG_ON(wish->n_says >= CALLBACKS_MAX);
    va_start(args, format);
    (void)vsnprintf(wish->says[wish->n_says++], sizeof(wish->says[0]), format, args);
    va_end(args);
}

int callback_rate_check(const struct callback_setup *setup, struct err *err)
{
    return model_rate_is_set(setup->model)
               ? 0
               : err_set(
                     err, ERR_UNSUPPORTED,
                     "the optimizer's learning_rate is a schedule, which nothing else can change");
}
