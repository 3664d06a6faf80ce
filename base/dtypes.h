/* DTYPE_ROW(symbol, numpy's name, bytes an element). No include guard on purpose. */
// clang-format off
DTYPE_ROW(BOOL, "bool",    1)
DTYPE_ROW(U8,   "uint8",   1)
DTYPE_ROW(I8,   "int8",    1)
DTYPE_ROW(U16,  "uint16",  2)
DTYPE_ROW(I16,  "int16",   2)
DTYPE_ROW(I32,  "int32",   4)
DTYPE_ROW(I64,  "int64",   8)
DTYPE_ROW(F32,  "float32", 4)
DTYPE_ROW(F64,  "float64", 8)
DTYPE_ROW(STR,  "string",  sizeof(struct tensor_text))
// clang-format on
