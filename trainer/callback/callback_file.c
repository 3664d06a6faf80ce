#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "trainer/callback/callback.h"

/* {name}, {name:02d}, {name:.4f}: what stands between the braces. */
struct place {
    char name[64];
    bool is_float;
    int digits;
    bool zeros;
};

static bool read_spec(const char *spec, struct place *place)
{
    char number[8];
    int64_t digits = 0;
    size_t n = strlen(spec);
    place->is_float = spec[0] == '.';
    place->zeros = spec[0] == '0';
    const char *from = spec + (place->is_float ? 1 : 0), kind = place->is_float ? 'f' : 'd';
    n -= place->is_float ? 1 : 0;
    if (n < 2 || n > sizeof(number) || from[n - 1] != kind) {
        return false;
    }
    /* A leading zero asks for zeros; it is no digit of the width. */
    from += place->zeros && n > 2 ? 1 : 0;
    (void)snprintf(number, sizeof(number), "%.*s", (int)(strlen(from) - 1), from);
    bool is_number = doc_parse_int(number, &digits) && digits >= 0 && digits <= 16;
    place->digits = (int)digits;
    return is_number;
}

/* From "{" on; returns what follows the "}", NULL: it is none. */
static const char *read_place(const char *text, struct place *place)
{
    char inside[96];
    const char *end = strchr(text, '}');
    size_t n = end ? (size_t)(end - text - 1) : sizeof(inside);
    if (n == 0 || n >= sizeof(inside)) {
        return NULL;
    }
    memcpy(inside, text + 1, n);
    inside[n] = '\0';
    char *spec = strchr(inside, ':');
    *place = (struct place){.is_float = strncmp(inside, "epoch", 5) != 0, .digits = -1};
    if (spec) {
        *spec++ = '\0';
    }
    if (strlen(inside) >= sizeof(place->name) || (spec && !read_spec(spec, place))) {
        return NULL;
    }
    (void)snprintf(place->name, sizeof(place->name), "%s", inside);
    return end + 1;
}

static bool is_known(const char *name, const struct callback_setup *setup)
{
    const char *bare = strncmp(name, "val_", 4) == 0 && setup->validates ? name + 4 : name;
    for (int i = 0; i < model_n_metrics(setup->model); i++) {
        if (strcmp(model_metric_name(setup->model, i), bare) == 0) {
            return true;
        }
    }
    return strcmp(name, "epoch") == 0;
}

static int check_places(const char *pattern, const char *option, const struct callback_setup *setup,
                        struct err *err)
{
    for (const char *p = strchr(pattern, '{'); p; p = strchr(p, '{')) {
        struct place place;
        const char *next = read_place(p, &place);
        if (!next) {
            return err_set_at(err, ERR_INVALID, option,
                              "'%.32s': places are {name}, {name:02d} or {name:.4f}", p);
        }
        if (!is_known(place.name, setup)) {
            return err_set_at(err, ERR_UNKNOWN, option, "the history has no '%s'", place.name);
        }
        if (place.is_float == (strcmp(place.name, "epoch") == 0)) {
            return err_set_at(err, ERR_INVALID, option,
                              "'%.32s': epoch is a whole number, metrics are not", p);
        }
        p = next;
    }
    return 0;
}

int callback_name_check(const char *pattern, const char *suffix, const char *option,
                        const struct callback_setup *setup, struct err *err)
{
    size_t n = strlen(pattern), tail = strlen(suffix);
    if (n <= tail || n > CALLBACK_NAME_MAX / 2 || strcmp(pattern + n - tail, suffix) != 0) {
        return err_set_at(err, ERR_INVALID, option,
                          "takes a name of at most %d letters that ends in %s",
                          CALLBACK_NAME_MAX / 2, suffix);
    }
    for (const char *p = pattern; *p; p++) {
        if (!isalnum((unsigned char)*p) && !strchr("._-+={}:", *p)) {
            return err_set_at(
                err, ERR_INVALID, option,
                "takes the name of a file in the job's folder: letters, digits, . _ - "
                "+ = and {places}, not '%c'",
                *p);
        }
    }
    if (pattern[0] == '.' || strncmp(pattern, "ckpt-", 5) == 0 ||
        strcmp(pattern, "model.keras") == 0) {
        return err_set_at(err, ERR_INVALID, option, "'%.64s' is a name that the daemon uses itself",
                          pattern);
    }
    return check_places(pattern, option, setup, err);
}

static int put_place(const struct place *place, const struct callback_epoch *epoch, char *to,
                     size_t room)
{
    if (strcmp(place->name, "epoch") == 0) {
        int width = place->digits > 0 ? place->digits : 0;
        return place->zeros ? snprintf(to, room, "%0*" PRId64, width, epoch->epoch + 1)
                            : snprintf(to, room, "%*" PRId64, width, epoch->epoch + 1);
    }
    double value = doc_float(epoch->metrics, place->name, 0.0);
    return place->digits >= 0 ? snprintf(to, room, "%.*f", place->digits, value)
                              : snprintf(to, room, "%g", value);
}

void callback_name(const char *pattern, const struct callback_epoch *epoch,
                   char ret[CALLBACK_NAME_MAX])
{
    size_t n = 0;
    while (*pattern && n + 1 < CALLBACK_NAME_MAX) {
        struct place place;
        const char *next = *pattern == '{' ? read_place(pattern, &place) : NULL;
        if (next) {
            int added = put_place(&place, epoch, ret + n, CALLBACK_NAME_MAX - n);
            n += added > 0 ? (size_t)added : 0;
            n = n < CALLBACK_NAME_MAX ? n : CALLBACK_NAME_MAX - 1;
            pattern = next;
        } else {
            ret[n++] = *pattern++;
        }
    }
    ret[n] = '\0';
}
