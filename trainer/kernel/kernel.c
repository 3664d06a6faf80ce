#include "trainer/kernel/kernel.h"

#include "trainer/kernel/backends.h"

#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

/* Below this a step is over before two threads have met at a barrier (performance.md: 22 us at
 * best, milliseconds when busy). */
#define KERNEL_THREAD_FLOPS 2e9

static const struct kernel_backend *ref_backend(void)
{
    return &kernel_backend_ref;
}

typedef const struct kernel_backend *(*backend_fn)(void);

/* Best first. */
static const backend_fn backends[] = {
#ifdef KERNEL_DNNL
    onednn_backend,
#endif
    blas_backend,
    ref_backend,
};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))

const struct kernel_backend *kernel_at(size_t n)
{
    return n < N_BACKENDS ? backends[n]() : NULL;
}

const struct kernel_backend *kernel_find(const char *name)
{
    if (!name || strcmp(name, "auto") == 0) {
        return backends[0]();
    }
    for (size_t i = 0; i < N_BACKENDS; i++) {
        if (strcmp(name, backends[i]()->name) == 0) {
            return backends[i]();
        }
    }
    return NULL;
}

void kernel_set_threads(int threads)
{
    threads = threads < 1 ? 1 : threads > KERNEL_THREADS_MAX ? KERNEL_THREADS_MAX : threads;
    omp_set_dynamic(0);
    omp_set_num_threads(threads);
    openblas_set_num_threads(threads);
}

int kernel_threads(void)
{
    return omp_get_max_threads();
}

int kernel_choose_threads(double flops, int available)
{
    return available > 1 && flops > KERNEL_THREAD_FLOPS ? available : 1;
}

/* OpenBLAS 0.3.21's own text has the machine's core count in it, which changes nothing: only the
 * version is taken. */
static int openblas_version(const char *config)
{
    const char *space = strchr(config, ' ');
    space = space ? strchr(space + 1, ' ') : NULL;
    return space ? (int)(space - config) : (int)strlen(config);
}

size_t kernel_fingerprint(const struct kernel_backend *backend, char *buf, size_t size)
{
    char library[64] = "";
#ifdef KERNEL_DNNL
    if (strcmp(backend->name, "dnnl") == 0) {
        onednn_version(library, sizeof(library));
    }
#endif
    const char *config = openblas_get_config();
    int length = strcmp(backend->name, "ref") == 0
                     ? snprintf(buf, size, "ref/%d", KERNEL_NUMERICS_VERSION)
                     : snprintf(buf, size, "%s/%d %s%.*s %s isa=%s threads=%d", backend->name,
                                KERNEL_NUMERICS_VERSION, library, openblas_version(config), config,
                                openblas_get_corename(), blas_isa_name(), kernel_threads());
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size ? size - 1 : 0;
}
