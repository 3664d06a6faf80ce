#include "daemon/settings.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

static const struct opt_name settings_levels[] = {
    {"error", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARNING},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
    {NULL, 0},
};
static const struct opt_name settings_forms[] = {
    {"auto", LOG_FORM_AUTO},
    {"text", LOG_FORM_TEXT},
    {"json", LOG_FORM_JSON},
    {"journal", LOG_FORM_JOURNAL},
    {NULL, 0},
};

#define GIB       1073741824.0
#define ROW_FLAGS .flags = OPT_START_ONLY
// clang-format off
const struct opt settings_options[] = {
    OPT_STR_ROW(settings, config, NULL, "A file of `key = value` lines with these settings.", ROW_FLAGS),
    OPT_STR_ROW(settings, state_dir, NULL, "Folder of data sets, jobs and the database; default $STATE_DIRECTORY, /var/lib/millraced (root) or ~/.local/state/millrace.", ROW_FLAGS),
    OPT_STR_ROW(settings, run_dir, NULL, "Folder of the sockets; default $RUNTIME_DIRECTORY, or STATE_DIR/run when state_dir is given, /run/millrace (root) or $XDG_RUNTIME_DIR/millrace.", ROW_FLAGS),
    OPT_STR_ROW(settings, libexec_dir, NULL, "Folder of millrace-worker and millrace-trainer; default beside this program or in its build tree.", ROW_FLAGS),
    OPT_BOOL_ROW(settings, http, 1, "Serve the status endpoint.", ROW_FLAGS),
    OPT_STR_ROW(settings, http_address, "127.0.0.1", "Address of the status endpoint.", ROW_FLAGS),
    OPT_I64_ROW(settings, http_port, 0, 0, 65535, "Port of the status endpoint; 0 takes a free one and says which.", ROW_FLAGS),
    OPT_STRS_ROW(settings, http_hosts, "Host names that a request may name besides localhost and the address.", ROW_FLAGS),
    OPT_I64_ROW(settings, http_connections, 200, 1, 10000, "Greatest number of HTTP connections.", ROW_FLAGS),
    OPT_INTS_ROW(settings, allow_uids, "[]", 0, 64, 0, 4294967294.0, "Users besides root and our own that the control socket serves.", ROW_FLAGS),
    OPT_I64_ROW(settings, max_jobs, 1, 1, 64, "Jobs that train at once.", ROW_FLAGS),
    OPT_I64_ROW(settings, max_queue, 1000, 1, 100000, "Jobs that may wait.", ROW_FLAGS),
    OPT_I64_ROW(settings, max_watchers, 256, 1, 10000, "Clients that may watch jobs at once.", ROW_FLAGS),
    OPT_I64_ROW(settings, max_previews, 4, 1, 64, "Pipelines that are explained, previewed or run alone at once.", ROW_FLAGS),
    OPT_I64_ROW(settings, max_uploads, 16, 1, 1000, "Uploads at once.", ROW_FLAGS),
    OPT_I64_ROW(settings, upload_credit, 12, 1, 1024, "Chunks of an upload that may be on their way without a reply.", ROW_FLAGS),
    OPT_I64_ROW(settings, upload_keep_days, 7, 0, 3650, "Days after which the parts of a broken upload are swept.", ROW_FLAGS),
    OPT_STRS_ROW(settings, in_place_roots, "Folders below which a user may register data sets in place (`millrace dataset put --in-place`); none: nowhere.", ROW_FLAGS),
    OPT_I64_ROW(settings, max_dataset_bytes, 1024 * GIB, 1, OPT_I64_MAX, "Greatest size of a data set.", ROW_FLAGS, .unit = "bytes"),
    OPT_I64_ROW(settings, max_dataset_files, 200000, 1, 200000, "Greatest number of files of a data set.", ROW_FLAGS),
    OPT_I64_ROW(settings, quota_bytes, 0, 0, OPT_I64_MAX, "Bytes that the data sets of one user may have, the same bytes counted once; 0 = as many as go on the disk.", ROW_FLAGS, .unit = "bytes"),
    OPT_I64_ROW(settings, reserve_bytes, 33554432, 0, OPT_I64_MAX, "Space that uploads leave free for the database and checkpoints.", ROW_FLAGS, .unit = "bytes"),
    OPT_I64_ROW(settings, kept_bytes, 16 * GIB, 0, OPT_I64_MAX, "Space for what pipelines compute once of a data set (tables, indexes, caches), also for one file of it; the least recently used goes first. 0 = nothing is kept.", ROW_FLAGS, .unit = "bytes"),
    OPT_I64_ROW(settings, max_events, 10000, 100, 1000000, "Events kept for each job.", ROW_FLAGS),
    OPT_I64_ROW(settings, check_seconds, 60, 1, 3600, "Time limit of a checker, a preview or a prediction.", ROW_FLAGS, .unit = "seconds"),
    OPT_I64_ROW(settings, check_memory_bytes, 4 * GIB, 67108864, OPT_I64_MAX, "Memory limit of a checker, a preview or a prediction.", ROW_FLAGS, .unit = "bytes"),
    OPT_I64_ROW(settings, check_make_ms, 1000, 0, 3600000, "Time that the check of a job takes for what its pipeline computes once; what is not there then is made by workers, in parts.", ROW_FLAGS, .unit = "ms"),
    OPT_I64_ROW(settings, drain_seconds, 600, 1, 86400, "Longest time that a pipeline runs alone.", ROW_FLAGS, .unit = "seconds"),
    OPT_I64_ROW(settings, worker_memory_bytes, 1 * GIB, 67108864, OPT_I64_MAX, "Memory limit of a worker, besides the batches it shares.", ROW_FLAGS, .unit = "bytes"),
    OPT_I64_ROW(settings, slab_memory_bytes, 0.5 * GIB, 1048576, OPT_I64_MAX, "Greatest size of a job's batches in shared memory.", ROW_FLAGS, .unit = "bytes"),
    OPT_I64_ROW(settings, stop_seconds, 20, 1, 3600, "Time that a trainer gets to save and end.", ROW_FLAGS, .unit = "seconds"),
    OPT_I64_ROW(settings, hang_seconds, 60, 0, 86400, "A trainer that is silent and uses no processor for so long is killed; 0 = never.", ROW_FLAGS, .unit = "seconds"),
    OPT_I64_ROW(settings, retry_seconds, 1, 1, 3600, "First wait before a job paused for want of space is tried again; doubles up to a minute.", ROW_FLAGS, .unit = "seconds"),
    OPT_I64_ROW(settings, feed_credit, 1024, 1, 65536, "Elements that a client that feeds is asked for and has not sent; a batch at least.", ROW_FLAGS),
    OPT_I64_ROW(settings, feed_credit_bytes, 16777216, 1, OPT_I64_MAX, "The same in bytes; one element or batch at least.", ROW_FLAGS, .unit = "bytes"),
    OPT_I64_ROW(settings, feed_gone_seconds, 5, 0, 86400, "A job that waits for a client that is gone pauses after so long.", ROW_FLAGS, .unit = "seconds"),
    OPT_I64_ROW(settings, feed_seconds, 120, 1, 86400, "A job that waits for a client that does not answer pauses after so long.", ROW_FLAGS, .unit = "seconds"),
    OPT_BOOL_ROW(settings, sandbox, 1, "Confine checkers, workers and trainers; off is for debugging only.", ROW_FLAGS),
    OPT_ENUM_ROW(settings, log_level, LOG_LEVEL_INFO, settings_levels, "Least severity that is logged.", ROW_FLAGS),
    OPT_ENUM_ROW(settings, log_form, LOG_FORM_AUTO, settings_forms, "Form of a log line.", ROW_FLAGS),
    OPT_END_ROW,
};
// clang-format on

