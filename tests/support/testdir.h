/* testdir.h - for tests of directories: one opened from configuration text, asked in one line; and a scratch directory.
 * What cannot happen ends the test program with a message. */
#ifndef TESTDIR_H
#define TESTDIR_H

#include "pki/directory.h"

struct testdir {
	struct directory directory;
	struct arena *arena;		/* the site's */
	struct directory_env env;
	struct event_sink sink;
	struct conf *conf;
	char log[4096];			/* events, a line each */
	char findings[2048];		/* of the configuration, a line each */
};

/* Opens `directories = ( { TEXT } );` with the driver; format makes TEXT. 0, or -1 with *err and findings. */
int testdir_open(struct testdir *dir, const struct directory_driver *driver, const struct clock *clock, struct err *err,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));
void testdir_close(struct testdir *dir);
/* Asks for one address; the answer lives in the arena. */
struct directory_answer testdir_find(const struct directory *directory, struct arena *arena, const char *address);
struct address testdir_address(struct arena *arena, const char *text);

/* A clock that tests set: both its times. */
struct testdir_clock {
	struct clock clock;
	time_t now;
	int64_t monotonic_ms;
};
void testdir_clock_init(struct testdir_clock *clock);

char *testdir_scratch(void);			/* a new empty directory (free it) */
void testdir_remove(char *scratch);		/* removes and frees it */
char *testdir_path(const char *scratch, const char *name);	/* "scratch/name" (free it) */

#endif
