/* predict - runs the trained model of a job on input files or on rows of a data set, in a sandboxed
 * child.
 *
 * Owns:     a prediction frees itself after its answer. Threads: the loop's.
 * Errors:   answered; ERR_NOT_FOUND without a model. Lifetime: the request's.
 */
#ifndef DAEMON_PREDICT_H
#define DAEMON_PREDICT_H

#include "daemon/control.h"

control_fn predict_on_predict;

#endif