static const char *const settings_actions[] = {
    [SETTINGS_HELP] = "--help",
    [SETTINGS_REFERENCE] = "--reference",
    [SETTINGS_VERSION] = "--version",
    [SETTINGS_PRINT] = "--print-config",
};

/* The same sentence with another code and place. */
static int at(struct err *err, int code, const char *where)
{
    const struct err found = *err;
    return err_set_at(err, code, where, "%s", found.text);
}

static int find_action(const char *arg)
{
    for (int i = SETTINGS_HELP; i <= SETTINGS_PRINT; i++) {
        if (!strcmp(arg, settings_actions[i])) {
            return i;
        }
    }
    return SETTINGS_RUN;
}

/* "--state-dir=X" -> name "state_dir", value X; the value may be the next argument, and a boolean
 * needs none. */
static int split_flag(int argc, char **argv, int *i, struct arena *arena, const char **ret_name,
                      const char **ret_value, struct err *err)
{
    const char *arg = argv[*i];
    if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0') {
        return err_set_at(err, ERR_USAGE, arg, "a flag such as --state-dir=DIR is expected");
    }
    const char *equal = strchr(arg, '=');
    size_t n = equal != NULL ? (size_t)(equal - arg - 2) : strlen(arg + 2);
    char *name = arena_strndup(arena, arg + 2, n);
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    const struct opt *row = opt_find(settings_options, name);
    *ret_name = name;
    if (equal != NULL) {
        *ret_value = equal + 1;
    } else if (row != NULL && row->type == OPT_BOOL) {
        *ret_value = "true";
    } else if (row == NULL || *i + 1 < argc) {
        *ret_value = row == NULL ? "" : argv[++*i];
    } else {
        return err_set_at(err, ERR_USAGE, arg, "needs a value");
    }
    return 0;
}

