#include "client/sheet.h"

#include <math.h>
#include <string.h>

enum {
    SIDE_WANTED = 112, /* pixels of a picture's longer side: small ones are enlarged to about that */
    SIDE_MAX = 288,    /* larger ones are made smaller */
    GAP = 10,
    LINE = CANVAS_GLYPH_HEIGHT + 3,
    CAPTION_LINES = 2,
    CURVE_HEIGHT = 64,
    HEAD_LINES = 2,
};

static const struct colour paper = {250, 250, 250}, ink = {20, 20, 20}, grey = {110, 110, 110},
                           wrong = {220, 0, 60}, edge = {200, 200, 200};
static const struct colour palette[] = {{230, 60, 60},  {50, 170, 80},  {60, 110, 240},
                                        {240, 180, 30}, {170, 70, 200}, {40, 190, 200}};
enum { COLOURS = sizeof palette / sizeof palette[0] };

/* How a row's picture lies in memory. */
struct look {
    const struct sheet_field *field; /* NULL: there is nothing to draw */
    bool is_curve;
    int64_t height, width, channels; /* curve: width points */
    int64_t row, column, channel;    /* steps between numbers */
    int64_t n;                       /* numbers of a row */
    double low, high;                /* black and white */
    int64_t odd;                     /* numbers that are none */
    int times, over; /* enlarged so many times; one pixel of so many a side */
};

double sheet_number(const struct sheet_field *field, size_t index)
{
    BUG_ON(field->dtype == DTYPE_STR);
    const unsigned char *at = (const unsigned char *)field->data + index * dtype_bytes(field->dtype);
    union {
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
    } v;
    memcpy(&v, at, dtype_bytes(field->dtype));
    switch (field->dtype) {
    case DTYPE_I8: return v.i8;
    case DTYPE_U16: return v.u16;
    case DTYPE_I16: return v.i16;
    case DTYPE_I32: return v.i32;
    case DTYPE_I64: return (double)v.i64;
    case DTYPE_F32: return (double)v.f32;
    case DTYPE_F64: return v.f64;
    case DTYPE_BOOL:
    case DTYPE_U8:
    case DTYPE_STR: /* in no batch: client/preview.c refuses it */
    case DTYPE_MAX_: break;
    }
    return *at;
}

/* ---- what is drawn ---------------------------------------------------------------------------- */

static const struct sheet_field *find_kind(const struct sheet *sheet, const char *kind)
{
    for (int i = 0; i < sheet->n_fields; i++) {
        if (strcmp(sheet->fields[i].kind, kind) == 0) {
            return &sheet->fields[i];
        }
    }
    return NULL;
}

static bool is_channels(int64_t n)
{
    return n == 1 || n == 3 || n == 4;
}

/* (h, w), (h, w, c), (c, h, w), (frames, h, w, c). */
static void look_at_image(struct look *look, const struct shape *shape)
{
    const int skip = shape->rank == 4;
    const int64_t *d = shape->d + skip;
    if (shape->rank - skip == 2) {
        *look = (struct look){.field = look->field, .height = d[0], .width = d[1], .channels = 1};
        look->row = d[1];
        look->column = look->channel = 1;
    } else if (is_channels(d[0]) && !is_channels(d[2])) {
        *look = (struct look){.field = look->field, .height = d[1], .width = d[2], .channels = d[0]};
        look->row = d[2];
        look->column = 1;
        look->channel = d[1] * d[2];
    } else {
        *look = (struct look){.field = look->field, .height = d[0], .width = d[1], .channels = d[2]};
        look->row = d[1] * d[2];
        look->column = d[2];
        look->channel = 1;
    }
}

static const struct sheet_field *find_curve(const struct sheet *sheet)
{
    for (int i = 0; i < sheet->n_fields; i++) {
        const struct sheet_field *field = &sheet->fields[i];
        if (field->shape.rank >= 1 && strcmp(field->kind, "label") != 0 &&
            strcmp(field->kind, "text") != 0) {
            return field;
        }
    }
    return NULL;
}

