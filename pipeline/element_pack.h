/* element_pack - elements as bytes, for what is stored of a stream.
 *
 * Owns:     memory for texts, given back by element_pack_fini; the spec is borrowed.
 * Threads:  one at a time.
 * Errors:   element_pack: ERR_SHAPE, ERR_LIMIT. element_unpack: ERR_CORRUPT for bytes that no
 *           element of this spec gives; nothing that they say is believed.
 * Lifetime: init .. fini; an unpacked element lasts as long as its bytes, and until the next one.
 *
 * Field after field, each at a multiple of eight bytes. A field whose spec says all about it is its
 * numbers alone. Others begin with their sizes (int64, one a dimension); texts follow their lengths
 * (uint64, one a text). Little-endian, like the numbers themselves.
 */
#ifndef PIPELINE_ELEMENT_PACK_H
#define PIPELINE_ELEMENT_PACK_H

#include "base/buf.h"
#include "pipeline/op.h"

enum { ELEMENT_PACK_MAX = 1 << 30 }; /* bytes of an element */

struct element_pack {
    const struct element_spec *spec;
    size_t bytes;                           /* of every element; 0: each has its own size */
    size_t field_bytes[ELEMENT_FIELDS_MAX]; /* of a field that its spec describes; 0: it does not */
    struct op_scratch texts[ELEMENT_FIELDS_MAX];
};

int element_pack_init(struct element_pack *ret, const struct element_spec *spec, struct err *err);
void element_pack_fini(struct element_pack *pack);
/* Behind what is in `out`, a multiple of eight bytes. */
int element_pack(const struct element_pack *pack, const struct element *element, struct buf *out,
                 struct err *err);
/* `data` stands at a multiple of eight. ret->sample stays as it is. */
int element_unpack(struct element_pack *pack, const void *data, size_t size, struct element *ret,
                   struct err *err);

#endif
