/* protected.c - header protection (RFC 9788) of signed mail: do the fields that were signed say what the message's own
 * say? Compared and told as `headers`; it changes no result, but for a protected From that is another's: a reader who
 * honours the protection shows that one as what was verified.
 *
 * Fields are compared as they stand, unfolded, with runs of blanks as one. HP-Outer speaks of encrypted mail only. The
 * wrapper of RFC 8551 3.1 (a message/rfc822 in place of the payload) is not read. Called by verify.c. Thread-safe.
 */
#include <string.h>

#include "base/event.h"
#include "smime/verify_internal.h"

/* What readers show or act on: outside alone, nobody has signed it. */
static const char *const shown[] = {
	"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
};

static bool is_protected(const struct field *field)
{
	return !field_is_content(field) && !field_is(field, "MIME-Version") && !field_is(field, "HP-Outer");
}

static bool is_called(const struct field *field, struct slice name)
{
	return slice_equal_nocase(slice_trim(field->name), slice_trim(name));
}

/* In place: a blank for each run of them, fold or not. */
static struct slice squeeze(struct slice text)
{
	char *p = (char *)(uintptr_t)text.p;
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		bool blank = memchr(" \t\r\n", text.p[i], 4) != NULL;

		if (!blank || n == 0 || p[n - 1] != ' ')
			p[n++] = blank ? ' ' : text.p[i];
	}
	return slice_trim(slice_make(p, n));
}

static bool is_same(struct verify_run *run, const struct field *a, const struct field *b)
{
	struct slice one = arena_copy(run->arena, a->value), other = arena_copy(run->arena, b->value);

	run->exhausted = run->exhausted || one.p == NULL || other.p == NULL;
	return one.p != NULL && other.p != NULL && slice_equal(squeeze(one), squeeze(other));
}

static const struct field *next_called(const struct header *header, struct slice name, size_t *at)
{
	while (*at < header->n)
		if (is_called(&header->fields[(*at)++], name))
			return &header->fields[*at - 1];
	return NULL;
}

/* All fields of that name, one after the other. */
static bool agree(struct verify_run *run, const struct header *inside, const struct header *outside, struct slice name)
{
	const struct field *a, *b;
	size_t i = 0, k = 0;

	do {
		a = next_called(inside, name, &i);
		b = next_called(outside, name, &k);
		if ((a == NULL) != (b == NULL) || (a != NULL && !is_same(run, a, b)))
			return false;
	} while (a != NULL);
	return true;
}

/* The name of the first field that differs; p == NULL: none. */
static struct slice find_difference(struct verify_run *run, const struct header *inside, const struct header *outside)
{
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (!agree(run, inside, outside, slice_of(shown[i])))
			return slice_of(shown[i]);
	for (size_t i = 0; i < inside->n; i++) {
		const struct field *field = &inside->fields[i];
		size_t first = 0;

		if (is_protected(field) && next_called(inside, field->name, &first) == field &&
		    !agree(run, inside, outside, field->name))
			return field->name;
	}
	return (struct slice){ NULL, 0 };
}

/* RFC 9788 2.1.1. Of several Content-Type fields readers may take any. */
static bool claims_protection(struct verify_run *run, const struct mime_part *payload)
{
	const struct field *field;
	struct param_list list;
	struct slice hp;

	for (size_t i = 0; (field = header_find(&payload->header, "Content-Type", i)) != NULL; i++) {
		if (param_parse(run->arena, field->value, &list, NULL) != 0) {
			run->exhausted = true;
			return false;
		}
		hp = param_get(&list, "hp");
		if (slice_is_nocase(hp, "clear") || slice_is_nocase(hp, "cipher"))
			return true;
	}
	return false;
}

/* May the collection that vouches for the signer vouch for that address too? */
static bool is_covered(const struct verify_run *run, const struct layer *layer, const struct address *address)
{
	for (size_t i = 0; layer->collection != NULL && i < run->env->collection_count; i++)
		if (strcmp(collection_name(run->env->collections[i]), layer->collection) == 0)
			return collection_covers(run->env->collections[i], address);
	return false;
}

/* RFC 9788 4.4. The certificate must bear both, and not only the one that readers without header protection show. */
static int judge_from(struct verify_run *run, const struct from_binding *inside, struct layer *layer, struct err *err)
{
	const struct address *unused = NULL;
	enum from_match match;

	if (!layer->chain_known || layer->cert == NULL)
		return 0;
	if (inside->single && !inside->claims && run->from.single && address_equal(&inside->from, &run->from.from)) {
		run_check(run, layer, CHECK_PROTECTED_FROM, RESULT_PASS, "the same address as From");
		return 0;
	}
	match = from_binding_match(inside, run->env, layer->cert, &unused);
	if ((match == FROM_MATCH || match == FROM_DOMAIN) && is_covered(run, layer, &inside->from)) {
		run_check(run, layer, CHECK_PROTECTED_FROM, RESULT_PASS,
			  "another address than From, for which the certificate speaks too");
		return 0;
	}
	if (layer->from == FROM_MATCH || layer->from == FROM_DOMAIN)
		layer->from = match == FROM_AMBIGUOUS ? FROM_AMBIGUOUS : FROM_MISMATCH;
	run_check(run, layer, CHECK_PROTECTED_FROM, RESULT_POLICY,
		  "RFC 9788 4.4: the protected From is not the address that the certificate and From agree on");
	return run_mismatch(run, layer, err);
}

enum headers { HEADERS_UNPROTECTED, HEADERS_PROTECTED, HEADERS_DIFFER };

static int tell(struct verify_run *run, enum headers headers, const char *why, const struct from_binding *inside,
		struct err *err)
{
	static const char *const names[] = { "unprotected", "protected", "differs" };

	for (size_t i = 0; i < run->n; i++) {
		struct layer *layer = &run->layers[i];

		if (!layer->known || !layer->covers_message)
			continue;
		layer->headers = names[layer->integrity == INTEGRITY_GOOD ? headers : HEADERS_UNPROTECTED];
		if (headers == HEADERS_UNPROTECTED)
			continue;
		run_check(run, layer, CHECK_HEADERS, headers == HEADERS_PROTECTED ? RESULT_PASS : RESULT_NONE, why);
		if (inside != NULL && judge_from(run, inside, layer, err) != 0)
			return -1;
	}
	return 0;
}

int protected_tell(struct verify_run *run, const struct header *outside, struct err *err)
{
	const struct mime_part *payload = run->payload;
	struct from_binding inside;
	struct slice name;
	char printable[80];
	const char *why = "all protected fields stand outside too";

	if (payload == NULL)
		return 0;
	if (!claims_protection(run, payload))
		return tell(run, HEADERS_UNPROTECTED, "", NULL, err);
	if (from_binding_read(run->arena, &payload->header, &inside, err) != 0)
		return -1;
	name = find_difference(run, &payload->header, outside);
	if (name.p != NULL)
		why = arena_printf(run->arena, "%s is not the same inside and outside",
				   event_escape(name, printable, sizeof(printable)));
	if (why == NULL)
		return err_memory(err);
	return tell(run, name.p == NULL ? HEADERS_PROTECTED : HEADERS_DIFFER, why,
		    header_find(&payload->header, "From", 0) != NULL ? &inside : NULL, err);
}
