/* rule.h - a rule: criteria and actions, read from the configuration and compiled (INTERFACE 2). Values only: matching
 * is policy.h. A new criterion or action is a member here, a row in rule.c, and a predicate in policy.c or a step.
 */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include "base/conf.h"
#include "mail/pattern.h"
#include "pki/capability.h"
#include "policy/network.h"
#include "smime/encrypt.h"
#include "smime/kind.h"
#include "smime/sign.h"

enum direction { DIRECTION_INBOUND, DIRECTION_OUTBOUND, DIRECTION_INTERNAL };
extern const char *const direction_names[];

enum sign_wish { SIGN_NO, SIGN_IF_KEY, SIGN_REQUIRE };
enum encrypt_wish { ENCRYPT_NO, ENCRYPT_IF_POSSIBLE, ENCRYPT_REQUIRE };
enum sign_for { SIGN_FOR_SENDER, SIGN_FOR_LOGIN, SIGN_FOR_ANY };
enum bcc { BCC_FORK_EACH, BCC_FORK_TOGETHER, BCC_TOGETHER };
enum no_certificate { NO_CERTIFICATE_REJECT, NO_CERTIFICATE_TEMPFAIL, NO_CERTIFICATE_DROP_RECIPIENT };
enum send_revocation { SEND_REVOCATION_SOFT, SEND_REVOCATION_OFF, SEND_REVOCATION_HARD };	/* candidate.h's order */
enum verify_wish { VERIFY_MARK, VERIFY_OFF, VERIFY_REJECT };
enum harvest_wish { HARVEST_OFF, HARVEST_PENDING, HARVEST_ON };
enum protection { PROTECTION_SIGNED, PROTECTION_ENCRYPTED };
enum reply_criterion { REPLY_ANY, REPLY_TRUE, REPLY_FALSE, REPLY_ENCRYPTED };

enum encrypt_to_kind { ENCRYPT_TO_RECIPIENT, ENCRYPT_TO_DOMAIN, ENCRYPT_TO_ADDRESS };

/* As written in the file: one member a key (see rule.c for names, presets and values). */
struct rule_settings {
	const char *id;
	struct conf_enums direction;
	struct conf_strings sender, recipient, from, client;
	bool authenticated;
	struct { const char *name, *value; } header;
	struct conf_enums kind;
	int reply;

	int sign, sign_for, sign_format, sign_padding, include_chain;
	struct conf_strings sign_as;
	struct conf_enums digests;
	bool announce_encryption;
	int encrypt, key_transport, recipient_identifier, bcc, no_certificate, send_revocation, header_protection;
	struct conf_strings encrypt_to, additional_recipients;
	struct conf_enums ciphers;
	bool triple_wrap, wrap_protected;
	int verify, decrypt, cbc_unsigned, remove_results, harvest;
	struct conf_enums require_protection;
	struct conf_strings accept_signer, collection, strip_headers;
	struct conf_enums mismatch_attributes;
	bool remove_signature;
};

extern const struct conf_table rule_conf;

/* Whose key signs. */
struct sign_as {
	enum { SIGN_AS_FROM, SIGN_AS_DOMAIN, SIGN_AS_ADDRESS } who;
	struct address address;		/* SIGN_AS_ADDRESS: a gateway's identity, as written */
};

struct rule {
	const struct rule_settings *settings;
	const char *id;
	/* criteria; an empty list: any */
	unsigned directions;		/* bits 1 << enum direction; 0: any */
	struct pattern_list sender, recipient, from;
	struct network_list client;
	int authenticated;		/* -1: any */
	unsigned kinds;			/* bits 1 << enum kind; 0: any */
	/* actions that need compiling */
	struct sign_as *sign_as;	/* in the order of preference; at least one */
	size_t sign_as_count;
	struct encrypt_to {
		enum encrypt_to_kind kind;
		struct address address;		/* ENCRYPT_TO_ADDRESS */
	} *encrypt_to;				/* tried in order */
	size_t encrypt_to_count;
	struct additional {
		bool sender;
		struct address address;		/* unless sender */
	} *additional;
	size_t additional_count;
	struct address *accept_addresses;
	size_t accept_address_count;
	const char **accept_sha256;	/* lower case */
	size_t accept_sha256_count;
	const struct collection **collections;	/* resolved names; set by the site */
	size_t collection_count;
};

/* Compiles settings; findings with FILE:LINE through conf_finding. Keys that this version knows but cannot do yet are
 * findings too, unless they stand at their default. collections are left to the site. 0 or -1. */
int rule_compile(struct arena *arena, const struct rule_settings *settings, struct conf *conf, struct rule *rule,
		 struct err *err);
/* Why no field of that name may be taken from a message; NULL: it may. */
const char *rule_strip_problem(const char *name);

#endif