/* A range that people expect if the numbers lie in it, else their own. */
static void find_range(struct look *look, double low, double high)
{
    static const double usual[][2] = {{0, 1}, {-1, 1}, {0, 255}};
    look->low = low;
    look->high = high;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        const double slack = (usual[i][1] - usual[i][0]) * 1e-4; /* an interpolation's rounding */
        if (low >= usual[i][0] - slack && high <= usual[i][1] + slack) {
            look->low = usual[i][0];
            look->high = usual[i][1];
            return;
        }
    }
}

static void measure(const struct sheet *sheet, struct look *look)
{
    double low = INFINITY, high = -INFINITY;
    if (look->field->dtype == DTYPE_U8 && !look->is_curve) {
        look->low = 0;
        look->high = 255;
        return;
    }
    for (int row = 0; row < sheet->n_rows; row++) {
        for (int64_t i = 0; i < look->n && sheet->ok[row]; i++) {
            const double v = sheet_number(look->field, (size_t)(row * look->n + i));
            if (isfinite(v)) {
                low = v < low ? v : low;
                high = v > high ? v : high;
            } else {
                look->odd++;
            }
        }
    }
    find_range(look, low <= high ? low : 0, low <= high ? high : 1);
}

static void choose_size(struct look *look)
{
    const int64_t side = look->height > look->width ? look->height : look->width;
    look->times = side > 0 && side < SIDE_WANTED ? (int)((SIDE_WANTED + side - 1) / side) : 1;
    look->over = side > SIDE_MAX ? (int)((side + SIDE_MAX - 1) / SIDE_MAX) : 1;
}

static int find_look(const struct sheet *sheet, struct look *ret, struct err *err)
{
    *ret = (struct look){.field = find_kind(sheet, "image"), .times = 1, .over = 1};
    ret->field = ret->field != NULL ? ret->field : find_kind(sheet, "video");
    ret->field = ret->field != NULL ? ret->field : find_kind(sheet, "mask");
    const int rank = ret->field != NULL ? ret->field->shape.rank : 0;
    if (rank >= 2 && rank <= 4) {
        look_at_image(ret, &ret->field->shape);
        choose_size(ret);
    } else {
        ret->field = find_curve(sheet);
        ret->is_curve = true;
        ret->height = CURVE_HEIGHT;
        ret->times = ret->over = 1;
    }
    if (ret->field == NULL) {
        return 0;
    }
    size_t bytes = 0;
    if (shape_count(&ret->field->shape, &ret->n) < 0 || ret->n < 1 ||
        shape_bytes(&ret->field->shape, ret->field->dtype, &bytes) < 0 ||
        ret->field->size / bytes < (size_t)sheet->n_rows) {
        return err_set(err, ERR_SHAPE, "field '%s' has %zu bytes, too few for %d rows of its shape",
                       ret->field->name, ret->field->size, sheet->n_rows);
    }
    ret->width = ret->is_curve ? SIDE_WANTED : ret->width;
    measure(sheet, ret);
    return 0;
}

const char *sheet_note(const struct sheet *sheet, struct arena *arena)
{
    struct look look;
    struct err ignored = {0};
    char shape[96];
    if (find_look(sheet, &look, &ignored) < 0 || look.field == NULL) {
        return "no field that can be drawn";
    }
    shape_format(&look.field->shape, shape, sizeof shape);
    const char *how =
        look.is_curve ? arena_printf(arena, "curves from %.6g to %.6g", look.low, look.high)
                      : arena_printf(arena, "%.6g is black and %.6g %s", look.low, look.high,
                                     look.channels == 3 || look.channels == 4 ? "full" : "white");
    const char *more = look.channels > 4 || look.channels == 2 ? "; the first channel" : "";
    const char *odd = look.odd > 0 ? arena_printf(arena, "; %lld numbers are not finite (red)",
                                                  (long long)look.odd)
                                   : "";
    return arena_printf(arena, "%s: %s %s, %s%s%s%s", look.field->name,
                        dtype_name(look.field->dtype), shape, how, more,
                        look.field->shape.rank == 4 ? "; the first frame" : "", odd);
}

