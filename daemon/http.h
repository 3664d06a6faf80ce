/* http - the status endpoint: read-only JSON and one page, on the loopback by default.
 *
 * Owns:     the HTTP server, driven by the loop (no threads).
 * Threads:  the loop's.
 * Errors:   ERR_IO when the address cannot be had; requests are refused with a status code and a
 * sentence. Lifetime: http_open .. http_close.
 */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include "daemon/daemon.h"

int http_open(struct daemon *daemon, struct err *err);
void http_close(struct daemon *daemon);

#endif
