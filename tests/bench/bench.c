/* bench.c - see bench.h. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench: %s failed\n", what);
	exit(99);
}

double now_us(clockid_t clock)
{
	struct timespec at;

	clock_gettime(clock, &at);
	return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}
