/* words.h - the lines of a golden case's files: words, some of them in quotes, and files read whole. */
#ifndef WORDS_H
#define WORDS_H

#include "base/arena.h"
#include "base/buf.h"

#define WORDS_MAX 16

struct words {
	char *items[WORDS_MAX];		/* in the arena; a NUL follows each; unused ones are "" */
	size_t bytes[WORDS_MAX];	/* their lengths: \x00 may be in them */
	size_t n;
};

/* Cuts one line into words. "…" keeps blanks and knows \r \n \t \\ \" \xNN; an unquoted # ends the line. -1: an open
 * quote, too many words, no memory. */
int words_parse(struct arena *arena, struct slice line, struct words *words);
/* Takes the next line off text (without its line end); false: there is none. */
bool words_next_line(struct slice *text, struct slice *line);
/* Where `what` first stands in `in`; NULL: nowhere. */
const char *words_find(struct slice in, const char *what);
/* The file's bytes, in the arena; p == NULL: there is none, or it cannot be read. */
struct slice words_file(struct arena *arena, const char *directory, const char *name);
/* Every `from` in bytes replaced. p == NULL: memory. */
struct slice words_replace(struct arena *arena, struct slice bytes, const char *from, struct slice to);

#endif