/* ---- drawing ---------------------------------------------------------------------------------- */

static int shade(const struct look *look, double v)
{
    const double share = look->high > look->low ? (v - look->low) / (look->high - look->low) : 0;
    return share <= 0 ? 0 : share >= 1 ? 255 : (int)(share * 255 + 0.5);
}

static int shown_width(const struct look *look)
{
    return (int)((look->width + look->over - 1) / look->over) * look->times;
}

static int shown_height(const struct look *look)
{
    return (int)((look->height + look->over - 1) / look->over) * look->times;
}

/* Where a place of the picture stands on the sheet. */
static int on_sheet(const struct look *look, double place)
{
    const double at = place * look->times / look->over;
    return at < -CANVAS_SIDE_MAX ? -CANVAS_SIDE_MAX
           : at > CANVAS_SIDE_MAX ? CANVAS_SIDE_MAX
                                  : (int)floor(at);
}

static struct colour pixel(const struct look *look, int row, int64_t y, int64_t x)
{
    int v[3];
    const bool has_colours = look->channels == 3 || look->channels == 4;
    for (int c = 0; c < 3; c++) {
        const int64_t at = row * look->n + y * look->row + x * look->column +
                           (has_colours ? c * look->channel : 0);
        const double number = sheet_number(look->field, (size_t)at);
        if (!isfinite(number)) {
            return wrong;
        }
        v[c] = shade(look, number);
    }
    return (struct colour){(unsigned char)v[0], (unsigned char)v[1], (unsigned char)v[2]};
}

/* The mean of the pixels that one of a smaller picture stands for. */
static struct colour mean(const struct look *look, int row, int64_t y0, int64_t x0)
{
    int sum[3] = {0}, n = 0;
    for (int64_t y = y0; y < y0 + look->over && y < look->height; y++) {
        for (int64_t x = x0; x < x0 + look->over && x < look->width; x++) {
            const struct colour c = pixel(look, row, y, x);
            sum[0] += c.r;
            sum[1] += c.g;
            sum[2] += c.b;
            n++;
        }
    }
    return (struct colour){(unsigned char)(sum[0] / n), (unsigned char)(sum[1] / n),
                           (unsigned char)(sum[2] / n)};
}

static void draw_image(struct canvas *canvas, const struct look *look, int row, int left, int top)
{
    const int width = shown_width(look), height = shown_height(look);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const int64_t from_y = (int64_t)(y / look->times) * look->over;
            const int64_t from_x = (int64_t)(x / look->times) * look->over;
            canvas_set(canvas, left + x, top + y, mean(look, row, from_y, from_x));
        }
    }
}

static void draw_curve(struct canvas *canvas, const struct look *look, int row, int left, int top)
{
    const int width = shown_width(look), height = shown_height(look);
    for (int x = 0; x < width; x++) {
        const int64_t begin = x * look->n / width, end = (x + 1) * look->n / width;
        for (int64_t i = begin; i < end || i == begin; i++) {
            const double v = sheet_number(look->field, (size_t)(row * look->n + i));
            const int y = isfinite(v) ? (255 - shade(look, v)) * (height - 1) / 255 : 0;
            canvas_set(canvas, left + x, top + y, isfinite(v) ? ink : wrong);
        }
    }
}

static void draw_mask(struct canvas *canvas, const struct look *look,
                      const struct sheet_field *field, int row, int left, int top)
{
    struct look mask = {.field = field};
    look_at_image(&mask, &field->shape);
    for (int y = 0; y < shown_height(look); y++) {
        for (int x = 0; x < shown_width(look); x++) {
            const int64_t from_y = (int64_t)(y / look->times) * look->over;
            const int64_t from_x = (int64_t)(x / look->times) * look->over;
            if (from_y >= mask.height || from_x >= mask.width) {
                continue;
            }
            const int64_t at = row * (mask.height * mask.width * mask.channels) +
                               from_y * mask.row + from_x * mask.column;
            const double v = sheet_number(field, (size_t)at);
            if (v >= 0.5 && left + x < canvas->width && top + y < canvas->height) {
                const struct colour over = palette[((int64_t)(v + 0.5) - 1) % COLOURS];
                struct colour c = canvas_get(canvas, left + x, top + y);
                c.r = (unsigned char)((c.r + over.r) / 2);
                c.g = (unsigned char)((c.g + over.g) / 2);
                c.b = (unsigned char)((c.b + over.b) / 2);
                canvas_set(canvas, left + x, top + y, c);
            }
        }
    }
}

