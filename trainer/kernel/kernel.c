#include "trainer/kernel/kernel.h"

#include "trainer/kernel/backends.h"

#include <stdio.h>
#include <string.h>

/* Below this a step is over before two threads have met at a barrier (performance.md: 22 us at
 * best, milliseconds when busy). */
#define KERNEL_THREAD_FLOPS 2e9

static const struct kernel_backend *const backends[] = {
#ifdef KERNEL_DNNL
    &kernel_backend_dnnl,
#endif

    &kernel_backend_ref,
};

const struct kernel_backend *kernel_at(size_t n)
{
    return n < sizeof(backends) / sizeof(backends[0]) ? backends[n] : NULL;
}

const struct kernel_backend *kernel_find(const char *name)
{
    if (!name || strcmp(name, "auto") == 0) {
        return backends[0];
    }
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strcmp(name, backends[i]->name) == 0) {
            return backends[i];
        }
    }
    return NULL;
}

void kernel_set_threads(int threads)
{
    (void)threads;
}

int kernel_threads(void)
{
    return 1;
}

int kernel_choose_threads(double flops, int available)
{
    return available > 1 && flops > KERNEL_THREAD_FLOPS ? available : 1;
}

size_t kernel_fingerprint(const struct kernel_backend *backend, char *buf, size_t size)
{
    int length = snprintf(buf, size, "%s/%d", backend->name, KERNEL_NUMERICS_VERSION);
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size ? size - 1 : 0;
}
