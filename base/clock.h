/* clock - monotonic time in microseconds; wall time only for display. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_us(void);      /* CLOCK_MONOTONIC */
int64_t clock_wall_us(void); /* CLOCK_REALTIME, for display and records only */
/* "2026-11-24T16:05:08Z" */
void clock_format(int64_t wall_us, char *buf, size_t size);

#endif
