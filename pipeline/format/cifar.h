/* cifar - the binary files of CIFAR-10 and CIFAR-100: pictures of 32 x 32 x 3 behind their labels.
 *
 * Owns:     nothing; the input is borrowed.
 * Threads:  opened, it is read-only.
 * Errors:   ERR_EMPTY, ERR_TRUNCATED (no whole number of records), ERR_VALUE (a label).
 * Lifetime: the input's.
 *
 * Source: cs.toronto.edu/~kriz/cifar.html: a record is one label (CIFAR-10: 0 to 9) or two
 * (CIFAR-100: coarse 0 to 19, fine 0 to 99), then 1,024 bytes red, green, blue.
 */
#ifndef FORMAT_CIFAR_H
#define FORMAT_CIFAR_H

#include "pipeline/format/input.h"

enum { CIFAR_SIDE = 32, CIFAR_PIXELS = 3 * CIFAR_SIDE * CIFAR_SIDE };

struct cifar {
    struct input in;
    int n_labels; /* 1: CIFAR-10; 2: CIFAR-100 */
    int64_t n;
};
/* n_labels 0: by the size, which divides by one of the two. */
int cifar_open(struct cifar *cifar, const struct input *in, int n_labels, struct err *err);
/* Rows of pixels of three channels, and n_labels labels. */
int cifar_read(const struct cifar *cifar, int64_t i, unsigned char *pixels, int *labels,
               struct err *err);

#endif
