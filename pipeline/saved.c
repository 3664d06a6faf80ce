#include "pipeline/saved.h"

#include <string.h>

#include "base/doc.h"
#include "base/file.h"
#include "base/hash.h"

enum {
    FORM = 1,
    ALIGN = 8,
    TEXT_MAX = 32 << 20,
    NAME_MAX_BYTES = 256,
    AHEAD = 256 << 10, /* is read at once where elements are read in their order */
};
#define ELEMENTS_MAX ((int64_t)1 << 28)

static const char magic[8] = {'M', 'R', 'S', 'A', 'V', 'E', 'D', '\n'};

struct head {
    char magic[8];
    uint32_t form, bytes; /* of the head with its text */
    int64_t n, index_at;
    uint64_t text_bytes, text_checksum;
};

static uint64_t checksum_of(const void *data, size_t size)
{
    return hash_fast(data, size, FORM);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put_field(struct doc *list, const struct element_field *field, struct arena *arena)
{
    struct doc *map = doc_push(list, arena);
    doc_set_map(map);
    doc_put_str(map, arena, "name", field->name);
    doc_put_str(map, arena, "kind", element_kind_name(field->kind));
    doc_put_str(map, arena, "dtype", dtype_name(field->spec.dtype));
    doc_put_bool(map, arena, "varying", field->is_varying);
    struct doc *shape = doc_put(map, arena, "shape");
    doc_set_list(shape);
    for (int i = 0; i < field->spec.shape.rank; i++) {
        doc_set_int(doc_push(shape, arena), field->spec.shape.d[i]);
    }
}

static void put_text(const struct source *of, const struct element_spec *spec, struct buf *out)
{
    struct arena arena;
    arena_init(&arena);
    struct doc *map = doc_new(&arena);
    doc_set_map(map);
    struct doc *fields = doc_put(map, &arena, "fields");
    doc_set_list(fields);
    for (int i = 0; i < spec->n; i++) {
        put_field(fields, &spec->fields[i], &arena);
    }
    struct doc *classes = doc_put(map, &arena, "classes");
    doc_set_list(classes);
    for (int64_t i = 0; i < of->n_classes; i++) {
        doc_set_str(doc_push(classes, &arena), &arena, of->classes[i]);
    }
    doc_write_canonical(map, out);
    arena_fini(&arena);
}

static void pad(struct buf *out)
{
    static const char zeros[ALIGN] = {0};
    const size_t over = out->size % ALIGN;
    buf_put(out, zeros, over > 0 ? ALIGN - over : 0);
}

void saved_head(const struct source *of, const struct element_spec *spec, int64_t n,
                int64_t index_at, struct buf *out)
{
    struct head head = {.form = FORM, .n = n, .index_at = index_at};
    buf_clear(out);
    buf_put(out, &head, sizeof head);
    put_text(of, spec, out);
    head.text_bytes = out->size - sizeof head;
    head.text_checksum = checksum_of(out->data + sizeof head, out->size - sizeof head);
    pad(out);
    head.bytes = (uint32_t)out->size;
    memcpy(head.magic, magic, sizeof magic);
    memcpy(out->data, &head, sizeof head);
}

int saved_add(const struct element_pack *pack, const struct element *element, int64_t place,
              struct buf *data, struct buf *index, struct err *err)
{
    const size_t begin = data->size;
    int r = element_pack(pack, element, data, err);
    if (r < 0) {
        data->size = begin;
        return r;
    }
    const struct saved_entry entry = {.place = place + (int64_t)begin,
                                      .bytes = (int64_t)(data->size - begin),
                                      .checksum =
                                          checksum_of(data->data + begin, data->size - begin)};
    buf_put(index, &entry, sizeof entry);
    return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int find_kind(const char *name)
{
    for (int i = 0; i < ELEMENT_KIND_MAX_; i++) {
        if (strcmp(element_kind_name((enum element_kind)i), name) == 0) {
            return i;
        }
    }
    return -1;
}

static int read_shape(const struct doc *shape, bool is_text, struct shape *ret)
{
    if (shape == NULL || shape->type != DOC_LIST || shape->n > SHAPE_RANK_MAX) {
        return ERR_CORRUPT;
    }
    ret->rank = (int)shape->n;
    for (size_t i = 0; i < shape->n; i++) {
        const struct doc *d = &shape->items[i];
        if (d->type != DOC_INT || d->i < -1 || d->i > INT32_MAX || (d->i == 0 && !is_text)) {
            return ERR_CORRUPT;
        }
        ret->d[i] = d->i;
    }
    return 0;
}

/* What ops take for granted of pictures and labels is looked at here. */
static int read_field(const struct doc *map, const struct element_spec *spec, struct arena *arena,
                      struct element_field *ret)
{
    const char *name = doc_str(map, "name", "");
    const int kind = find_kind(doc_str(map, "kind", "")),
              dtype = dtype_find(doc_str(map, "dtype", ""));
    if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES || strncmp(name, "__", 2) == 0 ||
        kind < 0 || dtype < 0 || element_find(spec, name) >= 0) {
        return ERR_CORRUPT;
    }
    *ret = (struct element_field){.name = arena_strdup(arena, name),
                                  .kind = (enum element_kind)kind,
                                  .spec = {.dtype = (enum dtype)dtype},
                                  .is_varying = doc_bool(map, "varying", false)};
    return read_shape(doc_get(map, "shape"), dtype == DTYPE_STR, &ret->spec.shape);
}

static int read_classes(const struct doc *list, struct arena *arena, struct source *ret)
{
    if (list == NULL || list->type != DOC_LIST || list->n > SOURCE_CLASSES_MAX) {
        return ERR_CORRUPT;
    }
    const char **names = arena_array(arena, list->n + 1, sizeof *names);
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i].type != DOC_STR) {
            return ERR_CORRUPT;
        }
        names[i] = arena_strdup(arena, list->items[i].str);
    }
    ret->classes = names;
    ret->n_classes = (int64_t)list->n;
    return 0;
}

