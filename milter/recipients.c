/* recipients.c - see recipients.h. Called by ctl_certs_import.c. */
#include "milter/recipients.h"

#include <ctype.h>
#include <string.h>

#include "milter/powershell.h"
#include "pki/bundle.h"

static const char *const attributes[] = { "UserSMimeCertificate", "UserCertificate" };

#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

struct reading {
	struct arena *arena;
	struct recipients *out;
	struct err *err;
};

/* Of a value that is read: whose, of what, the how manieth. */
struct place {
	const char *address, *attribute;
	size_t number;			/* from 1 */
};

/* Anything that a file's name may hold without surprise. */
static bool is_address(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr(".@_+-'", *p) == NULL)
			return false;
	return strchr(text, '@') != NULL && text[0] != '.' && text[0] != '-';
}

static const char *file_name(struct arena *arena, const struct place *place)
{
	char *name = arena_printf(arena, "%s-%s-%zu", place->address, place->attribute, place->number);

	for (char *p = name; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return name;
}

static int add_problem(struct reading *r, const char *where, const char *why)
{
	const char *text = arena_printf(r->arena, "%s: %s", where, why);

	r->out->problems[r->out->problem_count++] = text;
	return text != NULL ? 0 : err_memory(r->err);
}

/* "" when it has a certificate, else why not; NULL: memory */
static const char *examine(struct reading *r, struct slice content)
{
	struct bundle bundle;
	struct err why;

	if (bundle_parse(r->arena, content, &bundle, &why) != 0)
		return why.class == ERR_TEMP ? NULL : arena_strdup(r->arena, why.text);
	for (size_t i = 0; i < bundle.n; i++)
		if (bundle.entries[i].cert != NULL)
			return "";
	return "holds no certificate";
}

/* 0 with the content in the arena and *problem NULL or why it is none; -1: memory */
static int decode(struct reading *r, const json_t *value, struct slice *content, const char **problem)
{
	struct err why = { .class = ERR_NONE };
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes, 0);
	*problem = "";
	if (powershell_bytes(value, &bytes, &why) != 0)
		*problem = why.class == ERR_CONFIG ? arena_strdup(r->arena, why.text) : NULL;
	else
		*content = slice_make(arena_string(r->arena, buf_slice(&bytes)), bytes.n);
	if (*problem != NULL && **problem == '\0')
		*problem = content->p != NULL ? examine(r, *content) : NULL;
	if (*problem != NULL)
		rc = 0;
	buf_clear(&bytes);
	return rc;
}

static int read_value(struct reading *r, const struct place *place, const json_t *value)
{
	struct recipients_file file = { .name = file_name(r->arena, place) };
	const char *problem = NULL;

	if (file.name == NULL || decode(r, value, &file.content, &problem) != 0)
		return err_memory(r->err);
	if (problem[0] != '\0')
		return add_problem(r, file.name, problem);
	r->out->files[r->out->n++] = file;
	return 0;
}

/* An array of numbers is one value. */
static bool is_list(const json_t *value)
{
	return json_is_array(value) && !json_is_integer(json_array_get(value, 0));
}

static size_t count(const json_t *value)
{
	return value == NULL || json_is_null(value) ? 0 : is_list(value) ? json_array_size(value) : 1;
}

static int read_recipient(struct reading *r, const json_t *recipient, size_t number)
{
	const char *address = json_string_value(json_object_get(recipient, "PrimarySmtpAddress"));
	char where[40];

	snprintf(where, sizeof(where), "recipient %zu", number);
	if (address == NULL || !is_address(address))
		return add_problem(r, where, "no PrimarySmtpAddress that can be a file's name");
	r->out->recipient_count++;
	for (size_t k = 0; k < ATTRIBUTES; k++) {
		const json_t *value = json_object_get(recipient, attributes[k]);
		struct place place = { address, attributes[k], 1 };

		for (; place.number <= count(value); place.number++)
			if (read_value(r, &place, is_list(value) ? json_array_get(value, place.number - 1) : value) != 0)
				return -1;
	}
	return 0;
}

/* Room for a file or a problem a value, and a problem a recipient. */
static int make_room(struct reading *r, const json_t *list)
{
	size_t n = json_array_size(list), i;
	const json_t *recipient = NULL;

	json_array_foreach(list, i, recipient)
		for (size_t k = 0; k < ATTRIBUTES; k++)
			n += count(json_object_get(recipient, attributes[k]));
	*r->out = (struct recipients){ .files = arena_array(r->arena, n, sizeof(*r->out->files)),
				       .problems = arena_array(r->arena, n, sizeof(*r->out->problems)) };
	return r->out->files != NULL && r->out->problems != NULL ? 0 : err_memory(r->err);
}

static int read_list(struct reading *r, const json_t *list)
{
	const json_t *recipient = NULL;
	size_t i;

	if (make_room(r, list) != 0)
		return -1;
	json_array_foreach(list, i, recipient)
		if (read_recipient(r, recipient, i + 1) != 0)
			return -1;
	return r->out->recipient_count > 0 ? 0 : err_set(r->err, ERR_CONFIG, "no recipient with a PrimarySmtpAddress");
}

int recipients_read(struct arena *arena, struct slice json, struct recipients *recipients, struct err *err)
{
	struct reading r = { arena, recipients, err };
	json_t *root = powershell_parse(json, err), *list = NULL;
	int rc = -1;

	if (root == NULL)
		return -1;
	list = json_is_object(root) ? json_pack("[O]", root) : json_incref(root);
	if (list == NULL)
		err_memory(err);
	else
		rc = read_list(&r, list);
	json_decref(list);
	json_decref(root);
	return rc;
}
