/* test_corpus.c - the `verify` rows of an open corpus of other people's mail and CMS objects, where one is present
 * beside the project (../shared/corpus, or CORPUS_DIR). index.tsv: collection, file, operation, kind, anchors, time, what is
 * expected, why that is known, note.
 *
 * Held against the verdict are only expectations that somebody documented. What differs for a reason is listed with it.
 * CORPUS_VERBOSE=1 prints every row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "smime/verdict.h"
#include "support/craft.h"

#define FIELDS 9

enum column { COLLECTION, FILE_NAME, OPERATION, KIND, ANCHORS, AT_TIME, EXPECTED, BASIS, NOTE };

struct row {
	char *fields[FIELDS];
	struct arena *arena;
	const struct collection *collection;	/* NULL: no anchor could be loaded */
	struct buf file, mail;
	struct layer_list layers;
	struct verdict verdict;
};

/* What differs from the expectation, and why that is right here. */
static const char no_attributes[] = "differs: no signed attributes: neutral by INTERFACE 4";
static const char no_signer[] = "differs: the signer's certificate is not in the object";
static const char nested[] = "differs: the inner signer is not From's, and the worst decides (INTERFACE 4)";

static const struct {
	const char *file, *why;
} differences[] = {
	{ "rfc4134/4.2.bin", no_attributes }, { "rfc4134/4.5.bin", no_attributes },
		{ "rfc4134/4.7.bin", no_attributes },
	{ "rfc4134/4.9.eml", no_attributes }, { "4.2.bin", no_attributes }, { "4.5.bin", no_attributes },
	{ "4.6.bin", no_attributes }, { "4.7.bin", no_attributes }, { "4.9.eml", no_attributes },
	{ "from-rfc/4.2.bin", no_attributes }, { "from-rfc/4.5.bin", no_attributes },
		{ "from-rfc/4.6.bin", no_attributes },
	{ "from-rfc/4.7.bin", no_attributes }, { "from-rfc/4.9.eml", no_attributes },
	{ "pkix/cms/mldsa/SignedData_ML-DSA-65.pem", no_signer },
		{ "pkix/cms/mldsa/SignedData_ML-DSA-87.pem", no_signer },
	{ "examples/mldsa44-signed-attrs.pem", no_signer }, { "examples/mldsa87-signed-attrs.pem", no_signer },
	{ "smime/alice.env.sig.SHA256.opaque.dave.sig.SHA256.opaque.eml", nested },
	{ "smime/alice.env.sig.SHA384.opaque.dave.sig.SHA384.opaque.eml", nested },
	{ "smime/alice.env.sig.SHA512.opaque.dave.sig.SHA512.opaque.eml", nested },
	{ "smime/alice.plain.sig.SHA256.opaque.dave.sig.SHA256.opaque.eml", nested },
	{ "smime/alice.plain.sig.SHA384.opaque.dave.sig.SHA384.opaque.eml", nested },
	{ "smime/alice.plain.sig.SHA512.opaque.dave.sig.SHA512.opaque.eml", nested },
};

static const char *corpus(void)
{
	static char path[4096];
	const char *directory = getenv("CORPUS_DIR"), *top = getenv("TOP_SRCDIR");

	if (directory != NULL)
		return directory;
	snprintf(path, sizeof(path), "%s/../shared/corpus", top != NULL ? top : ".");
	return path;
}

static bool split(char *line, char **fields)
{
	line[strcspn(line, "\r\n")] = '\0';
	for (int i = 0; i < FIELDS; i++)
		fields[i] = strsep(&line, "\t");
	return fields[EXPECTED] != NULL;
}

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Anchors are named from the corpus's top, or from their collection's. */
static struct collection *load_anchors(struct row *row)
{
	const char *paths[16];
	size_t n = 0;
	static const char *any[] = { "*" };
	struct collection_settings settings = { .name = "corpus", .domains = { any, 1 }, .revocation = REVOCATION_OFF };
	struct err err;

	for (char *list = row->fields[ANCHORS], *name; n < 16 && (name = strsep(&list, ",")) != NULL;) {
		char *path = arena_printf(row->arena, "%s/%s", corpus(), name);
		FILE *file = fopen(path, "r");

		if (file == NULL) {
			path = arena_printf(row->arena, "%s/%s/%s", corpus(), row->fields[COLLECTION], name);
			file = fopen(path, "r");
		}
		if (file == NULL)
			continue;
		fclose(file);
		paths[n++] = path;
	}
	settings.files = (struct conf_strings){ paths, n };
	return n == 0 ? NULL : collection_load(&settings, &(struct collection_env){ .report = NULL }, &err);
}

/* A CMS object becomes the body of a mail; PEM is base64 already. */
static void wrap(struct row *row)
{
	const char *text = buf_string(&row->file), *begin = strstr(text, "-----BEGIN"), *end = NULL;
	struct slice der = buf_slice(&row->file);

	if (begin == NULL) {
		craft_opaque("", "signed-data", der, &row->mail);
		return;
	}
	begin = strchr(begin, '\n') + 1;
	end = strstr(begin, "-----END");
	craft_opaque("", "signed-data", slice_of(""), &row->mail);
	assert_non_null(end);
	assert_int_equal(buf_append(&row->mail, begin, (size_t)(end - begin)), 0);
}

