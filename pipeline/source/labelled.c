#include "pipeline/source/labelled_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { NAME_TEXT = 256 };

const struct opt_name labelled_modes[] = {
    {"int", LABELLED_INT},
    {"categorical", LABELLED_CATEGORICAL},
    {"binary", LABELLED_BINARY},
    {"none", LABELLED_NONE},
    {NULL, 0},
};
const struct opt_name labelled_subsets[] = {
    {"all", LABELLED_ALL},
    {"training", LABELLED_TRAINING},
    {"validation", LABELLED_VALIDATION},
    {NULL, 0},
};

struct labelled_part labelled_part(const char *path, int index)
{
    for (; index > 0; index--) {
        const char *slash = strchr(path, '/');
        if (slash == NULL) {
            return (struct labelled_part){path, 0};
        }
        path = slash + 1;
    }
    const char *slash = strchr(path, '/');
    return (struct labelled_part){path, slash != NULL ? (size_t)(slash - path) : 0};
}

static bool part_is(const struct labelled_part *part, const char *name)
{
    return part->n == strlen(name) && memcmp(part->text, name, part->n) == 0;
}

bool labelled_is_hidden(const char *path)
{
    const char *name = source_basename(path);
    return name[0] == '.' || strcmp(name, "Thumbs.db") == 0;
}

static bool is_folder(const char *path)
{
    const size_t n = strlen(path);
    return n > 0 && path[n - 1] == '/';
}

bool labelled_claims(const struct doc *files)
{
    for (size_t i = 0; i < files->n; i++) {
        if (labelled_part(doc_str(&files->items[i], "path", ""), 0).n > 0) {
            return true;
        }
    }
    return false;
}

static const char *path_of(const struct doc *file)
{
    return doc_str(file, "path", "");
}

static bool is_aside(const struct labelled *k, const char *path)
{
    struct labelled_part part = labelled_part(path, 0);
    for (int i = 1; k->aside != NULL && part.n > 0; i++) {
        if (part_is(&part, k->aside)) {
            return true;
        }
        part = labelled_part(path, i);
    }
    return false;
}

static bool is_sample(const struct labelled *k, const char *path)
{
    return !is_folder(path) && !labelled_is_hidden(path) && !is_aside(k, path) &&
           (k->takes == NULL || k->takes(path));
}

/* With splits, classes are the second folders: everything lies in split/class/, and one of the
 * splits is "train". */
static bool has_splits(const struct doc *files)
{
    bool has_train = false;
    for (size_t i = 0; i < files->n; i++) {
        const char *path = path_of(&files->items[i]);
        const struct labelled_part split = labelled_part(path, 0), class = labelled_part(path, 1);
        if (split.n > 0 && class.n == 0 && !labelled_is_hidden(path) && !is_folder(path)) {
            return false;
        }
        has_train = has_train || part_is(&split, "train");
    }
    return has_train;
}

bool labelled_in_split(const struct labelled *k, const char *path)
{
    const struct labelled_part split = labelled_part(path, 0);
    return k->store->split == NULL || part_is(&split, k->store->split);
}

/* ---- classes ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Class names of all splits, so that a number means the same class in each of them. */
static void find_classes(struct labelled *k, int level, struct arena *arena)
{
    const struct doc *files = k->store->files;
    size_t n = 0;
    const char **names = arena_array(arena, files->n + 1, sizeof *names);
    for (size_t i = 0; i < files->n; i++) {
        const char *path = path_of(&files->items[i]);
        const struct labelled_part part = labelled_part(path, level);
        if (part.n > 0 && part.n < NAME_TEXT && part.text[0] != '.' && !is_aside(k, path) &&
            (n == 0 || !part_is(&part, names[n - 1]))) {
            names[n++] = arena_strndup(arena, part.text, part.n);
        }
    }
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        if (k->n_classes == 0 || strcmp(names[k->n_classes - 1], names[i]) != 0) {
            names[k->n_classes++] = names[i];
        }
    }
    k->classes = names;
}