static int read_flags(int argc, char **argv, bool only_config, struct arena *arena,
                      struct settings *ret, struct err *err)
{
    for (int i = 1; i < argc; i++) {
        const char *name = NULL;
        const char *value = NULL;
        if (find_action(argv[i]) != SETTINGS_RUN) {
            continue;
        }
        const char *arg = argv[i];
        int rc = split_flag(argc, argv, &i, arena, &name, &value, err);
        if (rc < 0) {
            return rc;
        }
        if (only_config && strcmp(name, "config") != 0) {
            continue;
        }
        rc = opt_set_text(settings_options, ret, name, value, arena, err);
        if (rc < 0) {
            return at(err, ERR_USAGE, arg);
        }
    }
    return 0;
}

static int read_environment(struct arena *arena, struct settings *ret, struct err *err)
{
    for (const struct opt *row = settings_options; row->type != OPT_END; row++) {
        char *variable = arena_printf(arena, "MILLRACED_%s", row->name);
        for (char *c = variable; *c != '\0'; c++) {
            *c = (char)toupper((unsigned char)*c);
        }
        const char *value = getenv(variable);
        if (value == NULL) {
            continue;
        }
        int rc = opt_set_text(settings_options, ret, row->name, value, arena, err);
        if (rc < 0) {
            return at(err, ERR_USAGE, variable);
        }
    }
    return 0;
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1])) {
        text[--n] = '\0';
    }
    return text;
}

static int read_line(char *line, struct arena *arena, struct settings *ret, struct err *err)
{
    char *text = trim(line);
    if (*text == '\0' || *text == '#') {
        return 0;
    }
    char *equal = strchr(text, '=');
    if (equal == NULL) {
        return err_set(err, ERR_SYNTAX, "a line is `key = value`");
    }
    *equal = '\0';
    return opt_set_text(settings_options, ret, trim(text), arena_strdup(arena, trim(equal + 1)),
                        arena, err);
}

static int read_config(const char *path, struct arena *arena, struct settings *ret, struct err *err)
{
    struct buf text;
    buf_init(&text);
    int rc = file_read(AT_FDCWD, path, 1 << 20, &text, err);
    int number = 0;
    char *next = text.data;
    while (rc >= 0 && next != NULL) {
        char *line = strsep(&next, "\n");
        number++;
        rc = read_line(line, arena, ret, err);
        if (rc < 0) {
            char where[PATH_MAX + 32];
            snprintf(where, sizeof(where), "%s:%d", path, number);
            rc = at(err, rc, where);
        }
    }
    buf_fini(&text);
    return rc < 0 ? rc : 0;
}

/* A folder that systemd gives may be a list; the first one is ours. */
static const char *from_systemd(struct arena *arena, const char *variable)
{
    const char *value = getenv(variable);
    return value == NULL || *value == '\0' ? NULL
                                           : arena_strndup(arena, value, strcspn(value, ":"));
}

static const char *below_home(struct arena *arena, const char *variable, const char *fallback)
{
    const char *base = getenv(variable);
    const char *home = getenv("HOME");
    if (base != NULL && *base == '/') {
        return arena_printf(arena, "%s/millrace", base);
    }
    return arena_printf(arena, "%s/%s/millrace", home != NULL ? home : "", fallback);
}

