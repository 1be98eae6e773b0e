/* candidate.h - which certificate a recipient's mail is encrypted to: all sources and attributes ranked together.
 *
 * Usable is a certificate that is valid now, may encrypt (RFC 8550 4.4: keyAgreement for EC), has the address (or another
 * one of the same person, as claim.h says), whose key is strong enough (RSA from 2048 bits, P-256/384/521), and that is
 * trusted: by a collection that covers the address, and the one it has, or by its directory (`trusted`). Usable ones
 * stand first, newest notBefore first (candidate_rank.h has it in full); each refused one keeps its reason.
 */
#ifndef PKI_CANDIDATE_H
#define PKI_CANDIDATE_H

#include "pki/directory.h"
#include "pki/path.h"

struct candidate {
	struct cert *cert;		/* reference held by the arena */
	struct capabilities capabilities;	/* usable: signed by its key, or the recipient's other one in the value */
	const char *source;		/* "ldap://dc1 userCertificate", "ldap://dc1 userCertificate (stale)" */
	unsigned rank;			/* 1: the one that is used; unusable: 0 */
	bool usable;
	bool secondary;			/* it has not the address written to, but another one of its owner's */
	bool undecided;			/* unusable for nothing but its revocation, which could not be found out */
	const char *reason;		/* unusable: why ("expired 2026-01-01T00:00:00Z"); usable: "" */
};

struct candidate_choice {		/* somebody whom mail to an address is encrypted to */
	struct address address;
	const struct candidate *used;
};

struct candidate_list {
	enum directory_status status;	/* FOUND: somebody is chosen. NONE: every directory answered and nothing is usable.
					   FAILED: nothing usable, and at least one directory could not be asked, or one
					   certificate is undecided. Of a group: of all its members together */
	struct candidate_choice *chosen;	/* FOUND: the owner of the address and items[0], or a group's members */
	size_t chosen_count;
	struct candidate *items;	/* of the address itself */
	size_t n;
	const char *failure;		/* FAILED, incomplete: "ldap://dc1: timed out"; undecided: the certificate's
					   reason */
	bool undecided;			/* FAILED: every directory answered, revocation could not be found out */
	bool incomplete;		/* FOUND, though a directory could not be asked: another one found, or it had before
					   (a stale answer) */
	const char **asked;		/* a line for each directory and what it answered: for explain, log, audit */
	size_t asked_count;
	bool group;			/* the address is a group's without a usable certificate of its own */
	struct candidate_member *members;	/* of a group that could be asked: everybody, once each */
	size_t member_count;
	const char *missing;		/* NONE, of a group: who in it has no certificate; not for strangers. NULL: no group */
};

struct candidate_member {
	struct address address;		/* empty: unknown, and list.asked[0] says who it is and why */
	struct candidate_list list;	/* no group */
};

enum candidate_revocation {
	CANDIDATE_REVOCATION_COLLECTION,	/* as the collection demands: one that is not known for revoked is usable,
						   unless its collection's revocation is hard */
	CANDIDATE_REVOCATION_OFF,		/* not asked: a revoked one is usable */
	CANDIDATE_REVOCATION_HARD		/* known for good, or undecided; so is what a collection that never
						   asks vouches for. Not asked of a trusted directory's */
};

struct candidate_query {
	const struct address *addresses;	/* all recipients of a message in one go */
	size_t n;
	const struct address *also;	/* NULL, or n others, each as good as that one in a certificate; not asked for */
	const char *delimiter;		/* recipient_delimiter; NULL or "": none. An address with something behind it is
					   asked for with and without that; `also` is NULL then */
	const struct pattern_list *local_domains;	/* others' local parts are cut at "+" alone. NULL: all are ours */
	const struct directory *directories;
	size_t directory_count;
	const struct collection *const *collections;
	size_t collection_count;
	enum candidate_revocation revocation;
	time_t at;
	int64_t deadline_ms;		/* on the directories' clock */
};

/* lists: query->n of them, filled. A directory is asked only for addresses its `domains` name; an address that no
 * directory is responsible for is NONE. A usable certificate found in one directory counts even if another failed, a
 * stale answer's too; NONE needs every answer, and a remembered one then needs a directory that is there. The members
 * of a group need every answer for the group, too (candidate_group.c).
 * 0, or -1 (arena exhausted, memory). */
int candidate_find(struct arena *arena, const struct candidate_query *query, struct candidate_list *lists,
		   struct err *err);

#endif
