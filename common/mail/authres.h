/* authres.h - Authentication-Results (RFC 8601): taking our method's forged results out, writing our own. */
#ifndef MAIL_AUTHRES_H
#define MAIL_AUTHRES_H

#include "mail/header.h"

struct authres_property {
	const char *name;		/* "body.smime-part" */
	const char *value;		/* untrusted: quoted as needed, capped at 255 */
};

struct authres_result {
	const char *method;		/* "smime" */
	const char *result;
	const char *reason;		/* or NULL */
	const struct authres_property *properties;
	size_t n;
};

/* "Authentication-Results: authserv-id; results…" folded to short lines. raw.p == NULL: arena exhausted. */
struct field authres_make(struct arena *arena, const char *authserv_id, const struct authres_result *results, size_t n);

/* What is to become of one Authentication-Results field that came from outside. */
enum authres_verdict {
	AUTHRES_KEEP,		/* another server's, or ours without a result that mentions `method` */
	AUTHRES_DELETE,		/* bears our id and nothing but `method`; or all = true; or cannot be parsed */
	AUTHRES_REPLACE		/* *replacement is the field without `method`'s results */
};

/* The authserv-id is compared by RFC 8601 2.3 and 5: case folded, A-labels, comments and quoting seen through. */
int authres_clean(struct arena *arena, const struct field *field, const char *authserv_id, const char *method, bool all,
		  enum authres_verdict *verdict, struct field *replacement, struct err *err);

/* True if "method =" stands anywhere in text, be it in a comment or in quotes: not every reader (Sieve's :contains) minds
 * those. */
bool authres_mentions(struct slice text, const char *method);

/* How many bytes of text a field's value has room for: all, or as many whole characters of UTF-8 as take 255 once they
 * are quoted and escaped. */
size_t authres_fit(const char *text);

/* text made safe for a field "name=value": a token as it is, else quoted-string, capped at 255 characters, control
 * characters replaced by '?', 8-bit by \xNN. NULL: arena. */
char *authres_value(struct arena *arena, const char *text);
/* Folds "a; b; c" style text into a field value (begins with a blank) with lines <= 78 where possible, breaking only
 * behind ';' or before a blank outside quotes. */
char *authres_fold(struct arena *arena, const char *text);

#endif
