/* expr_impl - what the files of expr share; no one else includes it. */
#ifndef PIPELINE_EXPR_IMPL_H
#define PIPELINE_EXPR_IMPL_H

#include "pipeline/expr.h"

enum expr_type { EXPR_BOOL, EXPR_I64, EXPR_F32, EXPR_TYPE_MAX_ };

enum expr_code {
#define EXPR_CODE(symbol, sign, rule) EXPR_##symbol,
#include "pipeline/expr_codes.h"
#undef EXPR_CODE
    EXPR_CODE_MAX_
};

union expr_value {
    int64_t i;
    float f;
    uint8_t b;
};
/* Arguments come before the node that takes them. */
struct expr_node {
    enum expr_code code;
    enum expr_type type, of; /* its own, its (last) argument's */
    enum dtype dtype;        /* CAST: the one asked for */
    int n_args, args[3];
    int column;             /* in the text, from 1 */
    int k;                  /* FIELD: which; POW: exponent; SHAPE: axis; RANDOM...: which */
    union expr_value value; /* CONST */
};
/* One pass over all values of a shape: instructions, then a sum or the result. */
struct expr_instr {
    int node, to, from[3]; /* registers */
    bool is_uniform;       /* one value for all: made with the first block alone */
};
struct expr_pass {
    int root; /* node whose values are made */
    int sink; /* node that they are reduced to; -1: the result */
    int begin, end, reg;
};
struct expr {
    const struct expr_node *nodes;
    int n_nodes, n_draws, n_regs;
    const struct expr_instr *instrs;
    const struct expr_pass *passes;
    int n_passes;
    uint32_t fields;
    enum dtype dtype;
};

struct expr_function {
    const char *name;
    enum expr_code code;
    int least, most; /* arguments */
    const char *arguments, *help;
};
extern const struct expr_function expr_functions[]; /* ends with a NULL name */

/* ---- nodes: types and conversions */
struct expr_builder {
    struct expr_node *nodes;
    int n, n_draws;
    struct err *err;
};
int expr_fail(struct err *err, int code, int column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
const char *expr_sign(enum expr_code code);
const char *expr_type_name(enum expr_type type);
/* Each gives the index of the node made, or a negative error. */
int expr_node_const(struct expr_builder *b, int column, enum expr_type type,
                    union expr_value value);
int expr_node_field(struct expr_builder *b, int column, int field, enum expr_type type);
int expr_node_cast(struct expr_builder *b, int column, int arg, enum dtype dtype);
int expr_node_op(struct expr_builder *b, enum expr_code code, int column, const int *args, int n,
                 int k);

/* ---- text */
int expr_parse(const char *text, const struct element_spec *spec, unsigned flags,
               struct expr_builder *b);
enum expr_token_kind {
    EXPR_TOKEN_END,
    EXPR_TOKEN_INT,
    EXPR_TOKEN_FLOAT,
    EXPR_TOKEN_NAME,
    EXPR_TOKEN_SIGN
};
struct expr_token {
    enum expr_token_kind kind;
    const char *begin;
    int length, column;
    union expr_value value;
};
/* The token at `at`, past blanks. */
int expr_token(const char *text, const char *at, struct expr_token *ret, struct err *err);

/* ---- shapes */
bool expr_is_reduction(enum expr_code code);
/* Is the value of an argument not looked at, only its shape? */
bool expr_takes_shape(enum expr_code code);
/* fields[i]: shape of field i; ret: one a node. */
int expr_shapes(const struct expr *expr, const struct shape *const *fields, struct shape *ret,
                struct err *err);

/* ---- loops over at most EXPR_BLOCK values */
struct expr_kernel {
    void (*run)(const void *const *in, void *out, size_t n, int k);
};
/* of: the type of the arguments. */
const struct expr_kernel *expr_kernel(enum expr_code code, enum expr_type of);
const struct expr_kernel *expr_kernel_cast(enum dtype dtype, enum expr_type of);
size_t expr_type_bytes(enum expr_type type);
void expr_kernel_load(enum dtype dtype, enum expr_type type, const void *in, void *out, size_t n);
void expr_kernel_store(enum expr_type type, enum dtype dtype, const void *in, void *out, size_t n);
void expr_kernel_fill(enum expr_type type, const void *value, void *out, size_t n);

enum { EXPR_LANES = 8 };
struct expr_sum { /* of a reduction, while it goes */
    uint64_t i[EXPR_LANES];
    double d[EXPR_LANES];
    float f[EXPR_LANES];
    int64_t n;
};
void expr_sum_add(struct expr_sum *sum, enum expr_code code, enum expr_type of, const void *in,
                  size_t n);
union expr_value expr_sum_end(const struct expr_sum *sum, enum expr_code code, enum expr_type of);

#endif
