#include "client/job_file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "client/yaml.h"
#include "proto/job.h"

static bool is_json(const char *name, const char *text)
{
    size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".json") == 0 && text[strspn(text, " \t\r\n")] == '{';
}

static int parse(struct job_file *file, struct arena *arena, struct err *err)
{
    struct doc *doc = NULL;
    bool json = is_json(file->name, file->text);
    int rc =
        json ? doc_read_json(file->text, file->size, &doc_limits_default, arena, &doc, err) : 0;
    if (rc == 0) {
        rc = yaml_read(file->text, file->size, json, arena, &doc, err);
        if (json && rc == ERR_SYNTAX) {
            rc = 0; /* what it took for JSON is: lines are missing then, nothing else */
        }
    }
    if (rc == 0 && doc->type != DOC_MAP) {
        char what[64];
        doc_describe(doc, what, sizeof(what));
        rc =
            err_set(err, ERR_INVALID,
                    "a job is a map with data, pipeline, model, compile and fit; this is %s", what);
        if (err != NULL) {
            err->line = 1;
        }
    }
    file->doc = rc == 0 ? doc : NULL;
    return rc;
}

int job_file_read(const char *name, struct arena *arena, struct job_file *ret, struct err *err)
{
    struct buf text = {0};
    bool input = strcmp(name, "-") == 0;
    *ret = (struct job_file){.name = input ? "standard input" : name};
    int rc = input ? file_read_fd(STDIN_FILENO, YAML_BYTES_MAX, &text, err)
                   : file_read(AT_FDCWD, name, YAML_BYTES_MAX, &text, err);
    if (rc >= 0) {
        ret->size = text.size;
        ret->text = arena_strndup(arena, text.data != NULL ? text.data : "", text.size);
        rc = parse(ret, arena, err);
    }
    buf_fini(&text);
    return rc < 0 ? rc : 0;
}

/* The child of node that `*rest` begins with; *rest moves behind it. NULL: an index that is not
 * there, or no such list. */
static struct doc *step_into(struct doc *node, const char **rest, struct arena *arena)
{
    const char *at = *rest;
    if (*at == '[') {
        size_t n = strcspn(at, "]");
        int64_t index = -1;
        bool good = at[n] == ']' && doc_parse_int(arena_strndup(arena, at + 1, n - 1), &index);
        *rest = at + n + (at[n] == ']');
        return good && node->type == DOC_LIST && index >= 0 && (size_t)index < node->n
                   ? &node->items[index]
                   : NULL;
    }
    at += *at == '.';
    size_t n = strcspn(at, ".[");
    const char *key = arena_strndup(arena, at, n);
    *rest = at + n;
    if (n == 0 || (node->type != DOC_MAP && node->type != DOC_NULL)) {
        return NULL;
    }
    if (node->type == DOC_NULL) {
        doc_set_map(node);
    }
    for (size_t i = 0; i < node->n; i++) {
        if (strcmp(node->pairs[i].key, key) == 0) {
            return &node->pairs[i].value;
        }
    }
    return doc_put(node, arena, key);
}

int job_file_set(struct job_file *file, const char *path, const char *value, struct arena *arena,
                 struct err *err)
{
    struct doc *node = file->doc;
    struct doc *json = NULL;
    for (const char *rest = path; *rest != '\0' && node != NULL;) {
        node = step_into(node, &rest, arena);
    }
    if (node == NULL || node == file->doc) {
        return err_set(err, ERR_USAGE, "--set %s: the job has no such place", path);
    }
    uint32_t line = node->line;
    if (doc_read_json(value, strlen(value), &doc_limits_default, arena, &json, NULL) >= 0) {
        doc_copy(node, arena, json);
    } else {
        doc_set_str(node, arena, value);
    }
    node->line = line;
    return 0;
}

int job_file_line(const struct job_file *file, const char *path)
{
    char part[256];
    size_t n = strlen(path);
    if (file->doc == NULL || n >= sizeof(part)) {
        return 0;
    }
    memcpy(part, path, n + 1);
    while (n > 0) {
        const struct doc *node = doc_find(file->doc, part);
        if (node != NULL && node->line > 0) { /* --set puts in what stands in no line */
            return (int)node->line;
        }
        n--;
        while (n > 0 && part[n] != '.' && part[n] != '[') {
            n--;
        }
        part[n] = '\0';
    }
    return 0;
}

bool job_file_holds(const struct job_file *file, const char *path)
{
    char part[64];
    size_t n = strcspn(path, ".[");
    if (n >= sizeof(part)) {
        return false;
    }
    memcpy(part, path, n);
    part[n] = '\0';
    return job_file_line(file, path) > 0 || opt_find(job_options, part) != NULL;
}

static void show_line(const struct job_file *file, int line, struct buf *out)
{
    const char *begin = file->text;
    const char *end = file->text + file->size;
    for (int i = 1; i < line && begin != NULL; i++) {
        begin = memchr(begin, '\n', (size_t)(end - begin));
        begin = begin != NULL ? begin + 1 : NULL;
    }
    if (begin == NULL || begin >= end) {
        return;
    }
    const char *stop = memchr(begin, '\n', (size_t)(end - begin));
    size_t n = (size_t)((stop != NULL ? stop : end) - begin);
    n = n > 0 && begin[n - 1] == '\r' ? n - 1 : n;
    buf_printf(out, "%6d | ", line);
    for (size_t i = 0; i < n && i < 200;
         i++) { /* what a file holds may not move a terminal's cursor */
        unsigned char c = (unsigned char)begin[i];
        buf_printf(out, "%c", c == '\t' || c >= ' ' ? c : '?');
    }
    buf_puts(out, n > 200 ? "...\n" : "\n");
}

void job_file_complain(const struct job_file *file, const struct err *err, const char *bold,
                       const char *plain, struct buf *out)
{
    int line = err->path[0] != '\0' ? job_file_line(file, err->path) : err->line;
    buf_printf(out, "%s%s", bold, file->name);
    if (line > 0) {
        buf_printf(out, ":%d", line);
    }
    buf_printf(out, ":%s ", plain);
    if (err->path[0] != '\0') {
        buf_printf(out, "%s: ", err->path);
    }
    buf_printf(out, "%s\n", err->text);
    if (line > 0 && file->text != NULL) {
        show_line(file, line, out);
    }
}
