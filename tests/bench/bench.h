/* bench.h - what all benchmarks need: an end when something fails, and a clock. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <time.h>

/* Ends the program unless ok. */
void need(bool ok, const char *what);
/* Microseconds of that clock. */
double now_us(clockid_t clock);

#endif
