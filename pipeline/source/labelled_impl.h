/* labelled_impl - what the files of labelled share. */
#ifndef PIPELINE_SOURCE_LABELLED_IMPL_H
#define PIPELINE_SOURCE_LABELLED_IMPL_H

#include "pipeline/source/labelled.h"

bool labelled_in_subset(const struct labelled_options *options, const struct doc *file);
/* Exact shares: leaves the items that are in the subset. */
void labelled_stratify(struct labelled *labelled, struct arena *arena);
/* Adds a file to the items if it is in the subset. */
void labelled_add(struct labelled *labelled, const struct doc *file, int64_t label);
bool labelled_in_split(const struct labelled *labelled, const char *path);
/* Classes of numbers: class_names, or "0", "1", ... */
int labelled_name_numbers(struct labelled *labelled, int64_t most, struct arena *arena,
                          struct err *err);
/* Items by a table of the data set. */
int labelled_by_list(struct labelled *labelled, const char *path, struct arena *arena,
                     struct err *err);

#endif
