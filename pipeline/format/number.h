/* number - decimal numbers as files have them, to the nearest binary number, whatever the locale.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   false: no number, or one outside the type. Too small ones become 0 or subnormal.
 * Lifetime: the caller's.
 *
 * [+-]digits[.digits][e[+-]digits], at least one digit, nothing around it, at most NUMBER_TEXT_MAX
 * bytes. A float32 is rounded once, from the text.
 */
#ifndef FORMAT_NUMBER_H
#define FORMAT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBER_TEXT_MAX = 1000 };

bool number_i64(const char *text, size_t n, int64_t *ret);
bool number_f64(const char *text, size_t n, double *ret);
bool number_f32(const char *text, size_t n, float *ret);
/* nan, inf, infinity with or without a sign, in any case. */
bool number_special(const char *text, size_t n, double *ret);

#endif