/* A name on a ground of its colour, so that it is read on any picture. */
static void draw_name(struct canvas *canvas, int x, int y, int width, const char *text,
                      struct colour colour)
{
    const int needed = (int)strlen(text) * CANVAS_GLYPH_WIDTH + 1;
    const int wide = needed < width ? needed : width;
    for (int dy = 0; dy <= CANVAS_GLYPH_HEIGHT && *text != '\0'; dy++) {
        for (int dx = 0; dx < wide; dx++) {
            canvas_set(canvas, x + dx, y + dy, colour);
        }
    }
    canvas_text(canvas, x + 1, y + 1, wide, text, paper);
}

static double place_number(const struct sheet_field *field, int row, int64_t i, int64_t k)
{
    return sheet_number(field, (size_t)((row * field->shape.d[0] + i) * field->shape.d[1] + k));
}

/* Do all numbers of a row lie in 0..1? -1 fills up. */
static bool are_shares(const struct sheet_field *field, int row, int64_t need)
{
    for (int64_t i = 0; i < field->shape.d[0]; i++) {
        for (int64_t k = 0; k < need; k++) {
            const double v = place_number(field, row, i, k);
            if (!(v >= -1 && v <= 1)) {
                return false;
            }
        }
    }
    return true;
}

static void to_corners(enum sheet_boxes form, double v[4])
{
    if (form == SHEET_CENTER_SIZE) {
        v[0] -= v[2] / 2;
        v[1] -= v[3] / 2;
    }
    if (form != SHEET_CORNERS) {
        v[2] += v[0];
        v[3] += v[1];
    }
}

/* Boxes have four numbers and more, keypoints two and more, for each of n things. */
static void draw_places(struct canvas *canvas, const struct look *look,
                        const struct sheet_field *field, int row, int left, int top)
{
    const bool is_boxes = strcmp(field->kind, "boxes") == 0;
    const int64_t need = is_boxes ? 4 : 2;
    const int64_t n = field->shape.d[1] >= need ? field->shape.d[0] : 0;
    const bool is_share = n > 0 && are_shares(field, row, need);
    const double sx = is_share ? (double)look->width : 1, sy = is_share ? (double)look->height : 1;
    for (int64_t i = 0; i < n; i++) {
        const struct colour colour = palette[i % COLOURS];
        double v[4] = {0};
        for (int64_t k = 0; k < need; k++) {
            v[k] = place_number(field, row, i, k);
        }
        if (!(v[0] >= 0 && v[1] >= 0 && v[2] >= 0 && v[3] >= 0)) {
            continue; /* none: it fills up */
        }
        to_corners(is_boxes ? field->boxes : SHEET_CORNERS, v);
        const int x0 = left + on_sheet(look, v[0] * sx), y0 = top + on_sheet(look, v[1] * sy);
        const int x1 = left + on_sheet(look, v[2] * sx), y1 = top + on_sheet(look, v[3] * sy);
        if (is_boxes && x1 > x0 && y1 > y0) {
            canvas_frame(canvas, x0, y0, x1 - 1, y1 - 1, colour);
        } else if (!is_boxes) {
            canvas_frame(canvas, x0 - 1, y0 - 1, x0 + 1, y0 + 1, colour);
        }
        if (field->texts != NULL) {
            draw_name(canvas, x0, y0, left + shown_width(look) - x0, field->texts[row * n + i],
                      colour);
        }
    }
}

