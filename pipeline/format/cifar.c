#include "pipeline/format/cifar.h"

int cifar_open(struct cifar *cifar, const struct input *in, int n_labels, struct err *err)
{
    BUG_ON(n_labels < 0 || n_labels > 2);
    if (n_labels == 0) {
        n_labels = in->size % (1 + CIFAR_PIXELS) != 0 && in->size % (2 + CIFAR_PIXELS) == 0 ? 2 : 1;
    }
    const int64_t record = n_labels + CIFAR_PIXELS;
    *cifar = (struct cifar){.in = *in, .n_labels = n_labels, .n = in->size / record};
    if (in->size == 0) {
        return input_fail(in, -1, ERR_EMPTY, err, "has no bytes");
    }
    return in->size % record == 0 ? 0
                                  : input_fail(in, cifar->n * record, ERR_TRUNCATED, err,
                                               "%lld bytes are no whole number of records of %lld",
                                               (long long)in->size, (long long)record);
}

int cifar_read(const struct cifar *cifar, int64_t i, unsigned char *pixels, int *labels,
               struct err *err)
{
    static const int most[3][2] = {{0, 0}, {9, 0}, {19, 99}};
    enum { PLANE = CIFAR_SIDE * CIFAR_SIDE };
    unsigned char copy[2 + CIFAR_PIXELS];
    const int n = cifar->n_labels;
    const int64_t at = i * (n + CIFAR_PIXELS);
    BUG_ON(i < 0 || i >= cifar->n);
    const unsigned char *record = input_look(&cifar->in, at, (size_t)(n + CIFAR_PIXELS));
    int r = 0;
    if (record == NULL) {
        r = input_read(&cifar->in, at, copy, (size_t)(n + CIFAR_PIXELS), err);
        record = copy;
    }
    for (int k = 0; r == 0 && k < n; k++) {
        labels[k] = record[k];
        if (labels[k] > most[n][k]) {
            r = input_fail(&cifar->in, at + k, ERR_VALUE, err,
                           "record %lld: label %d, more than %d", (long long)i, labels[k],
                           most[n][k]);
        }
    }
    for (int p = 0; r == 0 && p < PLANE; p++) {
        for (int c = 0; c < 3; c++) {
            pixels[3 * p + c] = record[n + c * PLANE + p];
        }
    }
    return r;
}
