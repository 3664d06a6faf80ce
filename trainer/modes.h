/* modes - what a trainer process can be: check, run, drain, predict. One row each in main.c.
 *
 * Owns:     nothing; the setup is the caller's.
 * Threads:  main.
 * Errors:   a mode that returns a negative code has sent nothing about it yet: main sends
 * child.failed. run_mode has sent child.paused itself where that is the answer, and returns 0.
 * Lifetime: the process's.
 */
#ifndef TRAINER_MODES_H
#define TRAINER_MODES_H

#include "trainer/setup.h"

int check_mode(struct setup *setup, struct err *err);   /* check.c */
int run_mode(struct setup *setup, struct err *err);     /* run.c */
int drain_mode(struct setup *setup, struct err *err);   /* drain.c: takes batches and has no model */
int predict_mode(struct setup *setup, struct err *err); /* predict.c */

/* Parts of run that drain needs. SIGTERM and SIGINT as a descriptor. */
int run_signals(int *ret_fd, struct err *err);
/* The folder of the data socket must be writable for the bind, and nothing else of it; -1: none. */
int run_socket_folder(const char *address);

/* A job or a bare model as JSON on standard input, its summary as JSON on standard output. */
int check_summary(struct err *err);

#endif
