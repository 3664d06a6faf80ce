/* labelled - files of a data set with a class each: from folders, from a list, or without; which of
 * them are in the split and in the subset.
 *
 * Owns:     lists live in the arena given; files are the manifest's.
 * Threads:  const after opening.
 * Errors:   ERR_DATA, ERR_MISSING, ERR_LIMIT, ERR_INVALID naming data set, folder or option.
 * Lifetime: the arena's.
 */
#ifndef PIPELINE_SOURCE_LABELLED_H
#define PIPELINE_SOURCE_LABELLED_H

#include "pipeline/source.h"

enum labelled_mode { LABELLED_INT, LABELLED_CATEGORICAL, LABELLED_BINARY, LABELLED_NONE };
enum labelled_subset { LABELLED_ALL, LABELLED_TRAINING, LABELLED_VALIDATION };
extern const struct opt_name labelled_modes[], labelled_subsets[];

/* The options that sources of such files share: fields of their context, and rows of their table.
 */
#define LABELLED_FIELDS                                        \
    int label_mode;           /* enum labelled_mode */         \
    const struct doc *labels; /* "inferred", a list, a path */ \
    struct opt_strs class_names;                               \
    double validation_split;                                   \
    int subset; /* enum labelled_subset */                     \
    bool stratified;                                           \
    const char *file_column, *label_column;                    \
    int64_t seed;
#define LABELLED_ROWS(S)                                                                         \
    OPT_ENUM_ROW(S, label_mode, LABELLED_INT, labelled_modes,                                    \
                 "What y is: the class's number, a float32 of 1 among zeros (categorical), one " \
                 "float32 of 0 or 1 (binary; two classes), or nothing (none)."),                 \
        OPT_DOC_ROW(S, labels,                                                                   \
                    "inferred: by the folders; a list of whole numbers, one a file in the "      \
                    "order of the paths' bytes; or the path of a CSV or JSONL file of the data " \
                    "set, with a file and a class in each row.",                                 \
                    .def_str = "\"inferred\""),                                                  \
        OPT_STRS_ROW(S, class_names,                                                             \
                     "Names of the classes in the order of their numbers; without it in the "    \
                     "order of their bytes. Folders that are not named are left out."),          \
        OPT_F64_ROW(                                                                             \
            S, validation_split, 0, 0, 0.999,                                                    \
            "About this share of each class is the subset validation. The hash of a file's "     \
            "path decides, so that files that are added move no other."),                        \
        OPT_BOOL_ROW(S, stratified, false,                                                       \
                     "validation is exactly this share of each class, rounded: its files with "  \
                     "the smallest hashes. Then files that are added may move others."),         \
        OPT_ENUM_ROW(S, subset, LABELLED_ALL, labelled_subsets,                                  \
                     "Which part of validation_split this stream reads."),                       \
        OPT_STR_ROW(S, file_column, NULL,                                                        \
                    "Column of the files, relative to the table or the data set; without it "    \
                    "file, path, filename, file_name or image.",                                 \
                    .flags = OPT_NULLABLE),                                                      \
        OPT_STR_ROW(S, label_column, NULL,                                                       \
                    "Column of the classes, texts or whole numbers; without it label, class, y " \
                    "or target.",                                                                \
                    .flags = OPT_NULLABLE),                                                      \
        OPT_I64_ROW(S, seed, 0, 0, OPT_I64_MAX, "Another one draws another subset.")

struct labelled_options {
    LABELLED_FIELDS
};
struct labelled_item {
    const struct doc *file;
    int64_t label; /* -1 = none */
};
struct labelled {
    const struct labelled_options *options;
    const struct source_store *store;
    bool (*takes)(const char *path); /* NULL: all files are samples */
    const char *aside;               /* a folder name whose files are none, or NULL */
    const char *what;                /* "pictures" */
    struct labelled_item *items;
    int64_t n;
    const char **classes;
    int64_t n_classes;
    const char *top_class; /* as struct source's */
    /* Of the last put. */
    int64_t label;
    float *vector;
};

/* `kind` is the source's name, for the paths of errors. */
int labelled_open(struct labelled *labelled, const char *kind, struct arena *arena,
                  struct err *err);
/* The split and the classes as the source's; field y, if there is one, at the end of its fields. */
void labelled_declare(struct labelled *labelled, struct source *source);
/* Sets field y of an element. */
void labelled_put(struct labelled *labelled, int64_t item, const struct source *source,
                  struct element *ret);

/* Where a folder's name stands in a path; n = 0: the file is in no such folder. */
struct labelled_part {
    const char *text;
    size_t n;
};
struct labelled_part labelled_part(const char *path, int index);
bool labelled_is_hidden(const char *path);
/* Is any of a data set's files in a folder? */
bool labelled_claims(const struct doc *files);

#endif
