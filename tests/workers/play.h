/* play - daemon and trainer as a test plays them around real workers.
 *
 * Owns:     the folder, the slabs, the sockets; workers left over are killed by play_worker_fini.
 * Threads:  the test's; ZeroMQ has its own.
 * Errors:   whatever goes wrong fails the test.
 * Lifetime: a test.
 */
#ifndef TESTS_WORKERS_PLAY_H
#define TESTS_WORKERS_PLAY_H

#include <sys/types.h>

#include "proto/child.h"
#include "proto/slab.h"
#include "proto/sock.h"
#include "tests/test.h"

enum { PLAY_WAIT_MS = 30000 };

struct play {
    char dir[TEST_PATH], blobs[TEST_PATH], address[TEST_PATH];
    const char *program;  /* below the build folder */
    const char *manifest; /* JSON, of data set "digits" */
    bool sandbox_off;
    int64_t memory_bytes; /* of a worker; 0 = no limit */
    struct arena arena;
    struct err err;
    int slab_fd;
    struct slab slab;
    struct sock_context *context;
    struct sock *router;
};
struct play_worker {
    struct play *play;
    int64_t number;
    pid_t pid;
    int control; /* the daemon's end */
    struct sock_peer peer;
};

void play_init(struct play *play, const char *program, int64_t n_slabs, size_t slab_bytes);
void play_fini(struct play *play);
/* A file in the folder, open for reading and writing. */
int play_file(struct play *play, const char *name, const void *data, size_t size);

void play_spawn(struct play *play, struct play_worker *ret, int64_t number);
/* mode "check" or "run"; job: the job file as JSON. with_slab: the descriptor goes with it. */
void play_start(struct play_worker *worker, const char *mode, const char *job, bool with_slab);
/* Until it is ready: takes its hello and keeps the peer. */
void play_ready(struct play_worker *worker, const char **ret_pipeline);
void play_ask(struct play_worker *worker, const struct msg_chunk_make *make);
const void *play_from(struct play_worker *worker, enum msg_id type);
/* The next message at the trainer, of any worker. False when nothing came in timeout_ms. */
bool play_receive(struct play *play, int timeout_ms, struct sock_peer *peer, struct msg *msg,
                  struct sock_frame *frames, int *n_frames);
/* The next message of this worker, which must be of that type; fails when the worker dies first. */
const void *play_at_trainer(struct play_worker *worker, enum msg_id type, struct sock_frame *frames,
                            int *n_frames);
bool play_is_dead(struct play_worker *worker);
/* Exit status, or the signal as a negative number. */
int play_wait(struct play_worker *worker);
void play_worker_fini(struct play_worker *worker);

#endif
