/* feeding - waits for elements that a client feeds: tells the daemon what is wanted, and the
 * trainer that waiting is not hanging.
 *
 * Owns:     its list and arena, given back by feeding_fini.
 * Threads:  the main thread.
 * Errors:   what child.have says; ERR_GONE when the daemon or the trainer is gone or asks for the
 * end. Lifetime: the process's.
 */
#ifndef WORKERS_FEEDING_H
#define WORKERS_FEEDING_H

#include "base/arena.h"
#include "pipeline/asks.h"

struct feeding {
    struct asks asks;
    struct arena arena; /* of a message */
    int fd;             /* to the daemon */
    int64_t seq;
    int64_t waited_us; /* all of it so far */
    /* Called twice a second while it waits, and may end it. NULL: nobody to tell. */
    int (*beat)(void *context, struct err *err);
    void *context;
};

void feeding_init(struct feeding *feeding, int fd);
void feeding_fini(struct feeding *feeding); /* takes NULL */

#endif
