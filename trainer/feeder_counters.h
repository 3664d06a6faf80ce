/* Counters of the feeder: COUNTER_ROW(symbol, name, unit, kind, help). No include guard on purpose.
 */
// clang-format off
COUNTER_ROW(CHUNKS,     "chunks_made",         "",      COUNTER_TOTAL, "Chunks that workers made and that were used.")
COUNTER_ROW(REMADE,     "chunks_remade",       "",      COUNTER_TOTAL, "Chunks that were asked for again after a death or a late answer.")
COUNTER_ROW(LATE,       "tokens_late",         "",      COUNTER_TOTAL, "Tokens of leases that were given up, ignored.")
COUNTER_ROW(MOVED,      "batches_moved",       "",      COUNTER_TOTAL, "Batches that went to another slab because a stopped worker may still write.")
COUNTER_ROW(EXPIRED,    "leases_expired",      "",      COUNTER_TOTAL, "Workers that were given up because a lease expired.")
COUNTER_ROW(LOST,       "workers_lost",        "",      COUNTER_TOTAL, "Workers that died.")
COUNTER_ROW(BATCHES,    "batches",             "",      COUNTER_TOTAL, "Batches handed to the fit loop.")
COUNTER_ROW(BAD,        "samples_bad",         "",      COUNTER_TOTAL, "Rows left out of batches because their sample is bad.")
COUNTER_ROW(CONVICTED,  "samples_convicted",   "",      COUNTER_TOTAL, "Samples that killed three workers alone.")
COUNTER_ROW(WIRE,       "bytes_wire",          "bytes", COUNTER_TOTAL, "Bytes through the data socket, both ways.")
COUNTER_ROW(BLOCKED,    "queue_full_us",       "us",    COUNTER_TOTAL, "Time that no chunk could be given out because the queue was full.")
// clang-format on
