/* check.c - the checks of a verification as data: each is recorded in its layer in the order made, and the worst of
 * them is the layer's result (INTERFACE 4). So what --explain tells is what was decided, not a second opinion. Called
 * by signer.c and verify_object.c. Pure but for the arena.
 */
#include "smime/verify_internal.h"

static const struct { const char *name, *rule; } rows[CHECK_COUNT] = {
	[CHECK_STRUCTURE] = { "structure", "RFC 8551 3.5" },
	[CHECK_COVERAGE] = { "coverage", "RFC 8551 3.7" },
	[CHECK_CONTENT] = { "content", "RFC 8551 3.5" },
	[CHECK_CONTENT_TYPE] = { "content_type", "RFC 8551 2.4.2" },
	[CHECK_DIGEST_ALGORITHM] = { "digest_algorithm", "RFC 8551 2.1" },
	[CHECK_DIGEST_LISTED] = { "digest_listed", "RFC 5652 5.1" },
	[CHECK_SIGNATURE_ALGORITHM] = { "signature_algorithm", "RFC 8551 2.2" },
	[CHECK_SIGNED_ATTRIBUTES] = { "signed_attributes", "RFC 8551 2.5" },
	[CHECK_ATTRIBUTE_CONTENT_TYPE] = { "attribute_content_type", "RFC 5652 11.1" },
	[CHECK_ALGORITHM_PROTECTION] = { "algorithm_protection", "RFC 6211 3" },
	[CHECK_MESSAGE_DIGEST] = { "message_digest", "RFC 5652 5.6" },
	[CHECK_CERTIFICATE] = { "certificate", "RFC 5652 5.1" },
	[CHECK_PATH] = { "path", "RFC 5280 6" },
	[CHECK_REVOCATION] = { "revocation", "RFC 5280 6.3" },
	[CHECK_SIGNING_CERTIFICATE] = { "signing_certificate", "RFC 5035 5.4" },
	[CHECK_SIGNATURE] = { "signature", "RFC 5652 5.6" },
	[CHECK_KEY] = { "key", "RFC 8551 4.3" },
	[CHECK_USAGE] = { "usage", "RFC 8550 4.4" },
	[CHECK_FROM] = { "from", "RFC 8550 3" },
	[CHECK_HEADERS] = { "headers", "RFC 9788 4.5" },
	[CHECK_PROTECTED_FROM] = { "protected_from", "RFC 9788 4.4" },
};

/* "RFC 5652 5.6: text" names its rule itself. */
static void split_rule(struct verify_run *run, const char *text, struct check *check)
{
	struct slice whole = slice_of(text);
	long colon = slice_starts_nocase(whole, "RFC ") ? slice_find(whole, ':') : -1;

	if (colon < 0)
		return;
	check->rule = arena_string(run->arena, slice_first(whole, (size_t)colon));
	check->detail = arena_string(run->arena, slice_trim(slice_from(whole, (size_t)colon + 1)));
}

void run_check(struct verify_run *run, struct layer *layer, enum check_id id, enum result result, const char *text)
{
	struct check *check = NULL;

	if (result < layer->result) {
		layer->result = result;
		layer->reason = text;
	}
	if (layer->checks == NULL)
		layer->checks = arena_array(run->arena, CHECK_COUNT, sizeof(*layer->checks));
	if (layer->checks == NULL || layer->check_count == CHECK_COUNT) {
		run->exhausted = true;
		return;
	}
	check = &layer->checks[layer->check_count++];
	*check = (struct check){ rows[id].name, rows[id].rule, result, text };
	split_rule(run, text, check);
	if (check->rule == NULL || check->detail == NULL)
		run->exhausted = true;
}
