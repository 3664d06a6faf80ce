/* csv: any bytes as a table. What opens gives every row alike at any time. */
#include <string.h>

#include "base/hash.h"
#include "pipeline/format/csv.h"
#include "tests/fuzz/fuzz.h"

static uint64_t hash_row(struct csv *csv, size_t row)
{
    const struct csv_value *values = NULL;
    struct err err = {0};
    size_t n = 0;
    uint64_t hash = 0;
    const struct csv_column *columns = csv_columns(csv, &n);
    if (csv_row(csv, row, &values, &err) < 0) {
        BUG("row %zu: %s", row, err.text);
    }
    for (size_t c = 0; c < n; c++) {
        BUG_ON(columns[c].type == CSV_AUTO);
        hash = hash_fast(values[c].text, values[c].n, hash);
        hash = hash_fast(&values[c].i, 8, hash);
        hash = hash_fast(&values[c].f, 8, hash);
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int has_header = 0; has_header < 2; has_header++) {
        const struct csv_options options = {
            .has_header = has_header != 0, .takes_missing = true, .takes_all = true};
        struct csv *csv = NULL;
        struct input in;
        struct err err = {0};
        input_memory(&in, data, size, "x");
        int r = csv_open(&in, &options, &csv, &err);
        BUG_ON(r > 0 || (r < 0 && (r != err.code || err.text[0] == '\0')));
        const size_t n = r == 0 ? csv_rows(csv) : 0;
        const uint64_t first = n > 0 ? hash_row(csv, 0) : 0;
        for (size_t i = 0; i < n; i++) {
            (void)hash_row(csv, i);
        }
        BUG_ON(n > 0 && hash_row(csv, 0) != first);
        csv_close(csv);
    }
    return 0;
}

static const char *const shared[] = {"hostile/csv", NULL};
const struct fuzz_corpus fuzz_corpus = {.shared = shared, .max_bytes = 1 << 17, .copies = 200};
