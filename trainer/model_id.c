#include "trainer/model_id.h"

#include <string.h>

#include "base/hash.h"

void model_id_hash(const struct model_tensor *tensors, int n, char id[65])
{
    struct hash hash;
    hash_init(&hash);
    for (int i = 0; i < n; i++) {
        const struct model_tensor *tensor = &tensors[i];
        const char *dtype = dtype_name(tensor->dtype);
        size_t size = 0;
        BUG_ON(shape_bytes(&tensor->shape, tensor->dtype, &size) < 0);
        /* The zero behind each text and the rank before the sizes keep neighbours from running
         * together. */
        hash_update(&hash, tensor->h5_path, strlen(tensor->h5_path) + 1);
        hash_update(&hash, dtype, strlen(dtype) + 1);
        int64_t rank = tensor->shape.rank;
        hash_update(&hash, &rank, sizeof(rank));
        hash_update(&hash, tensor->shape.d, sizeof(int64_t) * (size_t)rank);
        hash_update(&hash, tensor->data, size);
    }
    hash_final(&hash, id);
}