/* Children run in another folder. */
static const char *absolute(struct arena *arena, const char *path)
{
    char here[PATH_MAX];
    if (path[0] == '/' || getcwd(here, sizeof(here)) == NULL) {
        return path;
    }
    return arena_printf(arena, "%s/%s", here, path);
}

static void default_dirs(struct arena *arena, struct settings *ret)
{
    bool given = ret->state_dir != NULL;
    bool root = geteuid() == 0;
    if (ret->state_dir == NULL) {
        ret->state_dir = from_systemd(arena, "STATE_DIRECTORY");
    }
    if (ret->state_dir == NULL) {
        ret->state_dir =
            root ? "/var/lib/millraced" : below_home(arena, "XDG_STATE_HOME", ".local/state");
    }
    if (ret->run_dir == NULL && given) {
        ret->run_dir = arena_printf(arena, "%s/run", ret->state_dir);
    }
    if (ret->run_dir == NULL) {
        ret->run_dir = from_systemd(arena, "RUNTIME_DIRECTORY");
    }
    if (ret->run_dir == NULL) {
        ret->run_dir =
            root ? "/run/millrace" : below_home(arena, "XDG_RUNTIME_DIR", ".local/state/run");
    }
}

/* Where this program lies; process_find looks in the folders around it too. */
static void default_libexec(struct arena *arena, struct settings *ret)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (ret->libexec_dir != NULL || n <= 0) {
        return;
    }
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    ret->libexec_dir = arena_strndup(arena, self, slash == NULL ? 0 : (size_t)(slash - self));
}

int settings_read(int argc, char **argv, struct arena *arena, struct settings *ret, struct err *err)
{
    opt_defaults(settings_options, ret, arena);
    int action = SETTINGS_RUN;
    for (int i = 1; i < argc && action == SETTINGS_RUN; i++) {
        action = find_action(argv[i]);
    }
    const char *config = getenv("MILLRACED_CONFIG");
    if (config != NULL) {
        ret->config = config;
    }
    int rc = read_flags(argc, argv, true, arena, ret, err);
    if (rc >= 0 && ret->config != NULL) {
        rc = read_config(ret->config, arena, ret, err);
    }
    if (rc >= 0) {
        rc = read_environment(arena, ret, err);
    }
    if (rc >= 0) {
        rc = read_flags(argc, argv, false, arena, ret, err);
    }
    if (rc < 0) {
        return rc;
    }
    default_dirs(arena, ret);
    default_libexec(arena, ret);
    const char **const paths[] = {&ret->state_dir, &ret->run_dir, &ret->libexec_dir};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        *paths[i] = absolute(arena, *paths[i]);
    }
    return action;
}

static void print_config(const struct settings *settings, struct buf *out)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    opt_write(settings_options, settings, false, map, &arena);
    for (size_t i = 0; i < map->n; i++) {
        const struct doc *value = &map->pairs[i].value;
        buf_printf(out, "%s = ", map->pairs[i].key);
        if (value->type == DOC_STR) {
            buf_puts(out, value->str);
        } else {
            doc_write_json(value, 0, out);
        }
        buf_puts(out, "\n");
    }
    arena_fini(&arena);
}

void settings_text(enum settings_action action, const struct settings *settings, struct buf *out)
{
    switch (action) {
    case SETTINGS_HELP:
        buf_puts(out, "usage: millraced [--SETTING=VALUE ...]\n\nThe training service. Each "
                      "setting is also a line `key = value` of"
                      " the --config file\nand a variable MILLRACED_KEY; a flag wins over a "
                      "variable, a variable over the file.\n\n");
        opt_help(settings_options, out);
        buf_puts(
            out,
            "--help  This text.\n--reference  The settings as Markdown.\n--version  The version.\n"
            "--print-config  The settings in force, as a file for --config.\n");
        break;
    case SETTINGS_REFERENCE:
        buf_puts(out, "# Settings of millraced\n\n");
        opt_reference(settings_options, out);
        break;
    case SETTINGS_VERSION: buf_puts(out, "millraced " MILLRACE_VERSION "\n"); break;
    case SETTINGS_PRINT: print_config(settings, out); break;
    case SETTINGS_RUN: break;
    }
}
