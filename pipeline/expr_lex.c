/* expr_lex - the words of an expression. */
#include <ctype.h>
#include <string.h>

#include "base/doc.h"
#include "pipeline/expr_impl.h"

enum { NUMBER_MAX = 64 };

/* Longer ones first. */
static const char *const signs[] = {"&&", "||", "==", "!=", "<=", ">=", "**", "//", "+", "-", "*",
                                    "/",  "%",  "<",  ">",  "!",  "?",  ":",  "(",  ")", ",", NULL};

static bool is_word(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* 12, 1.5, .5, 2e-3 */
static int number_length(const char *at, bool *ret_is_float)
{
    int n = 0;
    *ret_is_float = false;
    while (is_digit(at[n]) || (at[n] == '.' && !*ret_is_float)) {
        *ret_is_float = *ret_is_float || at[n] == '.';
        n++;
    }
    if (at[n] == 'e' || at[n] == 'E') {
        const int sign = at[n + 1] == '-' || at[n + 1] == '+';
        if (is_digit(at[n + 1 + sign])) {
            *ret_is_float = true;
            n += 1 + sign;
            while (is_digit(at[n])) {
                n++;
            }
        }
    }
    return n;
}

static int read_number(struct expr_token *token, struct err *err)
{
    char text[NUMBER_MAX];
    bool is_float;
    double f;
    const int n = number_length(token->begin, &is_float);
    token->length = n;
    if (n >= NUMBER_MAX) {
        return expr_fail(err, ERR_SYNTAX, token->column, "a number of %d characters; at most %d", n,
                         NUMBER_MAX - 1);
    }
    memcpy(text, token->begin, (size_t)n);
    text[n] = '\0';
    if (is_word(token->begin[n]) || token->begin[n] == '.') {
        return expr_fail(err, ERR_SYNTAX, token->column + n, "'%c' behind the number %s",
                         token->begin[n], text);
    }
    if (!is_float) {
        token->kind = EXPR_TOKEN_INT;
        return doc_parse_int(text, &token->value.i)
                   ? 0
                   : expr_fail(err, ERR_RANGE, token->column,
                               "%s is above int64's greatest, 9223372036854775807", text);
    }
    token->kind = EXPR_TOKEN_FLOAT;
    if (!doc_parse_float(text, &f)) {
        return expr_fail(err, ERR_SYNTAX, token->column, "'%s' is no number", text);
    }
    token->value.f = (float)f;
    return token->value.f <= 3.4028234663852886e38f
               ? 0
               : expr_fail(err, ERR_RANGE, token->column, "%s is above float32's greatest, 3.4e38",
                           text);
}

int expr_token(const char *text, const char *at, struct expr_token *ret, struct err *err)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') {
        at++;
    }
    *ret = (struct expr_token){.begin = at, .column = (int)(at - text) + 1};
    if (*at == '\0') {
        return 0;
    }
    if (is_digit(*at) || (*at == '.' && is_digit(at[1]))) {
        return read_number(ret, err);
    }
    if (is_word(*at)) {
        ret->kind = EXPR_TOKEN_NAME;
        while (is_word(at[ret->length])) {
            ret->length++;
        }
        return 0;
    }
    ret->kind = EXPR_TOKEN_SIGN;
    for (const char *const *sign = signs; *sign != NULL; sign++) {
        if (strncmp(at, *sign, strlen(*sign)) == 0) {
            ret->length = (int)strlen(*sign);
            return 0;
        }
    }
    if (isprint((unsigned char)*at)) {
        return expr_fail(err, ERR_SYNTAX, ret->column, "'%c' has no meaning here%s", *at,
                         strchr("&|=", *at) != NULL ? "; and, or, equal are && || ==" : "");
    }
    return expr_fail(err, ERR_SYNTAX, ret->column, "byte 0x%02x has no meaning here",
                     (unsigned)(unsigned char)*at);
}
