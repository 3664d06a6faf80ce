/* shards - packs the files of a data set into tar files that any reader of WebDataset takes, as a
 * version of their own.
 *
 * Owns:     its sessions (daemon/steps.h); a shard under way lies in uploads/ till it is whole.
 * Threads:  the loop's; packing is steps on the store thread.
 * Errors:   ERR_CORRUPT, ERR_DATA (a file of the data set is damaged, or was changed in place),
 * ERR_NO_SPACE, ERR_LIMIT. Lifetime: none.
 *
 * The manifest goes on listing the files, each with its shard and the place of its bytes there:
 * that is the index, so nothing is searched and nobody who reads the data set sees a difference.
 */
#ifndef DAEMON_SHARDS_H
#define DAEMON_SHARDS_H

#include "daemon/control.h"

control_fn shards_on_pack;

#endif
