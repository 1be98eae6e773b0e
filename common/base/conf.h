/* conf.h - configuration as data: a table of rows says which keys exist; conf_load fills plain structs from a libconfig
 * file and remembers where each value stood. libconfig is known to conf.c only.
 *
 * A settings struct has one member a key, named like it:
 *     CONF_STRING const char *        CONF_INT int64_t      CONF_BOOL bool
 *     CONF_ENUM   int (index in names)                       CONF_STRINGS struct conf_strings
 *     CONF_GROUP  an embedded struct, described by rows      CONF_GROUPS  struct conf_groups: array of structs
 *     CONF_ENUMS  struct conf_enums: indexes in names, in the order written
 * An absent key has its default. Strings, lists and groups live in the conf.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum conf_type {
	CONF_STRING, CONF_INT, CONF_BOOL, CONF_ENUM, CONF_ENUMS, CONF_STRINGS, CONF_GROUP, CONF_GROUPS
};

struct conf_strings {
	const char **items;	/* a list of strings may be written as one string, [ ] or ( ) */
	size_t n;
};

struct conf_enums {
	int items[16];		/* no duplicates, so names has at most 16 */
	size_t n;
};

struct conf_groups {
	void **items;		/* n pointers to structs, each filled by its table */
	size_t n;
};

struct conf_row;

struct conf_table {
	const struct conf_row *rows;	/* ends with name == NULL */
	size_t size;			/* sizeof the settings struct */
};

struct conf_variant {
	const char *type;		/* NULL ends the array */
	const struct conf_table *table;	/* has a row "type", CONF_STRING; NULL: known, but not in this version */
};

struct conf_row {
	const char *name;
	enum conf_type type;
	size_t offset;			/* offsetof in the settings struct */
	const char *preset;		/* default, written as text ("2000", "true", "mark"; lists: blank-separated);
					   NULL: 0, false, NULL, first name, empty */
	int64_t min, max;		/* CONF_INT; both 0: 0 .. INT32_MAX */
	const char *const *names;	/* CONF_ENUM(S): ends with NULL */
	const struct conf_table *table;	/* CONF_GROUP, CONF_GROUPS */
	/* CONF_GROUPS whose members differ by "type": NULL-terminated, each with its name; `table` is NULL then. */
	const struct conf_variant *variants;
	bool required;
	bool unique;			/* CONF_STRING in CONF_GROUPS: no two groups share it (ids, names) */
};

struct conf;

struct conf_report {
	void (*finding)(void *self, const char *line);	/* "FILE:LINE: text" */
	void *self;
};

/* Reads path, fills settings (top->size bytes). Every finding goes to report (unknown key with the nearest known name,
 * wrong type, range - also integers beyond 32 bits, which libconfig wraps silently -, missing, duplicate), then the
 * result is -1 with *err the first of them. @include works as libconfig does it, a relative name beginning at path's
 * directory; findings name the included file. No file may be writable by others. 0: *conf, which owns all that settings
 * points to. */
int conf_load(const char *path, const struct conf_table *top, void *settings, const struct conf_report *report,
	      struct conf **conf, struct err *err);
/* A finding of the caller's own, in the same form: reports "FILE:LINE: text" for the member. *err (ERR_CONFIG): the first
 * finding of this conf. Returns -1. */
int conf_finding(struct conf *conf, const void *member, struct err *err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same for a place in another file that the configuration names. */
int conf_finding_at(struct conf *conf, const char *where, struct err *err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void conf_free(struct conf *conf);	/* NULL is fine */

/* "FILE:LINE" of the value that was read into member (its address; also the address of a string list's item, or of a
 * group's struct: the group itself; of a group and its first key, which share an address, the key counts). For a
 * defaulted member, the enclosing group; never NULL. */
const char *conf_where(const struct conf *conf, const void *member);
/* SHA-256 of the text, includes in their places, as lower-case hex: which configuration it was. */
const char *conf_sha256(const struct conf *conf);
/* False where the file has no such value and the default stands. */
bool conf_given(const struct conf *conf, const void *member);

struct buf;

/* Appends what settings say, a line a key, defaults included: equal for equal settings, and for no others. Not for
 * reading back, and not for tables with lists of groups. 0, or -1: such a table, or memory. */
int conf_write(const struct conf_table *table, const void *settings, struct buf *out);

/* The name among names (NULL-terminated) nearest to text by edit distance, NULL if none is near (> 1/3 + 1). */
const char *conf_nearest(const char *text, const char *const *names);

#endif
