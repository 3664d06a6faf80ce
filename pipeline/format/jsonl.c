#include "pipeline/format/jsonl.h"

int jsonl_open(struct lines *lines, const struct input *in, struct err *err)
{
    return lines_open(lines, in, true, err);
}

int jsonl_read(struct lines *lines, size_t i, struct arena *arena, const struct doc **ret,
               struct err *err)
{
    const struct doc_limits limits = {
        .depth = JSONL_DEPTH_MAX, .nodes = JSONL_NODES_MAX, .bytes = LINES_BYTES_MAX};
    const char *text = NULL;
    size_t n = 0;
    struct doc *doc = NULL;
    struct err why = {0};
    int r = lines_read(lines, i, &text, &n, err);
    if (r < 0) {
        return r;
    }
    r = doc_read_json(text, n, &limits, arena, &doc, &why);
    if (r == 0 && doc->type != DOC_MAP) {
        r = err_set(&why, ERR_SCHEMA, "%s, not a map", doc_type_name(doc->type));
    }
    if (r < 0) {
        (void)input_fail(&lines->in, -1, r, err, "%.300s", why.text);
        if (err != NULL) {
            err->line = (int)lines_number(lines, i);
        }
        return r;
    }
    *ret = doc;
    return 0;
}