static int read_text(const char *text, size_t size, struct arena *arena, struct source *ret,
                     struct err *err)
{
    struct doc *map = NULL;
    int r = doc_read_json(text, size, NULL, arena, &map, err);
    const struct doc *fields = r == 0 ? doc_get(map, "fields") : NULL;
    ret->spec.n = 0;
    if (fields == NULL || fields->type != DOC_LIST || fields->n < 1 ||
        fields->n > ELEMENT_FIELDS_MAX) {
        return err_set(err, ERR_CORRUPT, "it does not say which fields its elements have");
    }
    for (size_t i = 0; i < fields->n; i++) {
        struct element_field field = {0};
        if (read_field(&fields->items[i], &ret->spec, arena, &field) < 0) {
            return err_set(err, ERR_CORRUPT, "what it says of field %zu is damaged", i);
        }
        element_add(&ret->spec, &field);
    }
    return read_classes(doc_get(map, "classes"), arena, ret) < 0
               ? err_set(err, ERR_CORRUPT, "its list of classes is damaged")
               : 0;
}

static int read_bytes(const struct saved *saved, int64_t place, void *data, int64_t size,
                      struct err *err)
{
    const int64_t n = file_pread(saved->fd, data, (size_t)size, saved->offset + place, err);
    return n < 0       ? (int)n
           : n != size ? err_set(err, ERR_TRUNCATED, "it ends before it says it does")
                       : 0;
}

static int check_head(const struct head *head, int64_t bytes, struct err *err)
{
    if (memcmp(head->magic, magic, sizeof magic) != 0) {
        return err_set(err, ERR_BAD_MAGIC, "it is no file of saved elements");
    }
    if (head->form != FORM) {
        return err_set(err, ERR_VERSION, "it has form %u, form %d can be read", head->form, FORM);
    }
    if (head->n < 1 || head->n > ELEMENTS_MAX || head->text_bytes > TEXT_MAX ||
        head->bytes < sizeof *head + head->text_bytes || head->index_at < (int64_t)head->bytes ||
        head->index_at % ALIGN != 0) {
        return err_set(err, ERR_CORRUPT, "its head is damaged");
    }
    const int64_t size = head->n * (int64_t)sizeof(struct saved_entry);
    return head->index_at > bytes || bytes - head->index_at < size
               ? err_set(err, ERR_TRUNCATED, "it ends before its index does")
               : 0;
}

