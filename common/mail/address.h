/* address.h - mailboxes (RFC 5322 3.4, RFC 6532) and their comparison (RFC 8550 3, INTERFACE 2).
 *
 * An address is local@domain in the form used for comparing: comments and quotes that are not needed removed, domain
 * ASCII lower case with U-labels made A-labels (RFC 5890, libidn2 in idn.c). The local part keeps its case.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct address {
	struct slice text;	/* local@domain; empty: the null sender; local alone where there is no domain */
	struct slice local;	/* unquoted */
	struct slice domain;	/* A-labels, lower case; empty: none */
};

enum mailbox_form {
	MAILBOX_SINGLE,		/* exactly one mailbox, cleanly parsed */
	MAILBOX_NONE,		/* no address at all */
	MAILBOX_MANY,		/* several */
	/* group syntax, NUL or control character, encoded-word where an address stands, comment or quoting tricks that
	 * readers resolve differently, garbage before or behind */
	MAILBOX_AMBIGUOUS
};

/* One address as in SMTP or configuration: "<a@b>", "a@b", "<>". ERR_MESSAGE if it is not one. */
int address_parse(struct arena *arena, struct slice text, struct address *address, struct err *err);

/* All mailboxes of an address-list field (To, Cc): lenient, groups flattened, unparsable ones skipped. */
int address_list(struct arena *arena, struct slice value, struct address **list, size_t *count, struct err *err);

/* The mailbox of a From or Sender field, strictly: list[0] is set when MAILBOX_SINGLE (also the best guess when
 * AMBIGUOUS and something was found, text.n == 0 otherwise). -1: arena exhausted. */
int address_single(struct arena *arena, struct slice value, struct address *address, enum mailbox_form *form,
		   struct err *err);

/* Local part: ASCII case folded, other bytes exact; domain: as above. The null sender equals nothing. */
bool address_equal(const struct address *a, const struct address *b);
/* The address with its local part cut at the first delimiter character but the very first (recipient_delimiter; "" or
 * NULL: nothing is cut). One that has to be written in quotes stays as it is. 0, or -1: arena exhausted. */
int address_base(struct arena *arena, const struct address *address, const char *delimiter, struct address *base);

/* The address with its domain in U-labels, text too, as programs that know nothing of A-labels store it; never for
 * address_equal. Where there is no such spelling, the address itself. 0, or -1: arena exhausted. */
int address_unicode(struct arena *arena, const struct address *address, struct address *unicode);

/* domain as A-labels, lower case; p == NULL: not a domain, or the arena is exhausted. */
struct slice domain_ascii(struct arena *arena, struct slice domain);

#endif
