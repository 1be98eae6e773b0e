/* ctl.c - smimectl: the table of commands, help, and the exit status (INTERFACE 1). The work is done in ctl_*.c, one file
 * a group of commands; the same engine as the daemon's, through the same door. One thread.
 */
#include "milter/ctl.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONFIG "/etc/smime-milter/smime-milter.conf"
#define ANY_NUMBER 100000

#define ENVELOPE_OPTIONS (OPTION_FROM | OPTION_RCPT | OPTION_CLIENT | OPTION_AUTH | OPTION_DAEMON | OPTION_JSON)
#define ENVELOPE_USAGE "--from A --rcpt B ... [--client IP] [--auth NAME] [--daemon NAME]"
#define ENVELOPE_HELP \
	"  --from A       envelope sender; \"\" or <> is the null sender\n" \
	"  --rcpt B       envelope recipient; may be repeated\n" \
	"  --client IP    address of the SMTP client\n" \
	"  --auth NAME    the login it authenticated with\n" \
	"  --daemon NAME  name of the MTA's listener, as in `originating`\n" \
	"Without --client and --auth the client is a stranger.\n"

static const struct ctl_command commands[] = {
	{ "process", ctl_process, ENVELOPE_OPTIONS | OPTION_OUT, OPTION_FROM | OPTION_RCPT | OPTION_OUT, 0, 0,
	  ENVELOPE_USAGE " --out DIR", "take a message through the whole gateway, without an MTA",
	  ENVELOPE_HELP
	  "  --out DIR      gets outcome.json, and 0.eml when the message is accepted\n"
	  "Exit status: 0 accepted, 1 rejected, 4 try later, 5 rejected as no usable message.\n" },
	{ "explain", ctl_explain, ENVELOPE_OPTIONS, OPTION_FROM | OPTION_RCPT, 0, 0,
	  ENVELOPE_USAGE " [--json]", "what would be done to each recipient, and why",
	  ENVELOPE_HELP "Exit status as for process. Nothing is written or changed.\n" },
	{ "verify", ctl_verify, OPTION_COLLECTION | OPTION_AT | OPTION_EXPLAIN | OPTION_JSON, 0, 0, 0,
	  "[--collection NAME ...] [--at TIME] [--explain] [--json]", "the verdict on a message",
	  "  --collection NAME  only this collection may vouch; may be repeated\n"
	  "  --at TIME          as of then: 2026-11-21T20:55:17Z\n"
	  "  --explain          each check that was made, with its rule and result\n"
	  "Exit status: 0 pass, 4 temperror, 1 any other verdict.\n" },
	{ "sign", ctl_sign, OPTION_FROM | OPTION_OPAQUE | OPTION_DIGEST | OPTION_PSS, OPTION_FROM, 0, 0,
	  "--from A [--opaque] [--digest NAME] [--pss]", "sign a message with the configured key of an address",
	  "  --from A       whose key signs\n"
	  "  --opaque       application/pkcs7-mime in place of multipart/signed\n"
	  "  --digest NAME  sha256, sha384 or sha512\n"
	  "  --pss          RSASSA-PSS padding\n" },
	{ "encrypt", ctl_encrypt, OPTION_RCPT | OPTION_CIPHER | OPTION_OAEP, OPTION_RCPT, 0, 0,
	  "--rcpt B ... [--cipher NAME] [--oaep]", "encrypt a message with certificates from the directories",
	  "  --rcpt B       for whom; may be repeated\n"
	  "  --cipher NAME  aes256-cbc, aes128-cbc, aes256-gcm or aes128-gcm; chosen by what the peers can read else\n"
	  "  --oaep         RSAES-OAEP for RSA keys\n"
	  "Exit status: 1 no usable certificate for somebody, 4 a directory could not be asked.\n" },
	{ "certs find", ctl_certs_find, OPTION_JSON, 0, 1, 1, "ADDRESS [--json]",
	  "every certificate that the directories have for an address",
	  "The first one is the one that is used; each refused one has its reason.\n"
	  "Exit status: 0 a usable one was found, 1 none, 4 a directory could not be asked.\n" },
	{ "certs import", ctl_certs_import, OPTION_OUT | OPTION_REMOVE, OPTION_OUT, 1, 1, "FILE --out DIR [--remove]",
	  "certificates of an Exchange organization for a directory of files",
	  "FILE is a list of recipients with PrimarySmtpAddress, UserCertificate and UserSMimeCertificate, as\n"
	  "ConvertTo-Json prints it (etc/HOWTO-directory has the commands).\n"
	  "  --out DIR      the path of a directory of type files; a running gateway notices what changes there\n"
	  "  --remove       certificates that an earlier list had, and this one has not, are removed\n"
	  "Exit status: 1 when something had to be left out; everything else is there then.\n" },
	{ "certs publish", ctl_certs_publish, OPTION_SMIMEA | OPTION_BIND_DN | OPTION_PASSWORD_FILE, 0, 1, 1,
	  "ADDRESS [--bind-dn DN --password-file FILE | --smimea]", "own certificates of an address into the directory",
	  "Adds userCertificate and userSMIMECertificate to the address's entry in the LDAP directory responsible for it;\n"
	  "nothing there is removed.\n"
	  "  --bind-dn DN           who may write; the directory's own bind_dn else\n"
	  "  --password-file FILE   with the password of that DN\n"
	  "  --smimea               prints SMIMEA records for a zone file in place of that\n"
	  "Exit status: 1 no own certificate, no entry or several.\n" },
	{ "collection list", ctl_collection_list, OPTION_JSON, 0, 1, ANY_NUMBER, "FILE ... [--json]",
	  "the certificates in PEM, DER, P7B and SST files", "" },
	{ "collection check", ctl_collection_check, OPTION_JSON, 0, 0, ANY_NUMBER, "[NAME|FILE ...] [--json]",
	  "expired, non-CA, duplicate, weak and chain-incomplete entries",
	  "NAME is a configured collection; FILEs given together are checked as one collection. Without either, every\n"
	  "configured collection is checked.\n"
	  "Exit status: 1 when there are findings.\n" },
	{ "audit verify", ctl_audit_verify, 0, 0, 1, ANY_NUMBER, "FILE ...",
	  "is the chain of audit lines whole?",
	  "FILEs are read as one log, oldest first; - is standard input.\n"
	  "Exit status: 1 when lines are missing, changed or not chained.\n" },
	{ "keys list", ctl_keys_list, OPTION_JSON, 0, 0, 0, "[--json]", "own keys and the days they are still valid",
	  "" },
	{ "keys test", ctl_keys_test, OPTION_JSON, 0, 0, 1, "[ADDRESS] [--json]",
	  "a round trip with each own key, or with those of an address",
	  "Exit status: 1 when a key fails, or there is none.\n" },
	{ "harvest list", ctl_harvest_list, OPTION_JSON, 0, 0, 0, "[--json]", "the certificates that signed mail has taught",
	  "State (active, pending, replaced), address, sha256, issuer, first and last seen, signing time, ciphers, who said\n"
	  "so, collection.\n" },
	{ "harvest approve", ctl_harvest_approve, 0, 0, 1, 1, "ADDRESS|SHA256", "use a certificate that waits for approval",
	  "ADDRESS: the one of its certificates that waits; SHA256: that certificate, one that was replaced too.\n"
	  "Exit status: 1 when none waits, or several do.\n" },
	{ "harvest import", ctl_harvest_import, 0, 0, 1, ANY_NUMBER, "FILE ...",
	  "learn from signed messages, or from files of certificates",
	  "Messages are verified as if they came now. Certificates in PEM, DER, P7B and SST files are used from now on.\n"
	  "Exit status: 1 when a file taught nothing.\n" },
	{ "import-exchange", ctl_import_exchange, OPTION_OUT, 0, 1, 1, "FILE [--out DIR]",
	  "the configuration that does what Exchange's does",
	  "FILE is what Get-SmimeConfig | ConvertTo-Json prints. The configuration goes to standard output, what has no\n"
	  "counterpart to standard error.\n"
	  "  --out DIR      gets the certificate store SMIMECertificateIssuingCA as a new file exchange.sst\n" },
	{ "demo-ca", ctl_demo_ca, 0, 0, 1, 1, "DIR", "a throw-away CA with users, keys and a configuration",
	  "DIR must be empty, absent, or made by this command: then all of it is made again.\n" },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* Does the command's name begin with this word? */
static bool is_of_group(const char *name, const char *word)
{
	size_t n = strlen(word);

	return strncmp(name, word, n) == 0 && name[n] == ' ';
}

/* Those of a group ("collection"), or all of them where there is no such group. */
static void print_commands(FILE *to, const char *group)
{
	bool known = false;
	size_t i;

	for (i = 0; group != NULL && i < COMMAND_COUNT; i++)
		known = known || is_of_group(commands[i].name, group);
	fprintf(to, "usage: smimectl [-c FILE] [-v] COMMAND [OPTION ...]\n"
		    "Messages come on standard input. Commands:\n");
	for (i = 0; i < COMMAND_COUNT; i++)
		if (!known || is_of_group(commands[i].name, group))
			fprintf(to, "  %-17s %s\n", commands[i].name, commands[i].about);
	fprintf(to, "smimectl COMMAND --help tells more. Default FILE: %s\n", DEFAULT_CONFIG);
}

static const char *first_operand(const struct ctl *ctl)
{
	return ctl->args.operands.n > 0 ? ctl->args.operands.items[0] : NULL;
}

/* Without a command: of the program, or of a group of commands. */
static int print_help(const struct ctl *ctl)
{
	const struct ctl_command *command = ctl->command;

	if (command == NULL)
		print_commands(stdout, first_operand(ctl));
	else
		printf("usage: smimectl [-c FILE] %s %s\n%s.\n%s", command->name, command->usage, command->about,
		       command->help);
	return CTL_DONE;
}

int ctl_usage(const struct ctl *ctl, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "smimectl: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	if (ctl->command != NULL)
		fprintf(stderr, "usage: smimectl [-c FILE] %s %s\n", ctl->command->name, ctl->command->usage);
	else
		print_commands(stderr, first_operand(ctl));
	return CTL_USAGE;
}

/* How many of the operands spell the command's name; 0: they do not. */
static size_t words_matched(const char *name, const struct ctl_words *operands)
{
	const char *blank = strchr(name, ' ');
	size_t first = blank != NULL ? (size_t)(blank - name) : strlen(name);

	if (operands->n < 1 || strlen(operands->items[0]) != first || memcmp(operands->items[0], name, first) != 0)
		return 0;
	if (blank == NULL)
		return 1;
	return operands->n >= 2 && strcmp(operands->items[1], blank + 1) == 0 ? 2 : 0;
}

/* Finds the command and takes its words off the operands. */
static const struct ctl_command *command_find(struct ctl_words *operands)
{
	size_t i, n;

	for (i = 0; i < COMMAND_COUNT; i++) {
		n = words_matched(commands[i].name, operands);
		if (n == 0)
			continue;
		operands->items += n;
		operands->n -= n;
		return &commands[i];
	}
	return NULL;
}

/* 0, or CTL_USAGE: options and operands are not those of the command. */
static int command_check(const struct ctl *ctl)
{
	const struct ctl_command *command = ctl->command;
	const unsigned strange = ctl->args.given & ~(command->allowed | OPTIONS_COMMON);
	const unsigned missing = command->required & ~ctl->args.given;

	if (strange != 0)
		return ctl_usage(ctl, "%s takes no --%s", command->name, ctl_option_name(strange));
	if (missing != 0)
		return ctl_usage(ctl, "%s needs --%s", command->name, ctl_option_name(missing));
	if (ctl->args.operands.n < command->operands_min)
		return ctl_usage(ctl, "%s needs an operand", command->name);
	if (ctl->args.operands.n > command->operands_max)
		return ctl_usage(ctl, "unexpected: %s%s", ctl->args.operands.items[command->operands_max],
				 command->operands_max == 0 && strchr(command->name, ' ') == NULL ?
				 " (messages come on standard input)" : "");
	return 0;
}

/* The only place where a class of error becomes an exit status. */
static int exit_status(enum err_class class)
{
	switch (class) {
	case ERR_POLICY:
		return CTL_NOT_PASSED;
	case ERR_CONFIG:
		return CTL_CONFIG;
	case ERR_MESSAGE:
	case ERR_LIMIT:
		return CTL_NO_MESSAGE;
	default:
		return CTL_LATER;
	}
}

static int command_run(struct ctl *ctl)
{
	struct err err = { ERR_BUG, "" };
	int status = ctl->command->run(ctl, &err);

	if (status >= 0)
		return status;
	if (err.class != ERR_CONFIG || ctl->findings == 0)
		fprintf(stderr, "smimectl: %s\n", err.text);
	return exit_status(err.class);
}

static void emit(void *self, enum event_level level, const char *line)
{
	const struct ctl *ctl = self;

	if (level >= EVENT_WARNING || ctl->verbose)
		fprintf(stderr, "%s\n", line);
}

static int unknown_command(const struct ctl *ctl)
{
	const struct ctl_words *words = &ctl->args.operands;
	const char *second = words->n > 1 ? words->items[1] : "";

	return ctl_usage(ctl, "unknown command: %s%s%s", words->items[0], words->n > 1 ? " " : "", second);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct err err = { ERR_BUG, "" };

	if (ctl_args_parse(ctl->arena, argc, argv, &ctl->args, &err) != 0)
		return ctl_usage(ctl, "%s", err.text);
	if ((ctl->args.given & OPTION_VERSION) != 0) {
		printf("smimectl %s\n", PACKAGE_VERSION);
		return CTL_DONE;
	}
	ctl->command = command_find(&ctl->args.operands);
	if ((ctl->args.given & OPTION_HELP) != 0)
		return print_help(ctl);
	if (ctl->args.operands.n == 0 && ctl->command == NULL)
		return ctl_usage(ctl, "no command");
	if (ctl->command == NULL)
		return unknown_command(ctl);
	if (command_check(ctl) != 0)
		return CTL_USAGE;
	if (ctl->args.config == NULL)
		ctl->args.config = DEFAULT_CONFIG;
	ctl->json = (ctl->args.given & OPTION_JSON) != 0;
	ctl->verbose = (ctl->args.given & OPTION_VERBOSE) != 0;
	return command_run(ctl);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .arena = arena_new(0) };
	int status = CTL_LATER;

	signal(SIGPIPE, SIG_IGN);
	if (ctl.arena == NULL) {
		fprintf(stderr, "smimectl: out of memory\n");
		return CTL_LATER;
	}
	ctl.sink = (struct event_sink){ emit, &ctl };
	status = run(&ctl, argc, argv);
	arena_free(ctl.arena);
	site_free(ctl.site);
	conf_free(ctl.conf);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "smimectl: writing the result failed\n");
		return CTL_LATER;
	}
	return status;
}