static bool holds_rows(const struct sheet *sheet, const struct sheet_field *field)
{
    size_t bytes = 0;
    return shape_bytes(&field->shape, field->dtype, &bytes) == 0 && bytes > 0 &&
           field->size / bytes >= (size_t)sheet->n_rows;
}

static void draw_row(const struct sheet *sheet, const struct look *look, int row, int left, int top,
                     struct canvas *canvas)
{
    const int width = shown_width(look), height = shown_height(look);
    if (!sheet->ok[row]) {
        canvas_text(canvas, left + 3, top + 3, width, "bad sample", wrong);
    } else if (look->field != NULL && look->is_curve) {
        draw_curve(canvas, look, row, left, top);
    } else if (look->field != NULL) {
        draw_image(canvas, look, row, left, top);
    }
    for (int i = 0; i < sheet->n_fields && sheet->ok[row] && !look->is_curve; i++) {
        const struct sheet_field *field = &sheet->fields[i];
        const bool is_mask = strcmp(field->kind, "mask") == 0 && field != look->field;
        const bool is_place =
            strcmp(field->kind, "boxes") == 0 || strcmp(field->kind, "keypoints") == 0;
        if (is_mask && holds_rows(sheet, field) && field->shape.rank >= 2 &&
            field->shape.rank <= 3) {
            draw_mask(canvas, look, field, row, left, top);
        } else if (is_place && holds_rows(sheet, field) && field->shape.rank == 2) {
            draw_places(canvas, look, field, row, left, top);
        }
    }
    canvas_frame(canvas, left - 1, top - 1, left + width, top + height,
                 sheet->ok[row] ? edge : wrong);
}

static void draw_caption(const struct sheet *sheet, int row, int left, int top, int width,
                         struct canvas *canvas)
{
    char line[64];
    const char *text = sheet->captions != NULL ? sheet->captions[row] : "";
    for (int i = 0; i < CAPTION_LINES && *text != '\0'; i++) {
        const size_t n = strcspn(text, "\n"), cut = n < sizeof line - 1 ? n : sizeof line - 1;
        memcpy(line, text, cut);
        line[cut] = '\0';
        canvas_text(canvas, left, top + i * LINE, width, line, i == 0 ? ink : grey);
        text += n + (text[n] != '\0');
    }
}

int sheet_draw(const struct sheet *sheet, struct arena *arena, struct canvas *ret, struct err *err)
{
    struct look look;
    int rc = find_look(sheet, &look, err);
    if (rc < 0) {
        return rc;
    }
    const int wide = shown_width(&look) > SIDE_WANTED / 2 ? shown_width(&look) : SIDE_WANTED / 2;
    const int cell_width = wide + GAP;
    const int cell_height = shown_height(&look) + CAPTION_LINES * LINE + GAP;
    int columns = (int)ceil(sqrt((double)sheet->n_rows));
    columns = columns < 1 ? 1 : columns;
    const int rows = (sheet->n_rows + columns - 1) / columns;
    const int head = HEAD_LINES * LINE + GAP;
    const char *note = sheet_note(sheet, arena);
    const size_t longest = strlen(note) > strlen(sheet->title) ? strlen(note) : strlen(sheet->title);
    const int text = (int)(longest < 120 ? longest : 120) * CANVAS_GLYPH_WIDTH;
    const int width = columns * cell_width > text ? columns * cell_width : text;
    rc = canvas_init(ret, width + GAP, head + rows * cell_height + GAP, paper, err);
    if (rc < 0) {
        return rc;
    }
    canvas_text(ret, GAP, GAP, width, sheet->title, ink);
    canvas_text(ret, GAP, GAP + LINE, width, note, grey);
    for (int i = 0; i < sheet->n_rows; i++) {
        const int left = GAP + i % columns * cell_width, top = head + GAP + i / columns * cell_height;
        draw_row(sheet, &look, i, left, top, ret);
        draw_caption(sheet, i, left, top + shown_height(&look) + 4, wide, ret);
    }
    return 0;
}
