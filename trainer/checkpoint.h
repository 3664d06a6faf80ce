/* checkpoint - `ckpt-<global step>.keras` in the job's folder: saved from a copy by a thread of its
 * own, found again at start.
 *
 * Owns:     the copy of all tensors, the writer thread.
 * Threads:  every function is called by the fit loop; the writer sees only the copy and the state
 * made for it. Errors:   a failed save is kept and given by the next call (ERR_NO_SPACE, ERR_IO,
 * ERR_NOT_FINITE); the last good file stays. Lifetime: start .. stop, which waits for a save under
 * way.
 *
 * Law 5 is keras_file_save's. A save costs the loop one memcpy; saves asked for by steps or seconds
 * are spaced so that all copying and writing together stays below 1 % of the time.
 */
#ifndef TRAINER_CHECKPOINT_H
#define TRAINER_CHECKPOINT_H

#include <pthread.h>

#include "trainer/control.h"
#include "trainer/keras/keras_file.h"
#include "trainer/model.h"
#include "trainer/state.h"

#define CHECKPOINT_FINAL "model.keras"

/* Why a save is made, and under which names it stands beside its own. */
struct checkpoint_why {
    const char *reason;
    bool final; /* also as CHECKPOINT_FINAL */
    const char *const *also;
    int n_also;
};
enum { CHECKPOINT_ALSO_MAX = 16 };

struct checkpoint {
    const struct model *model;
    struct control *control;
    int dir_fd;
    int64_t keep;
    double share; /* of the time that saves by steps or seconds may cost */
    struct doc *config;
    const struct model_tensor *source;
    int n;
    struct model_tensor *tensors; /* of the copy */
    struct keras_tensor *named;
    unsigned char *copy;
    size_t copy_bytes;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, busy, quit;
    /* of the save under way; the writer's while busy */
    struct arena arena;
    struct state state;
    const char *reason;
    bool final;
    const char *also[CHECKPOINT_ALSO_MAX];
    int n_also;
    struct err err;    /* of the last save that failed, under lock */
    int64_t cost_us;   /* of the last save */
    int64_t saved_us;  /* when the last save began */
    int64_t last_step; /* global step of the last save begun, -1 */
    int64_t n_saved;
    int64_t durable_step; /* global step of the newest file of this run, -1; under lock */
};

int checkpoint_start(struct checkpoint *checkpoint, const struct model *model,
                     struct control *control, int dir_fd, int64_t keep, double share,
                     struct arena *arena, struct err *err);
/* Takes the copy and hands it to the writer; waits for a save that is under way. */
int checkpoint_save(struct checkpoint *checkpoint, const struct state *state,
                    const struct checkpoint_why *why, struct err *err);
bool checkpoint_busy(struct checkpoint *checkpoint);
/* True when the last save is long enough ago that one more keeps within the share. */
bool checkpoint_affordable(struct checkpoint *checkpoint, int64_t now_us);
/* Global step of the newest file that this run has written, -1 without one. */
int64_t checkpoint_durable_step(struct checkpoint *checkpoint);
/* 0, or the error of a failed save (once). */
int checkpoint_poll(struct checkpoint *checkpoint, struct err *err);
/* Waits until everything is written. */
int checkpoint_wait(struct checkpoint *checkpoint, struct err *err);
void checkpoint_stop(struct checkpoint *checkpoint);

#endif
