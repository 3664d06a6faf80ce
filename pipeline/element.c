#include "pipeline/element.h"

#include <string.h>

const char *element_kind_name(enum element_kind kind)
{
    static const char *const names[] = {
#define KIND_ROW(symbol, name) [ELEMENT_##symbol] = (name),
#include "proto/element_kinds.h"
#undef KIND_ROW
    };
    BUG_ON((unsigned)kind >= ELEMENT_KIND_MAX_);
    return names[kind];
}

int element_find(const struct element_spec *spec, const char *name)
{
    for (int i = 0; i < spec->n; i++) {
        if (strcmp(spec->fields[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

int element_input(const struct element_spec *spec)
{
    const int i = element_find(spec, "x");
    return i < 0 ? 0 : i;
}

void element_add(struct element_spec *spec, const struct element_field *field)
{
    BUG_ON(spec->n == ELEMENT_FIELDS_MAX);
    spec->fields[spec->n++] = *field;
}