static bool read_row(struct row *row)
{
	char *path = arena_printf(row->arena, "%s/%s/%s", corpus(), row->fields[COLLECTION], row->fields[FILE_NAME]);
	struct err err;

	if (file_read(path, 0, &row->file, &err) != 0)
		return false;
	if (strstr(row->fields[KIND], "cms") != NULL)
		wrap(row);
	else
		assert_int_equal(message_from_file_bytes(buf_slice(&row->file), &row->mail, &err), 0);
	return true;
}

static void verify_row(struct row *row)
{
	const struct header_limits limits = { 0 };
	struct verify_env env = { .at = time(NULL) };
	struct message message;
	struct mime mime;
	struct err err;

	env.collections = &row->collection;
	env.collection_count = row->collection != NULL;
	if (row->fields[AT_TIME][0] != '\0')
		env.at = (time_t)atoll(row->fields[AT_TIME]);
	env.limits.object_bytes = 32u << 20;
	env.limits.signer_infos = 16;
	env.limits.certificates = 64;
	env.limits.cms_layers = 5;
	row->layers = (struct layer_list){ NULL, 0 };
	if (message_parse(row->arena, buf_slice(&row->mail), &limits, &message, &err) == 0 &&
	    mime_parse(row->arena, &message, &env.limits.mime, &mime, &err) == 0)
		assert_int_equal(verify_message(row->arena, &message, &mime, &env, &row->layers, &err), 0);
	verdict_make(&row->layers, &row->verdict);
}

static bool all_integrity_good(const struct row *row)
{
	size_t n = 0;

	for (size_t i = 0; i < row->layers.n; i++) {
		const struct layer *layer = &row->layers.items[i];

		if (layer->type != LAYER_SIGNED)
			continue;
		if (!layer->known || layer->integrity != INTEGRITY_GOOD)
			return false;
		n++;
	}
	return n != 0;
}

static bool has_envelope(const struct row *row)
{
	for (size_t i = 0; i < row->layers.n; i++)
		if (row->layers.items[i].type != LAYER_SIGNED)
			return true;
	return false;
}

/* Does the verdict agree with what is documented? Rows that document nothing agree with everything. */
static bool agrees(const struct row *row)
{
	const char *expected = row->fields[EXPECTED];

	if (starts(row->fields[BASIS], "openssl/derived"))
		return true;
	if (strstr(expected, "NOT good") != NULL || starts(expected, "must-fail") || starts(expected, "warn/") ||
	    starts(expected, "weak digest") || strstr(expected, "must-fail") != NULL)
		return row->verdict.result != RESULT_PASS;
	if (starts(expected, "certs-only"))
		return row->verdict.result == RESULT_NONE;
	if (strcmp(expected, "Thunderbird test: signature good") == 0)
		return row->verdict.result == RESULT_PASS;
	if (strstr(expected, "decrypts") != NULL)
		return has_envelope(row);
	if (starts(expected, "valid"))
		return all_integrity_good(row);
	return true;
}

static const char *difference(const struct row *row)
{
	for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++)
		if (strcmp(differences[i].file, row->fields[FILE_NAME]) == 0)
			return differences[i].why;
	return NULL;
}

static void print_row(const struct row *row, const char *what)
{
	printf("%s: %s/%s: %s (%s), expected: %s\n", what, row->fields[COLLECTION], row->fields[FILE_NAME],
	       result_names[row->verdict.result], row->verdict.reason, row->fields[EXPECTED]);
	for (size_t i = 0; i < row->layers.n; i++) {
		const struct layer *layer = &row->layers.items[i];

		printf("\tlayer %u.%u %s %s %s %s: %s\n", layer->layer, layer->signer_index,
			layer_type_name(layer->type),
		       result_names[layer->result], integrity_name(layer->integrity), layer->part, layer->reason);
	}
}

/* 1: differs without a reason, 0. */
static int run_row(struct row *row)
{
	struct collection *anchors = load_anchors(row);
	int wrong = 0;

	row->collection = anchors;
	if (read_row(row)) {
		verify_row(row);
		/* A listed difference that is none any more is wrong as well. */
		wrong = agrees(row) == (difference(row) != NULL);
		if (wrong)
			print_row(row, "DIFFERS");
		else if (getenv("CORPUS_VERBOSE") != NULL)
			print_row(row, difference(row) == NULL ? "agrees" : difference(row));
	}
	arena_free(row->arena);
	row->arena = NULL;
	collection_free(anchors);
	return wrong;
}

static void verify_rows_agree(void **state)
{
	char *path = NULL, *line = NULL;
	size_t size = 0;
	int wrong = 0, count = 0;
	FILE *index;

	(void)state;
	assert_true(asprintf(&path, "%s/index.tsv", corpus()) > 0);
	index = fopen(path, "r");
	free(path);
	if (index == NULL)
		skip();
	while (getline(&line, &size, index) > 0) {
		struct row row = { .arena = arena_new(0) };

		buf_init(&row.file, 0);
		buf_init(&row.mail, 0);
		if (split(line, row.fields) && strcmp(row.fields[OPERATION], "verify") == 0) {
			count++;
			wrong += run_row(&row);
		}
		buf_clear(&row.file);
		buf_clear(&row.mail);
		arena_free(row.arena);
	}
	free(line);
	fclose(index);
	printf("%d rows, %d differ\n", count, wrong);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify_rows_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
