/* login.h - whose mail a login may have signed: the file of `sender_login`, read with the configuration.
 *
 * A line a login, "LOGIN ADDRESS …": blanks between, addresses as in the patterns of rules. Empty lines, and what
 * follows a '#' at the beginning of a line or behind a blank, do not count. A login stands once; ASCII case of it does
 * not count, as in Postfix's smtpd_sender_login_maps.
 */
#ifndef GATE_LOGIN_H
#define GATE_LOGIN_H

#include "base/conf.h"
#include "mail/pattern.h"

struct login {
	struct slice name;
	struct pattern_list addresses;
	size_t line;			/* of the file, from 1 */
};

struct login_table {
	const struct login *items;
	size_t n;
};

/* Reads path, whose lines then live in the arena. Findings of conf, with the place: a file that cannot be read or that
 * group or others may write (member: where it is named), a line without address, an address that is no pattern, the null
 * sender, a login that stands twice ("PATH:LINE"). 0 or -1, the table untouched. */
int login_load(struct arena *arena, const char *path, struct conf *conf, const void *member, struct login_table *table,
	       struct err *err);
/* May a client that has authenticated as `name` have mail of `from` signed? NULL, for who has not: false. */
bool login_may(const struct login_table *table, const char *name, const struct address *from);

#endif
