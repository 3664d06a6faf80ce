/* Numbers as texts. The C locale object is glibc's constant one: newlocale("C") allocates nothing.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/doc.h"

bool doc_parse_int(const char *text, int64_t *ret)
{
    const char *p = text;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') {
        p++;
    }
    if (*p == '\0') {
        return false;
    }
    int64_t value = 0; /* kept negative: the range below zero is one larger */
    for (; *p; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *p - '0', &value)) {
            return false;
        }
    }
    if (!negative && value == INT64_MIN) {
        return false;
    }
    *ret = negative ? value : -value;
    return true;
}

bool doc_parse_float(const char *text, double *ret)
{
    /* strtod takes blanks, hexadecimal, "inf" and "nan(...)" too: only decimal digits are let
     * through. */
    size_t n = strspn(text, "0123456789+-.eE");
    if (n == 0 || text[n] != '\0') {
        return false;
    }
    char *end = NULL;
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double value = strtod_l(text, &end, c_locale);
    freelocale(c_locale);
    if (end == text || *end != '\0' || !isfinite(value)) {
        return false;
    }
    *ret = value;
    return true;
}

static void format_finite(double f, char *buf, size_t size)
{
    int precision = fabs(f) < 1e-290 ? 1 : 15; /* subnormal numbers have fewer digits */
    double back = 0.0;
    do {
        (void)snprintf(buf, size, "%.*g", precision, f);
        precision++;
    } while (precision <= 17 &&
             (!doc_parse_float(buf, &back) || memcmp(&back, &f, sizeof(f)) != 0));
}

void doc_format_float(double f, char *buf, size_t size)
{
    char text[40];
    if (isnan(f)) {
        (void)snprintf(buf, size, "NaN");
        return;
    }
    if (isinf(f)) {
        (void)snprintf(buf, size, "%sInfinity", f < 0 ? "-" : "");
        return;
    }
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t old = uselocale(c_locale);
    format_finite(f, text, sizeof(text));
    uselocale(old);
    freelocale(c_locale);
    (void)snprintf(buf, size, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}
