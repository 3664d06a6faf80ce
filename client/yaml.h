/* yaml - YAML and JSON texts as documents with a line at every node.
 *
 * Owns:     the arena given.
 * Threads:  none shared.
 * Errors:   ERR_SYNTAX, ERR_LIMIT, ERR_UNSUPPORTED, with err->line. Whatever libfyaml says is one
 * sentence in err->text. Lifetime: the arena's.
 *
 * YAML 1.2, its core schema, made strict where a reader could take a value for another: anchors,
 * aliases, tags, directives, merge keys, duplicate keys, several documents, numbers with leading
 * zeros and bare yes/no/on/off are refused by name.
 */
#ifndef CLIENT_YAML_H
#define CLIENT_YAML_H

#include "base/doc.h"

enum {
    YAML_DEPTH_MAX = 32,
    YAML_NODES_MAX = 100000,
    YAML_TEXT_MAX = 65536,
    YAML_BYTES_MAX = 4 << 20
};

/* json: read as JSON (which YAML 1.2 holds but for tabs). */
int yaml_read(const char *text, size_t size, bool json, struct arena *arena, struct doc **ret,
              struct err *err);

#endif
