/* index - where the records of a file stand: found once, kept with the data set.
 *
 * Owns:     what is opened is the caller's, as from the format's own function.
 * Threads:  one at a time.
 * Errors:   those of the format.
 * Lifetime: as the format's.
 *
 * What was kept is checked as far as reading relies on it; the records themselves are checked when
 * they are read, as ever.
 */
#ifndef PIPELINE_SOURCE_INDEX_H
#define PIPELINE_SOURCE_INDEX_H

#include "pipeline/format/csv.h"
#include "pipeline/format/lines.h"
#include "pipeline/format/tar.h"
#include "pipeline/format/tfrecord.h"
#include "pipeline/source/parts.h"

/* The file is one of parts_open or parts_switch. */
int index_lines(const struct parts *parts, int part, bool skips_blank, struct lines *ret,
                struct err *err);
int index_tfrecord(const struct parts *parts, int part, struct offsets *ret, struct err *err);
int index_tar(const struct parts *parts, int part, struct tar_index *ret, struct err *err);
int index_csv(const struct parts *parts, int part, const struct csv_options *options,
              struct csv **ret, struct err *err);

#endif
