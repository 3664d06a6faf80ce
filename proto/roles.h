/* The list of roles of child processes: ROLE_ROW(symbol, name, program, nice, memory MiB (0 = no limit), restarts allowed in
 * the window, window s, first delay ms, greatest delay ms, grace s, time limit s (0 = none)). No include guard on purpose. */
// clang-format off
ROLE_ROW(WORKER,          "worker",          "millrace-worker",  5, 2048, 20, 60,  0, 2000,  2,   0)
ROLE_ROW(TRAINER,         "trainer",         "millrace-trainer", 0, 0,     5, 300, 50, 10000, 30,  0)
ROLE_ROW(WORKER_CHECKER,  "worker checker",  "millrace-worker",  0, 2048,  0, 0,   0, 0,     1,  30)
ROLE_ROW(TRAINER_CHECKER, "trainer checker", "millrace-trainer", 0, 0,     0, 0,   0, 0,     1,  30)
ROLE_ROW(PREDICTOR,       "predictor",       "millrace-trainer", 0, 0,     0, 0,   0, 0,     1, 120)
// clang-format on
