/* header.h - header fields with their exact bytes (RFC 5322 2.2). Nothing is decoded or unfolded unless asked for.
 * Structs are values in an arena; a header is never changed in place: a changed one is a new list that shares fields.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct field {
	struct slice raw;	/* name, colon, value, folds, and the final CRLF */
	struct slice name;
	struct slice value;	/* behind the colon, leading blank and folds included, without the final CRLF */
};

struct header {
	struct field *fields;	/* in order of appearance */
	size_t n;
};

struct header_limits {
	size_t bytes;		/* of all fields; 0: none */
	size_t fields;		/* number; 0: none */
};

/* Parses bytes up to and including the empty line (or to the end). *consumed: bytes used, empty line included. Lines
 * end with CRLF (a lone LF is accepted as line end and kept as it is). A line that is neither field nor continuation:
 * ERR_MESSAGE. A fold line before the first field: ERR_MESSAGE. Fields point into bytes. 0 or -1. */
int header_parse(struct arena *arena, struct slice bytes, const struct header_limits *limits, struct header *header,
		 size_t *consumed, struct err *err);

/* True if line begins with a field name and colon (blanks before the colon are tolerated, as in RFC 5322 4.5). */
bool header_is_field_line(struct slice line);

/* A field made of name and value as libmilter gives them with SMFIP_HDR_LEADSPC (leading blank kept, folds are LF) or
 * as we write them (value begins with a blank): LF without CR becomes CRLF, a break with no blank behind it gets one:
 * value cannot start another field. The name is taken as it is. raw.p == NULL: arena exhausted. */
struct field field_make(struct arena *arena, struct slice name, struct slice value);

/* New lists; -1: arena exhausted. `keep` is called with each field. header_append grows in place: only on a list that
 * is being built, by these functions alone, from { NULL, 0 } on. */
int header_append(struct arena *arena, struct header *header, struct field field);
int header_filter(struct arena *arena, const struct header *from, bool (*keep)(const struct field *, void *arg),
		  void *arg, struct header *to);

/* The fields that stay outside when Content-* moves inside, in order. -1: arena exhausted. */
int header_outside(struct arena *arena, const struct header *from, struct header *to);

/* The index-th (from 0) field of that name (ASCII case folded), or NULL. */
const struct field *header_find(const struct header *header, const char *name, size_t index);
/* The value of the first one as it stands; n == 0: there is none, or it is empty. */
struct slice header_value(const struct header *header, const char *name);
size_t header_count(const struct header *header, const char *name);
/* Also "Name :", whose blanks some readers overlook. */
bool field_is(const struct field *field, const char *name);
/* True if a field holds a CR without LF, which some readers take for the end of a field, or a NUL. */
bool header_breaks_oddly(const struct header *header);
bool field_is_content(const struct field *field);	/* Content-* */

/* The value unfolded (CRLF before blank removed), trimmed. p == NULL: arena exhausted. */
struct slice field_unfold(struct arena *arena, const struct field *field);

#endif
