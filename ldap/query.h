/* query.h - the searches for a number of addresses over one connection. */
#ifndef LDAP_QUERY_H
#define LDAP_QUERY_H

#include "base/buf.h"
#include "ldap/connection.h"
#include "ldap/group.h"
#include "pki/directory.h"

struct query {				/* the same for all addresses; outlives every use */
	const char *base;
	int scope;			/* LDAP_SCOPE_SUBTREE, or LDAP_SCOPE_BASE to see whether the base is there */
	char **attributes;		/* what is asked for, NULL-terminated */
	const char *const *names;	/* where in the entries certificates are: see entry.h */
	const char *const *address_names;	/* and addresses: see owner.h */
	bool groups;			/* entries are kept one by one, with who is in them: see group.h */
	bool apart;			/* so are the certificates in them, instead of in the item's answer */
	ber_int_t page_entries;		/* 0: at most 100 entries are an answer; else all up to 10,000, so many at once */
};

struct query_entry {			/* in the arena */
	const char *dn;
	const struct directory_owner *owner;	/* NULL: has no address */
	struct directory_answer answer;	/* where they are kept apart */
	struct group group;
	struct query_entry *next;
};

struct query_item {
	const char *base;		/* NULL: the query's */
	const char *filter;
	struct directory_answer *answer;
	int message_id;
	bool sent;			/* under way over the present connection */
	struct slice cookie;		/* where the next page begins; in the arena */
	size_t entries;			/* in all pages until now */
	struct query_entry *found, *last;	/* where they are kept */
	bool part;			/* of an entry's values some are missing */
	bool absent;			/* refused: there is no entry at the base */
	bool done;			/* answer is final: found, none, or the server's refusal of this search */
};

/* The filter with %{address}, %{local} and %{domain} replaced, escaped by RFC 4515; for a domain that may be written in
 * U-labels, both filters in one. NULL: arena exhausted. */
const char *query_filter(struct arena *arena, const char *text, const struct address *address);
/* The value as it stands in a filter. 0, or -1: memory. */
int query_escape(struct buf *out, struct slice value);
/* Is it a filter that asks for an address? Checks RFC 4515's grammar, the placeholders and that there is at least one
 * of them. An address can make nothing else of a filter that passes. 0, or -1 with *err (ERR_CONFIG). */
int query_check_filter(const char *text, struct err *err);

struct search {				/* one use of a query */
	const struct query *query;
	struct arena *arena;		/* for the answers */
	struct query_item *items;
	size_t n;
};

/* Searches for all items that are not done, many at a time, until deadline_ms. Anything but DONE: the connection must
 * be closed, and the items that are not done can be asked again. *err then. */
enum outcome query_run(const struct search *search, struct connection *connection, int64_t deadline_ms,
		       struct err *err);

#endif