/* Elements lie between head and index. */
static int read_index(struct saved *saved, const struct head *head, struct err *err)
{
    const size_t size = (size_t)head->n * sizeof(struct saved_entry);
    buf_reserve(&saved->index, size);
    saved->entries = (const void *)saved->index.data;
    int r = read_bytes(saved, head->index_at, saved->index.data, (int64_t)size, err);
    for (int64_t i = 0; i < head->n && r == 0; i++) {
        const struct saved_entry *e = &saved->entries[i];
        if (e->bytes < 0 || e->bytes > ELEMENT_PACK_MAX || e->place < (int64_t)head->bytes ||
            e->place % ALIGN != 0 || e->place > head->index_at ||
            e->bytes > head->index_at - e->place) {
            r = err_set(err, ERR_CORRUPT, "the place of element %lld is damaged", (long long)i);
        }
    }
    saved->n = head->n;
    return r;
}

int saved_open(struct saved *ret, const struct source_blob *blob, struct arena *arena,
               struct source *ret_source, struct err *err)
{
    struct head head;
    *ret = (struct saved){.fd = blob->fd, .offset = blob->offset, .last = -1};
    int r = blob->bytes < (int64_t)sizeof head
                ? err_set(err, ERR_TRUNCATED, "it ends before its head does")
                : read_bytes(ret, 0, &head, sizeof head, err);
    r = r < 0 ? r : check_head(&head, blob->bytes, err);
    if (r < 0) {
        return r;
    }
    char *text = arena_alloc(arena, (size_t)head.text_bytes + 1);
    ret->text = text;
    r = read_bytes(ret, sizeof head, text, (int64_t)head.text_bytes, err);
    if (r == 0 && checksum_of(text, (size_t)head.text_bytes) != head.text_checksum) {
        r = err_set(err, ERR_CORRUPT, "its head is damaged");
    }
    r = r < 0 ? r : read_text(text, (size_t)head.text_bytes, arena, ret_source, err);
    return r < 0 ? r : read_index(ret, &head, err);
}

void saved_close(struct saved *saved)
{
    buf_fini(&saved->index);
    buf_fini(&saved->ahead);
}

/* The bytes of an element, with those behind them where elements are asked for in their order. */
static int find_bytes(struct saved *saved, const struct saved_entry *e, bool is_next,
                      const void **ret, struct err *err)
{
    const int64_t have = (int64_t)saved->ahead.size, at = e->place - saved->ahead_at;
    if (at >= 0 && at <= have && e->bytes <= have - at) {
        *ret = saved->ahead.data + at;
        return 0;
    }
    const int64_t most = is_next && e->bytes < AHEAD ? AHEAD : e->bytes;
    buf_clear(&saved->ahead);
    buf_reserve(&saved->ahead, (size_t)most + 1);
    const int64_t n =
        file_pread(saved->fd, saved->ahead.data, (size_t)most, saved->offset + e->place, err);
    if (n < 0 || n < e->bytes) {
        return n < 0 ? (int)n : err_set(err, ERR_TRUNCATED, "the file ends before its elements do");
    }
    saved->ahead.size = (size_t)n;
    saved->ahead_at = e->place;
    *ret = saved->ahead.data;
    return 0;
}

int saved_read(struct saved *saved, int64_t i, struct element_pack *pack, struct element *ret,
               struct err *err)
{
    const struct saved_entry *e = &saved->entries[i];
    const void *data = NULL;
    int r = find_bytes(saved, e, i == saved->last + 1, &data, err);
    saved->last = i;
    if (r < 0) {
        return r;
    }
    if (checksum_of(data, (size_t)e->bytes) != e->checksum) {
        return err_set(err, ERR_CORRUPT, "its checksum is another one");
    }
    return element_unpack(pack, data, (size_t)e->bytes, ret, err);
}
