#include "pipeline/format/number.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool number_i64(const char *text, size_t n, int64_t *ret)
{
    const char *p = text, *end = text + n;
    const bool is_negative = p < end && *p == '-';
    int64_t value = 0; /* kept negative: the range below zero is one larger */
    if (p < end && (*p == '-' || *p == '+')) {
        p++;
    }
    if (p == end) {
        return false;
    }
    for (; p < end; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *p - '0', &value)) {
            return false;
        }
    }
    if (!is_negative && value == INT64_MIN) {
        return false;
    }
    *ret = is_negative ? value : -value;
    return true;
}

struct parts {
    bool is_negative, is_exact; /* the mantissa holds all digits */
    uint64_t mantissa;
    int exponent; /* of ten */
};

static bool take_exponent(const char **p, const char *end, int *ret)
{
    const bool is_negative = *p < end && **p == '-';
    int exponent = 0;
    if (*p < end && (**p == '-' || **p == '+')) {
        ++*p;
    }
    const char *begin = *p;
    for (; *p < end && **p >= '0' && **p <= '9'; ++*p) {
        exponent = exponent < 100000 ? exponent * 10 + (**p - '0') : exponent;
    }
    *ret += is_negative ? -exponent : exponent;
    return *p > begin;
}

static bool split(const char *text, size_t n, struct parts *ret)
{
    const char *p = text, *end = text + n;
    int n_digits = 0;
    bool has_point = false;
    *ret = (struct parts){.is_exact = true, .is_negative = n > 0 && *p == '-'};
    if (n > NUMBER_TEXT_MAX) {
        return false;
    }
    if (p < end && (*p == '-' || *p == '+')) {
        p++;
    }
    for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !has_point)); p++) {
        if (*p == '.') {
            has_point = true;
            continue;
        }
        n_digits++;
        if (ret->mantissa > (UINT64_MAX - 9) / 10) {
            ret->is_exact = false;
        } else {
            ret->mantissa = ret->mantissa * 10 + (uint64_t)(*p - '0');
            ret->exponent -= has_point;
        }
    }
    if (n_digits == 0) {
        return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        return take_exponent(&p, end, &ret->exponent) && p == end;
    }
    return p == end;
}

/* glibc's own, which rounds right, in the C locale (a constant: nothing is allocated). */
static double slow(const char *text, size_t n, bool is_single)
{
    char copy[NUMBER_TEXT_MAX + 1];
    memcpy(copy, text, n);
    copy[n] = '\0';
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const double value = is_single ? (double)strtof_l(copy, NULL, c) : strtod_l(copy, NULL, c);
    freelocale(c);
    return value;
}

/* A mantissa and a power of ten that both are exact leave one rounding: the right one (Clinger). */
bool number_f64(const char *text, size_t n, double *ret)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct parts parts;
    if (!split(text, n, &parts)) {
        return false;
    }
    const int e = parts.exponent;
    if (parts.is_exact && parts.mantissa <= (uint64_t)1 << 53 && e >= -22 && e <= 22) {
        const double m = (double)parts.mantissa, value = e < 0 ? m / tens[-e] : m * tens[e];
        *ret = parts.is_negative ? -value : value;
        return true;
    }
    *ret = slow(text, n, false);
    return isfinite(*ret);
}

bool number_f32(const char *text, size_t n, float *ret)
{
    static const float tens[] = {1e0F, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F, 1e6F, 1e7F, 1e8F, 1e9F, 1e10F};
    struct parts parts;
    if (!split(text, n, &parts)) {
        return false;
    }
    const int e = parts.exponent;
    if (parts.is_exact && parts.mantissa <= 1u << 24 && e >= -10 && e <= 10) {
        const float m = (float)parts.mantissa, value = e < 0 ? m / tens[-e] : m * tens[e];
        *ret = parts.is_negative ? -value : value;
        return true;
    }
    *ret = (float)slow(text, n, true);
    return isfinite(*ret);
}

bool number_special(const char *text, size_t n, double *ret)
{
    static const struct {
        const char *name;
        double value;
    } words[] = {{"nan", (double)NAN}, {"inf", (double)INFINITY}, {"infinity", (double)INFINITY}};
    const bool is_negative = n > 0 && text[0] == '-';
    if (n > 0 && (text[0] == '-' || text[0] == '+')) {
        text++;
        n--;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].name) == n && strncasecmp(words[i].name, text, n) == 0) {
            *ret = is_negative ? -words[i].value : words[i].value;
            return true;
        }
    }
    return false;
}