static int64_t find(const struct labelled *k, const char *name)
{
    if (k->options->class_names.n == 0) {
        const char **found =
            bsearch(&name, k->classes, (size_t)k->n_classes, sizeof *k->classes, by_text);
        return found != NULL ? found - k->classes : -1;
    }
    for (int64_t i = 0; i < k->n_classes; i++) {
        if (strcmp(k->classes[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* The names that the job gives: each of them is a folder, and none stands there twice. */
static int take_names(struct labelled *k, struct arena *arena, struct err *err)
{
    const struct opt_strs *given = &k->options->class_names;
    const char **names = arena_array(arena, given->n + 1, sizeof *names);
    for (size_t i = 0; i < given->n; i++) {
        names[i] = given->v[i];
        if (bsearch(&names[i], k->classes, (size_t)k->n_classes, sizeof *k->classes, by_text) ==
            NULL) {
            const char *nearest = err_nearest(names[i], k->classes, (size_t)k->n_classes);
            return err_set_at(err, ERR_INVALID, "class_names",
                              "data set '%s' has no folder '%.64s'%s%s%s", k->store->dataset,
                              names[i], nearest ? "; did you mean '" : "", nearest ? nearest : "",
                              nearest ? "'?" : "");
        }
        for (size_t before = 0; before < i; before++) {
            if (strcmp(names[before], names[i]) == 0) {
                return err_set_at(err, ERR_INVALID, "class_names", "'%.64s' stands there twice",
                                  names[i]);
            }
        }
    }
    k->classes = names;
    k->n_classes = (int64_t)given->n;
    return 0;
}

static int64_t label_of(const struct labelled *k, const struct labelled_part *part)
{
    char name[NAME_TEXT];
    if (part->n == 0 || part->n >= NAME_TEXT) {
        return -1;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)part->n, part->text);
    return find(k, name);
}

static int check_empty(const struct labelled *k, const int64_t *counts, const bool *is_named,
                       struct err *err)
{
    for (int64_t c = 0; c < k->n_classes; c++) {
        if (is_named[c] && counts[c] == 0) {
            return err_set(err, ERR_DATA, "class folder '%s' of data set '%s' is empty",
                           k->classes[c], k->store->dataset);
        }
    }
    return 0;
}

void labelled_add(struct labelled *k, const struct doc *file, int64_t label)
{
    if (labelled_in_subset(k->options, file)) {
        k->items[k->n++] = (struct labelled_item){.file = file, .label = label};
    }
}

static int by_folders(struct labelled *k, int level, struct arena *arena, struct err *err)
{
    const struct doc *files = k->store->files;
    find_classes(k, level, arena);
    if (k->n_classes > SOURCE_CLASSES_MAX) {
        return err_set(err, ERR_LIMIT, "data set '%s' has more than %d class folders",
                       k->store->dataset, SOURCE_CLASSES_MAX);
    }
    int r = k->options->class_names.n > 0 ? take_names(k, arena, err) : 0;
    if (r < 0) {
        return r;
    }
    int64_t *counts = arena_array(arena, (size_t)k->n_classes + 1, sizeof *counts);
    bool *is_named = arena_array(arena, (size_t)k->n_classes + 1, sizeof *is_named);
    for (size_t i = 0; i < files->n; i++) {
        const char *path = path_of(&files->items[i]);
        const struct labelled_part part = labelled_part(path, level);
        const int64_t label = label_of(k, &part);
        if (label < 0 || !labelled_in_split(k, path)) {
            continue;
        }
        is_named[label] = true;
        if (is_sample(k, path)) {
            counts[label]++;
            labelled_add(k, &files->items[i], label);
        }
    }
    k->top_class = arena_printf(arena, "class %lld is the folder '%s'", (long long)k->n_classes - 1,
                                k->n_classes > 0 ? k->classes[k->n_classes - 1] : "");
    return check_empty(k, counts, is_named, err);
}

/* ---- without folders ---- */

int labelled_name_numbers(struct labelled *k, int64_t most, struct arena *arena, struct err *err)
{
    const struct opt_strs *given = &k->options->class_names;
    k->n_classes = given->n > 0 ? (int64_t)given->n : most + 1;
    if (most >= k->n_classes) {
        return err_set_at(err, ERR_INVALID, "labels", "holds class %lld, class_names has %zu",
                          (long long)most, given->n);
    }
    k->classes = arena_array(arena, (size_t)k->n_classes + 1, sizeof *k->classes);
    for (int64_t i = 0; i < k->n_classes; i++) {
        k->classes[i] = given->n > 0 ? given->v[i] : arena_printf(arena, "%lld", (long long)i);
    }
    return 0;
}

static int by_list(struct labelled *k, const struct doc *labels, struct arena *arena,
                   struct err *err)
{
    const struct doc *files = k->store->files;
    size_t n = 0;
    int64_t most = 0;
    for (size_t i = 0; i < files->n; i++) {
        const char *path = path_of(&files->items[i]);
        if (!is_sample(k, path) || !labelled_in_split(k, path)) {
            continue;
        }
        if (labels != NULL && n < labels->n) {
            const struct doc *label = &labels->items[n];
            if (label->type != DOC_INT || label->i < 0 || label->i >= SOURCE_CLASSES_MAX) {
                char shown[96];
                doc_describe(label, shown, sizeof shown);
                return err_set_at(err, ERR_INVALID, "labels",
                                  "item %zu is %s; a class is a whole number of 0..%d", n, shown,
                                  SOURCE_CLASSES_MAX - 1);
            }
            most = label->i > most ? label->i : most;
            labelled_add(k, &files->items[i], label->i);
        } else if (labels == NULL) {
            labelled_add(k, &files->items[i], -1);
        }
        n++;
    }
    if (labels != NULL && n != labels->n) {
        return err_set_at(err, ERR_INVALID, "labels", "has %zu numbers for %zu %s", labels->n, n,
                          k->what);
    }
    return labels != NULL ? labelled_name_numbers(k, most, arena, err) : 0;
}

/* ---- both ---- */

static int no_split(const struct labelled *k, struct err *err)
{
    char list[256] = "";
    struct labelled_part last = {"", 0};
    for (size_t i = 0; i < k->store->files->n; i++) {
        const struct labelled_part split = labelled_part(path_of(&k->store->files->items[i]), 0);
        if (split.n > 0 && (split.n != last.n || memcmp(split.text, last.text, split.n) != 0)) {
            const size_t used = strlen(list);
            (void)snprintf(list + used, sizeof list - used, "%s%.*s", used > 0 ? ", " : "",
                           (int)split.n, split.text);
            last = split;
        }
    }
    return err_set_at(err, ERR_MISSING, "split",
                      "data set '%s' has no %s in %s/CLASS/; it has the folders %s",
                      k->store->dataset, k->what, k->store->split, list);
}

static int check_options(const struct labelled_options *o, struct err *err)
{
    const struct doc *labels = o->labels;
    if (labels->type != DOC_LIST && labels->type != DOC_STR) {
        char shown[96];
        doc_describe(labels, shown, sizeof shown);
        return err_set_at(err, ERR_INVALID, "labels",
                          "takes inferred, a list, or the path of a CSV or JSONL file, not %s",
                          shown);
    }
    if (o->subset != LABELLED_ALL && !(o->validation_split > 0)) {
        return err_set_at(err, ERR_MISSING, "validation_split",
                          "a subset is a part of validation_split, which is not given");
    }
    if (o->subset == LABELLED_ALL && o->validation_split > 0) {
        return err_set_at(err, ERR_MISSING, "subset",
                          "with validation_split say which part is read: training or validation");
    }
    return 0;
}

static int read_labels(struct labelled *k, struct arena *arena, struct err *err)
{
    const struct source_store *store = k->store;
    const struct doc *labels = k->options->labels;
    const int level = store->split != NULL || has_splits(store->files) ? 1 : 0;
    if (k->options->label_mode == LABELLED_NONE) {
        return by_list(k, NULL, arena, err);
    }
    if (labels->type == DOC_LIST) {
        return by_list(k, labels, arena, err);
    }
    return strcmp(labels->str, "inferred") == 0 ? by_folders(k, level, arena, err)
                                                : labelled_by_list(k, labels->str, arena, err);
}

int labelled_open(struct labelled *k, const char *kind, struct arena *arena, struct err *err)
{
    k->items = arena_array(arena, k->store->files->n + 1, sizeof *k->items);
    int r = check_options(k->options, err);
    r = r < 0 ? r : read_labels(k, arena, err);
    if (r == 0 && k->options->label_mode == LABELLED_BINARY && k->n_classes != 2) {
        r = err_set_at(err, ERR_INVALID, "label_mode",
                       "binary takes two classes, data set '%s' has %lld", k->store->dataset,
                       (long long)k->n_classes);
    }
    if (r < 0) {
        if (err != NULL && err->path[0] != '\0') {
            err_prefix(err, "source.%s", kind);
        }
        return r;
    }
    labelled_stratify(k, arena);
    if (k->n == 0 && k->store->split != NULL) {
        return no_split(k, err);
    }
    k->vector = arena_array(arena, (size_t)k->n_classes + 1, sizeof *k->vector);
    return 0;
}

void labelled_declare(struct labelled *k, struct source *source)
{
    const int mode = k->options->label_mode;
    source->samples = k->n;
    if (mode == LABELLED_NONE) {
        return;
    }
    source->classes = k->classes;
    source->n_classes = k->n_classes;
    source->top_class = k->top_class;
    element_add(&source->spec,
                &(struct element_field){
                    .name = "y",
                    .kind = ELEMENT_LABEL,
                    .spec = {.dtype = mode == LABELLED_INT ? DTYPE_I64 : DTYPE_F32,
                             .shape = {.rank = mode == LABELLED_INT ? 0 : 1,
                                       .d = {mode == LABELLED_BINARY ? 1 : k->n_classes}}}});
}

void labelled_put(struct labelled *k, int64_t item, const struct source *source,
                  struct element *ret)
{
    const int mode = k->options->label_mode, y = source->spec.n - 1;
    if (mode == LABELLED_NONE) {
        return;
    }
    k->label = k->items[item].label;
    if (mode == LABELLED_CATEGORICAL) {
        memset(k->vector, 0, (size_t)k->n_classes * sizeof *k->vector);
        k->vector[k->label] = 1;
    } else {
        k->vector[0] = (float)k->label;
    }
    ret->fields[y] =
        (struct tensor){.dtype = source->spec.fields[y].spec.dtype,
                        .shape = source->spec.fields[y].spec.shape,
                        .data = mode == LABELLED_INT ? (void *)&k->label : (void *)k->vector};
}
