/* hdf5_driver - lets libhdf5 read through an input, and through nothing else.
 *
 * Owns:     nothing: list and driver are the caller's to close.
 * Threads:  libhdf5's.
 * Errors:   negative ids, as libhdf5 has them.
 * Lifetime: the input must outlive the file.
 */
#ifndef FORMAT_HDF5_DRIVER_H
#define FORMAT_HDF5_DRIVER_H

#include <hdf5.h>

#include "pipeline/format/input.h"

/* A file access list that reads `in`. The driver is closed (H5FDunregister) behind the file, not in
 * front of it: H5Fclose looks into the driver after it gave its reference back. */
hid_t hdf5_driver_list(const struct input *in, hid_t *ret_driver);

#endif
