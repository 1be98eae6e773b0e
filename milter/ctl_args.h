/* ctl_args.h - the words of smimectl's command line: options of all commands in one table, and what was given. */
#ifndef MILTER_CTL_ARGS_H
#define MILTER_CTL_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/* A bit for each option, so that a command can say which it takes and which it needs. */
enum ctl_option {
	OPTION_CONFIG = 1 << 0, OPTION_JSON = 1 << 1, OPTION_HELP = 1 << 2, OPTION_VERBOSE = 1 << 3,
	OPTION_VERSION = 1 << 4, OPTION_FROM = 1 << 5, OPTION_RCPT = 1 << 6, OPTION_CLIENT = 1 << 7,
	OPTION_AUTH = 1 << 8, OPTION_DAEMON = 1 << 9, OPTION_OUT = 1 << 10, OPTION_COLLECTION = 1 << 11,
	OPTION_AT = 1 << 12, OPTION_OPAQUE = 1 << 13, OPTION_PSS = 1 << 14, OPTION_DIGEST = 1 << 15,
	OPTION_CIPHER = 1 << 16, OPTION_OAEP = 1 << 17, OPTION_EXPLAIN = 1 << 18, OPTION_REMOVE = 1 << 19, OPTION_SMIMEA = 1 << 20,
	OPTION_BIND_DN = 1 << 21, OPTION_PASSWORD_FILE = 1 << 22
};

/* Those that every command takes. */
#define OPTIONS_COMMON (OPTION_CONFIG | OPTION_HELP | OPTION_VERBOSE | OPTION_VERSION)

struct ctl_words {
	const char **items;
	size_t n;
};

struct ctl_args {
	const char *config, *from, *client, *auth, *daemon, *out, *at, *digest, *cipher;	/* NULL: not given */
	const char *bind_dn, *password_file;
	struct ctl_words rcpt, collection;	/* options that may stand several times */
	struct ctl_words operands;		/* what is no option, command words included */
	unsigned given;				/* enum ctl_option */
};

/* Reads argv[1..]: "--name VALUE", "--name=VALUE", "-c FILE", "-v", "-V", "-h"; options and operands in any order,
 * everything behind "--" is an operand. Texts are not copied. -1: unknown option, value missing or not wanted, an option
 * that stands once given twice; memory. */
int ctl_args_parse(struct arena *arena, int argc, char **argv, struct ctl_args *args, struct err *err);

/* The name of the first option in bits: "from"; "" for none. */
const char *ctl_option_name(unsigned bits);

#endif
