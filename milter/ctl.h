/* ctl.h - what smimectl's commands share: the run of one command, its exit status, the site, a message in and out.
 * Internal to milter/ctl*.c.
 *
 * A command returns its exit status, or -1 with *err, of which ctl.c alone makes a status. Results and --json reports go
 * to stdout, everything else that is to be read by people to stderr.
 */
#ifndef MILTER_CTL_H
#define MILTER_CTL_H

#include <stdio.h>

#include "gate/gate.h"
#include "milter/ctl_args.h"
#include "pki/candidate.h"

enum ctl_exit {			/* INTERFACE 1 */
	CTL_DONE = 0, CTL_NOT_PASSED = 1, CTL_USAGE = 2, CTL_CONFIG = 3, CTL_LATER = 4, CTL_NO_MESSAGE = 5
};

struct ctl_command;

struct ctl {			/* one run of one command */
	const struct ctl_command *command;
	struct ctl_args args;		/* operands without the command's own words */
	struct arena *arena;		/* dies behind the command */
	struct site *site;		/* NULL until ctl_site */
	struct conf *conf;		/* NULL until ctl_settings */
	struct settings read;		/* by ctl_settings */
	const struct settings *settings;	/* what ctl_site or ctl_settings have read; NULL before */
	struct event_sink sink;
	size_t findings;		/* of the configuration, printed */
	bool json, verbose;
};

struct ctl_command {
	const char *name;		/* one or two words: "certs find" */
	int (*run)(struct ctl *ctl, struct err *err);
	unsigned allowed, required;	/* enum ctl_option, beyond OPTIONS_COMMON */
	size_t operands_min, operands_max;
	const char *usage;		/* options and operands */
	const char *about;		/* one line */
	const char *help;		/* further lines, each ended; "" */
};

int ctl_process(struct ctl *ctl, struct err *err);
int ctl_explain(struct ctl *ctl, struct err *err);
int ctl_verify(struct ctl *ctl, struct err *err);
int ctl_sign(struct ctl *ctl, struct err *err);
int ctl_encrypt(struct ctl *ctl, struct err *err);
int ctl_audit_verify(struct ctl *ctl, struct err *err);
int ctl_certs_find(struct ctl *ctl, struct err *err);
int ctl_certs_import(struct ctl *ctl, struct err *err);
int ctl_certs_publish(struct ctl *ctl, struct err *err);
int ctl_collection_list(struct ctl *ctl, struct err *err);
int ctl_collection_check(struct ctl *ctl, struct err *err);
int ctl_keys_list(struct ctl *ctl, struct err *err);
int ctl_keys_test(struct ctl *ctl, struct err *err);
int ctl_harvest_list(struct ctl *ctl, struct err *err);
int ctl_harvest_approve(struct ctl *ctl, struct err *err);
int ctl_harvest_import(struct ctl *ctl, struct err *err);
int ctl_import_exchange(struct ctl *ctl, struct err *err);
int ctl_demo_ca(struct ctl *ctl, struct err *err);

/* ctl.c: a word on stderr about how the command was called. Returns CTL_USAGE. */
int ctl_usage(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ctl_verify.c: the verdict on a message by env, without a rule. 0, or -1. */
struct verify_env;
struct verdict;
int ctl_judge(struct ctl *ctl, const struct message *message, const struct verify_env *env, struct verdict *verdict,
	      struct err *err);

/* ctl_io.c */

/* Loads -c FILE into ctl->site, findings on stderr. 0 or -1. */
int ctl_site(struct ctl *ctl, struct err *err);
/* Reads -c FILE without opening what it names, for commands that need no key and no directory, nor the right to read them.
 * 0 or -1. */
int ctl_settings(struct ctl *ctl, struct err *err);
/* Opens the collections named by --collection, or all; they live in ctl's arena. Behind ctl_settings. ERR_CONFIG: there is
 * none of that name, or it cannot be loaded. */
int ctl_collections(struct ctl *ctl, const struct collection *const **list, size_t *n, struct err *err);
/* The configured collection of that name, or NULL. Behind ctl_settings. */
const struct collection_settings *ctl_collection_named(const struct ctl *ctl, const char *name);
/* --at, or now. 0, or CTL_USAGE. */
int ctl_time(const struct ctl *ctl, time_t *at);
/* An address from the command line. 0, or CTL_USAGE after a word on stderr. */
int ctl_address(const struct ctl *ctl, const char *text, struct address *address);

/* The message on stdin, in ctl's arena. ERR_MESSAGE: no message at all. ERR_LIMIT: larger than limits.message_mb.
 * Behind ctl_site or ctl_settings. */
int ctl_read_message(struct ctl *ctl, struct message *message, struct err *err);
/* The message's wire bytes to `to`, which is flushed. 0 or -1; what was written before an error stays written. */
int ctl_write_message(struct ctl *ctl, const struct message *message, FILE *to, struct err *err);
/* The same for stdout, but nothing is written unless all of it could be made. */
int ctl_print_message(struct ctl *ctl, const struct message *message, struct err *err);
/* Reads the message to its end and forgets it: does it hold? */
int ctl_drain_message(struct ctl *ctl, const struct message *message, struct err *err);

/* What the site's directories have for the n addresses, judged by every collection; lists: n of them. Behind ctl_site. 0 or
 * -1; a directory that could not be asked is a list's status. */
int ctl_candidates(struct ctl *ctl, const struct address *addresses, size_t n, struct candidate_list *lists,
		   struct err *err);
/* When an operation must have ended, on the site's clock. */
int64_t ctl_deadline_ms(const struct ctl *ctl);

#endif
