/* notify - the service manager's protocol (sd_notify): READY, STATUS, WATCHDOG, STOPPING.
 *
 * Owns:     one datagram socket. Threads: the loop's, so that the watchdog sees a loop that hangs.
 * Errors:   never fail the daemon: without $NOTIFY_SOCKET nothing is sent.
 * Lifetime: notify_open .. notify_close.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include "daemon/daemon.h"

void notify_open(struct daemon *daemon);
/* READY=1 and the first STATUS. */
void notify_ready(struct daemon *daemon);
/* Once a second: STATUS when it changed, WATCHDOG=1 in time when the self-check passes. */
void notify_tick(struct daemon *daemon);
void notify_stopping(struct daemon *daemon);
void notify_close(struct daemon *daemon);

#endif
