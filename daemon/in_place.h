/* in_place - data sets whose files are not copied: a folder is walked, its files are hashed and
 * listed with size, time and inode (proto/place.h).
 *
 * Owns:     its sessions (daemon/steps.h). Nothing is ever written into a user's folder.
 * Threads:  the loop's; walking and reading are steps on the store thread.
 * Errors:   ERR_DENIED (the setting in_place_roots; the rights of the user who asks), ERR_INVALID
 * (links), ERR_LIMIT. Lifetime: none.
 *
 * The daemon may read more than the user who asks: every folder on the way and every file must be
 * readable for that user by its owner's or by everybody's rights.
 */
#ifndef DAEMON_IN_PLACE_H
#define DAEMON_IN_PLACE_H

#include "daemon/control.h"

/* Opens a folder that lies below one of in_place_roots. */
int in_place_open(const struct daemon *daemon, const char *path, int *ret_fd, struct err *err);

control_fn in_place_on_place;

#endif
