/* KIND_ROW(symbol, name in plans and job files). No include guard on purpose. */
// clang-format off
KIND_ROW(IMAGE,       "image")
KIND_ROW(MASK,        "mask")
KIND_ROW(BOXES,       "boxes")
KIND_ROW(KEYPOINTS,   "keypoints")
KIND_ROW(LABEL,       "label")
KIND_ROW(TEXT,        "text")
KIND_ROW(AUDIO,       "audio")
KIND_ROW(VIDEO,       "video")
KIND_ROW(NUMERIC,     "numeric")
KIND_ROW(CATEGORICAL, "categorical")
// clang-format on
