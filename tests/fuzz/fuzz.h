/* fuzz - one entry a fuzz target, run by libFuzzer (-Dfuzz=true, clang) or as a normal test over
 * its corpus.
 *
 * Owns:     nothing.
 * Threads:  one.
 * Errors:   a broken promise aborts.
 * Lifetime: the program's.
 *
 * A target also says where its first inputs come from, so that no corpus must be kept in step with
 * the tables.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's name for it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_corpus {
    const char *const *shared; /* folders below ../shared, NULL at the end; or NULL */
    size_t max_bytes;          /* larger files are left to libFuzzer */
    int copies;                /* changed ones of each input */
    /* Calls `take` with each first input. */
    void (*seeds)(void (*take)(const void *data, size_t size, void *arg), void *arg);
};
extern const struct fuzz_corpus fuzz_corpus;

#endif
