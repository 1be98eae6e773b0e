/* fuzz_header.c - header fields and everything that is read out of one: parameters, addresses, results of others. */
#include "fuzz.h"

#include <string.h>

#include "mail/address.h"
#include "mail/edit.h"
#include "mail/message.h"
#include "mail/param.h"
#include "smime/verdict.h"

static void read_addresses(struct arena *arena, struct slice value)
{
	struct address address, again, *list = NULL;
	enum mailbox_form form;
	size_t n = 0;

	PROMISE(address_single(arena, value, &address, &form, NULL) == 0);
	PROMISE(form != MAILBOX_SINGLE || address.text.n > 0);
	PROMISE(address_list(arena, value, &list, &n, NULL) == 0);
	if (form != MAILBOX_SINGLE)
		return;
	/* What is compared is an address by itself, and the same one. */
	PROMISE(address_parse(arena, address.text, &again, NULL) == 0);
	PROMISE(address_equal(&address, &again) && slice_equal(address.text, again.text));
	for (size_t i = 0; i < address.text.n; i++)
		PROMISE((unsigned char)address.text.p[i] >= 0x20 && address.text.p[i] != 0x7f);
}

static void read_parameters(struct arena *arena, struct slice value)
{
	struct param_list list;
	struct slice rest = value, word;
	char *quoted = NULL;

	PROMISE(param_parse(arena, value, &list, NULL) == 0);
	quoted = word_quote(arena, value);
	PROMISE(quoted != NULL);
	rest = slice_of(quoted);
	PROMISE(value.n == 0 || (word_take(arena, &rest, &word) && rest.n == 0));
}

/* A field that we write is one field again. */
static void write_field(struct arena *arena, const struct field *field)
{
	struct field made = field_make(arena, field->name, field->value);
	struct header header;
	size_t consumed = 0;
	char *safe = authres_value(arena, arena_string(arena, field->value));

	PROMISE(made.raw.p != NULL && safe != NULL);
	PROMISE(header_parse(arena, made.raw, &(struct header_limits){ 0 }, &header, &consumed, NULL) == 0);
	PROMISE(header.n == 1 && consumed == made.raw.n);
	PROMISE(strpbrk(safe, "\r\n") == NULL && strlen(safe) <= 2 * 255 + 2);
}

static void clean_results(struct arena *arena, const struct header *header)
{
	struct header clean, again;
	struct edit_list edits;
	size_t removed = 0;

	PROMISE(verdict_clean_header(arena, header, "mx.example.com", false, &clean, &removed, NULL) == 0);
	PROMISE(edit_make(arena, header, &clean, &edits, NULL) == 0);
	PROMISE((edits.n > 0) == (removed > 0));
	PROMISE(verdict_clean_header(arena, &clean, "mx.example.com", false, &again, &removed, NULL) == 0);
	PROMISE(removed == 0 && again.n == clean.n);
	PROMISE(header_find(&clean, "X-SMIME-Layer", 0) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(FUZZ_ARENA_BYTES);
	const struct header_limits limits = { .bytes = 65536, .fields = 1000 };
	struct header header;
	size_t consumed = 0;

	if (size <= 65536 &&
	    header_parse(arena, slice_make(data, size), &limits, &header, &consumed, NULL) == 0) {
		PROMISE(consumed <= size);
		for (size_t i = 0; i < header.n; i++) {
			struct slice value = field_unfold(arena, &header.fields[i]);

			PROMISE(value.p != NULL || header.fields[i].value.n == 0);
			read_addresses(arena, header.fields[i].value);
			read_parameters(arena, value);
			write_field(arena, &header.fields[i]);
		}
		clean_results(arena, &header);
	}
	arena_free(arena);
	return 0;
}
