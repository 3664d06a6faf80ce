/* pictures - small data sets of pictures for tests of the store, and what a job makes of them.
 *
 * Owns:     nothing. Threads: one. Errors: fail the test. Lifetime: none.
 */
#ifndef TESTS_CLIENT_PICTURES_H
#define TESTS_CLIENT_PICTURES_H

#include "tests/client/live.h"

enum { PICTURES_TENSORS = 80 };

/* An 8 x 8 picture (BMP) whose pixels follow from the seed. */
void pictures_write(const struct live *live, const char *name, unsigned seed);
/* FOLDER/{cat,dog,owl}/NN.bmp, n of each. */
void pictures_folder(const struct live *live, const char *folder, int n);
/* Runs a job over a data set; false if it failed: then ret->err says why, to be freed. */
bool pictures_train(const struct live *live, const char *dataset, char tensors[PICTURES_TENSORS],
                    struct live_result *ret);
/* Runs a command that must end well, or with that status. */
void pictures_good(const struct live *live, const char *a, const char *b, const char *c,
                   const char *d);

#endif
