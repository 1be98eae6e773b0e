/* ctl_args.c - reads the command line by one table. Which options a command takes is the command table's business
 * (ctl.c); what a value must look like is the command's. Called by ctl.c alone.
 */
#include "milter/ctl_args.h"

#include <string.h>

enum form { FORM_FLAG, FORM_TEXT, FORM_LIST };

struct option_row {
	const char *name;
	char letter;			/* 0: none */
	unsigned bit;
	enum form form;
	size_t offset;			/* of the value in struct ctl_args */
};

#define AT(member) offsetof(struct ctl_args, member)

static const struct option_row rows[] = {
	{ "config", 'c', OPTION_CONFIG, FORM_TEXT, AT(config) },
	{ "json", 0, OPTION_JSON, FORM_FLAG, 0 },
	{ "help", 'h', OPTION_HELP, FORM_FLAG, 0 },
	{ "verbose", 'v', OPTION_VERBOSE, FORM_FLAG, 0 },
	{ "version", 'V', OPTION_VERSION, FORM_FLAG, 0 },
	{ "from", 0, OPTION_FROM, FORM_TEXT, AT(from) },
	{ "rcpt", 0, OPTION_RCPT, FORM_LIST, AT(rcpt) },
	{ "client", 0, OPTION_CLIENT, FORM_TEXT, AT(client) },
	{ "auth", 0, OPTION_AUTH, FORM_TEXT, AT(auth) },
	{ "daemon", 0, OPTION_DAEMON, FORM_TEXT, AT(daemon) },
	{ "out", 0, OPTION_OUT, FORM_TEXT, AT(out) },
	{ "collection", 0, OPTION_COLLECTION, FORM_LIST, AT(collection) },
	{ "at", 0, OPTION_AT, FORM_TEXT, AT(at) },
	{ "opaque", 0, OPTION_OPAQUE, FORM_FLAG, 0 },
	{ "pss", 0, OPTION_PSS, FORM_FLAG, 0 },
	{ "digest", 0, OPTION_DIGEST, FORM_TEXT, AT(digest) },
	{ "cipher", 0, OPTION_CIPHER, FORM_TEXT, AT(cipher) },
	{ "oaep", 0, OPTION_OAEP, FORM_FLAG, 0 },
	{ "explain", 0, OPTION_EXPLAIN, FORM_FLAG, 0 },
	{ "remove", 0, OPTION_REMOVE, FORM_FLAG, 0 },
	{ "smimea", 0, OPTION_SMIMEA, FORM_FLAG, 0 },
	{ "bind-dn", 0, OPTION_BIND_DN, FORM_TEXT, AT(bind_dn) },
	{ "password-file", 0, OPTION_PASSWORD_FILE, FORM_TEXT, AT(password_file) },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

struct words {			/* what is left of argv */
	char **next;
	char **end;
};

static const struct option_row *find_long(const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < ROW_COUNT; i++)
		if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
			return &rows[i];
	return NULL;
}

static const struct option_row *find_letter(char letter)
{
	size_t i;

	for (i = 0; i < ROW_COUNT; i++)
		if (rows[i].letter == letter)
			return &rows[i];
	return NULL;
}

/* Room was made for argc words in each list. */
static void add(struct ctl_words *words, const char *text)
{
	words->items[words->n++] = text;
}

static int store(struct ctl_args *args, const struct option_row *row, const char *value, struct err *err)
{
	void *member = (char *)args + row->offset;

	if (row->form == FORM_TEXT && (args->given & row->bit) != 0)
		return err_set(err, ERR_CONFIG, "--%s is given twice", row->name);
	args->given |= row->bit;
	if (row->form == FORM_TEXT)
		*(const char **)member = value;
	if (row->form == FORM_LIST)
		add(member, value);
	return 0;
}

/* inline_value: what stood behind "=" or NULL. */
static int take(struct ctl_args *args, const struct option_row *row, const char *inline_value, struct words *words,
		struct err *err)
{
	if (row->form == FORM_FLAG && inline_value != NULL)
		return err_set(err, ERR_CONFIG, "--%s takes no value", row->name);
	if (row->form == FORM_FLAG || inline_value != NULL)
		return store(args, row, inline_value, err);
	if (words->next == words->end)
		return err_set(err, ERR_CONFIG, "--%s needs a value", row->name);
	return store(args, row, *words->next++, err);
}

static int take_long(struct ctl_args *args, const char *word, struct words *words, struct err *err)
{
	const char *name = word + 2, *equals = strchr(name, '=');
	const struct option_row *row = find_long(name, equals != NULL ? (size_t)(equals - name) : strlen(name));

	if (row == NULL)
		return err_set(err, ERR_CONFIG, "unknown option %s", word);
	return take(args, row, equals != NULL ? equals + 1 : NULL, words, err);
}

/* "-c FILE" and "-cFILE"; letters are not bundled. */
static int take_letter(struct ctl_args *args, const char *word, struct words *words, struct err *err)
{
	const struct option_row *row = find_letter(word[1]);

	if (row == NULL || (row->form == FORM_FLAG && word[2] != '\0'))
		return err_set(err, ERR_CONFIG, "unknown option %s", word);
	return take(args, row, word[2] != '\0' ? word + 2 : NULL, words, err);
}

static int lists_make(struct arena *arena, size_t n, struct ctl_args *args)
{
	args->rcpt.items = arena_array(arena, n, sizeof(*args->rcpt.items));
	args->collection.items = arena_array(arena, n, sizeof(*args->collection.items));
	args->operands.items = arena_array(arena, n, sizeof(*args->operands.items));
	return args->rcpt.items != NULL && args->collection.items != NULL && args->operands.items != NULL ? 0 : -1;
}

int ctl_args_parse(struct arena *arena, int argc, char **argv, struct ctl_args *args, struct err *err)
{
	struct words words = { argv + (argc > 0 ? 1 : 0), argv + argc };
	bool ended = false;
	const char *word = NULL;

	memset(args, 0, sizeof(*args));
	if (lists_make(arena, (size_t)argc + 1, args) != 0)
		return err_memory(err);
	while (words.next != words.end) {
		word = *words.next++;
		if (ended || word[0] != '-' || word[1] == '\0')
			add(&args->operands, word);
		else if (strcmp(word, "--") == 0)
			ended = true;
		else if (word[1] == '-' && take_long(args, word, &words, err) != 0)
			return -1;
		else if (word[1] != '-' && take_letter(args, word, &words, err) != 0)
			return -1;
	}
	return 0;
}

const char *ctl_option_name(unsigned bits)
{
	size_t i;

	for (i = 0; i < ROW_COUNT; i++)
		if ((bits & rows[i].bit) != 0)
			return rows[i].name;
	return "";
}
