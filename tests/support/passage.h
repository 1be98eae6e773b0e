/* passage.h - a message brought to the one door and its outcome drained, as the daemon does it: for golden cases, the
 * door's fuzzer and the benchmark. Knows no expectation.
 */
#ifndef PASSAGE_H
#define PASSAGE_H

#include "gate/gate.h"

struct passage_clock {			/* the system's, which a test can put forward */
	struct clock clock;
	int64_t ahead_ms;
};
void passage_clock_init(struct passage_clock *at);

/* Loads a configuration file; what is found wrong goes to stderr. NULL: *err. */
struct site *passage_site(const char *path, const struct passage_clock *at, struct err *err);

struct passage_options {
	size_t memory_bytes;		/* kept in memory, the rest in the encrypted file; 0: all */
	const char *directory;		/* for that file */
	bool no_output;			/* drain, but keep nothing */
};

struct passage {
	struct arena *arena;
	struct envelope envelope;	/* in the arena */
	struct message message;		/* as it came */
	struct outcome outcome;
	struct err err;			/* why gate_process or draining failed */
	struct buf body;		/* the outcome's body, drained; wiped by passage_clear */
	struct buf *copies;		/* the copies' bodies, likewise: outcome.copy_count of them */
	size_t copy_count;
	uint64_t body_bytes;		/* of all of them */
};

/* "a@b", "<a@b>"; "", "<>": the null sender. -1: no address. */
int passage_address(struct arena *arena, const char *text, struct address *address);

/* Runs wire (header, empty line, body; it must live as long as the passage) for passage->envelope. The fields are made
 * from names and values as libmilter gives them. Before: arena and envelope are set. An outcome that accepts has been
 * drained to its end; an error there has turned it into another (gate_failed). */
void passage_run(const struct site *site, struct slice wire, const struct passage_options *options,
		 struct passage *passage);
/* Frees the arena and wipes the bodies. */
void passage_clear(struct passage *passage);

#endif
