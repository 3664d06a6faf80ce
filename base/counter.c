#include "base/counter.h"

#include <stdio.h>
#include <string.h>

void counter_write(const struct counter_desc *table, int n, const int64_t *values, struct doc *map,
                   struct arena *arena)
{
    if (map->type != DOC_MAP) {
        doc_set_map(map);
    }
    for (int i = 0; i < n; i++) {
        doc_put_int(map, arena, table[i].name, values[i]);
    }
}

/* OpenMetrics wants the unit as the end of the name and _total behind it. */
void counter_openmetrics(const struct counter_desc *table, int n, const int64_t *values,
                         const char *labels, struct buf *out)
{
    for (int i = 0; i < n; i++) {
        const struct counter_desc *desc = &table[i];
        const char *unit = desc->unit ? desc->unit : "";
        size_t n_name = strlen(desc->name), n_unit = strlen(unit);
        bool has_unit =
            n_unit == 0 || (n_name > n_unit && strcmp(desc->name + n_name - n_unit, unit) == 0);
        char name[192];
        (void)snprintf(name, sizeof(name), "millrace_%s%s%s", desc->name, has_unit ? "" : "_",
                       has_unit ? "" : unit);
        bool is_total = desc->kind == COUNTER_TOTAL;
        buf_printf(out, "# TYPE %s %s\n", name, is_total ? "counter" : "gauge");
        if (n_unit > 0) {
            buf_printf(out, "# UNIT %s %s\n", name, unit);
        }
        buf_printf(out, "# HELP %s %s\n", name, desc->help);
        bool has_labels = labels && labels[0];
        buf_printf(out, "%s%s%s%s%s %lld\n", name, is_total ? "_total" : "", has_labels ? "{" : "",
                   has_labels ? labels : "", has_labels ? "}" : "", (long long)values[i]);
    }
}
