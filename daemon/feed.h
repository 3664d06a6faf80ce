/* feed - data sets that a client makes while jobs read them: who feeds what, who waits for what,
 * and the spool between them.
 *
 * Owns:     struct feeds owns the feeds, their open epochs and the wants of workers.
 * Threads:  the loop's; feed_spool.c has the store thread's half.
 * Errors:   requests are answered; a client that is gone or silent pauses the jobs that wait for it
 * (ERR_FEED), and its coming back resumes them. Lifetime: feed_open .. feed_close.
 *
 * Each (epoch, index) is asked for once in the life of a spool, but what was not acknowledged when
 * a client or the daemon died. At most `credit` elements and feed_credit_bytes are asked for and
 * not stored, so neither side holds more.
 */
#ifndef DAEMON_FEED_H
#define DAEMON_FEED_H

#include "daemon/control.h"
#include "daemon/dataset.h"

struct feeds;
struct process;

int feed_open(struct daemon *daemon,
              struct err *err); /* reads the rows; before the store has work */
void feed_close(struct daemon *daemon);
/* Once a second: tells clients how it goes, pauses and resumes jobs. */
void feed_tick(struct daemon *daemon);
/* A child asks; it is answered with child.have, or killed if it asks for what cannot be. */
void feed_child_wants(struct process *process, const struct msg_child_want *want);
void feed_child_gone(struct process *process);
/* Bytes of a user's feeds on the disk, for quota_bytes. */
int64_t feed_bytes(const struct daemon *daemon, int64_t uid);
/* The data set of a feed is being removed, or a feed that has none yet: true if there was one. */
bool feed_remove(struct daemon *daemon, const char *name);
bool feed_is_named(const struct daemon *daemon, const char *name);
/* {client, have, wanted, bytes} of a data set that is one. */
void feed_write(const struct daemon *daemon, const char *name, struct doc *map,
                struct arena *arena);

control_fn feed_on_open, feed_on_put, feed_on_bad, feed_on_end;

#endif
