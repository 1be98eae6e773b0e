/* test_claim.c - by which addresses a certificate is a recipient's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pki/claim.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define ADDRESSES 4

struct state {
	struct arena *arena;
	struct testpki *root;
};

static int setup(void **state)
{
	static struct state s;

	s.arena = arena_new(0);
	s.root = testpki_root("Root");
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	testpki_free(s->root);
	arena_free(s->arena);
	return 0;
}

static struct cert *make(struct state *s, struct testpki_spec spec)
{
	struct testpki *pki = testpki_make(s->root, &spec);
	struct cert *cert = testpki_cert(pki);

	testpki_free(pki);
	assert_int_equal(cert_defer(s->arena, cert), 0);
	return cert;
}

static struct directory_owner owner_of(struct state *s, const char *const *addresses)
{
	struct address *list = arena_array(s->arena, ADDRESSES, sizeof(*list));
	struct directory_owner owner = { list, 0 };

	for (; owner.n < ADDRESSES && addresses[owner.n] != NULL; owner.n++)
		list[owner.n] = testdir_address(s->arena, addresses[owner.n]);
	return owner;
}

#define MISSING "RFC 8550 3: no address equals "

static void decides(void **state)
{
	static const struct {
		const char *recipient, *also, *owner[ADDRESSES], *san;
		const char *any, *primary;	/* objection with secondary_addresses and without */
	} rows[] = {
		/* Nobody says whose it is. */
		{ "bob@a", NULL, { NULL }, "email:bob@a", "", "" },
		{ "BOB@A", NULL, { NULL }, "email:bob@a", "", "" },
		{ "bob@a", NULL, { NULL }, "email:rob@a", MISSING "bob@a", MISSING "bob@a" },
		{ "bob@a", NULL, { NULL }, "DNS:a", "RFC 8550 3: no address in the certificate",
		  "RFC 8550 3: no address in the certificate" },
		/* The primary address was written to. */
		{ "bob@a", NULL, { "bob@a", "rob@a" }, "email:bob@a", "", "" },
		{ "bob@a", NULL, { "bob@a", "rob@a" }, "email:rob@a", "",
		  MISSING "bob@a, which is its owner's primary one" },
		{ "bob@a", NULL, { "bob@a", "rob@a" }, "email:eve@a", MISSING "bob@a or another one of its owner's",
		  MISSING "bob@a, which is its owner's primary one" },
		/* An alias was written to. */
		{ "rob@a", NULL, { "bob@a", "rob@a" }, "email:bob@a", "", "" },
		{ "rob@a", NULL, { "bob@a", "rob@a" }, "email:rob@a", "",
		  MISSING "bob@a, which is its owner's primary one" },
		{ "rob@a", NULL, { "bob@a", "rob@a" }, "email:rob@a,email:bob@a", "", "" },
		{ "ROB@A", NULL, { "bob@a", "Rob@a", "r@a" }, "email:R@a", "",
		  MISSING "bob@a, which is its owner's primary one" },
		/* The owner does not have the recipient's address: his others say nothing. */
		{ "rob@a", NULL, { "bob@a", "r@a" }, "email:bob@a", MISSING "rob@a", MISSING "rob@a" },
		{ "rob@a", NULL, { "bob@a", "r@a" }, "email:rob@a", "", "" },
		/* With recipient_delimiter. */
		{ "bob@a", "bob+x@a", { NULL }, "email:bob+x@a", "", "" },
		{ "bob@a", "bob+x@a", { NULL }, "email:bob+y@a", MISSING "bob@a", MISSING "bob@a" },
		{ "bob+x@a", "bob@a", { "rob@a", "bob@a" }, "email:rob@a", "", "" },
		{ "bob@a", "bob+x@a", { "bob@a" }, "email:bob+x@a", "",
		  MISSING "bob@a, which is its owner's primary one" },
	};
	struct state *s = *state;

	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		bool any = i % 2 == 0;
		const struct directory directory = { .secondary_addresses = any };
		const struct directory_owner owner = owner_of(s, rows[i / 2].owner);
		const struct directory_entry entry = { .cert = make(s, (struct testpki_spec){ .san = rows[i / 2].san }),
						       .owner = owner.n > 0 ? &owner : NULL };
		struct address recipient = testdir_address(s->arena, rows[i / 2].recipient), also;
		struct claim claim = { .named = NULL };

		if (rows[i / 2].also != NULL)
			also = testdir_address(s->arena, rows[i / 2].also);
		claim_add(&claim, &recipient, rows[i / 2].also != NULL ? &also : NULL, &directory, &entry);
		assert_string_equal(claim_objection(s->arena, &claim, entry.cert),
				    any ? rows[i / 2].any : rows[i / 2].primary);
	}
}

#define SPELLINGS 4

static void same_in_all_spellings(struct state *s, const char *const *spellings, const struct testpki_spec *spec)
{
	const struct directory any = { .secondary_addresses = true }, primary = { .secondary_addresses = false };
	struct cert *cert = make(s, *spec);

	for (size_t i = 0; i < SPELLINGS * SPELLINGS; i++) {
		const char *const owners[] = { spellings[i % SPELLINGS], NULL };
		const struct directory_owner owner = owner_of(s, owners);
		const struct directory_entry entry = { .cert = cert, .owner = &owner };
		struct address recipient = testdir_address(s->arena, spellings[i / SPELLINGS]);
		struct claim first = { .named = NULL }, second = { .named = NULL };

		claim_add(&first, &recipient, NULL, &any, &entry);
		claim_add(&second, &recipient, NULL, &primary, &entry);
		assert_non_null(first.named);
		assert_non_null(second.named);
	}
}

/* On each of the three sides. */
static void spellings(void **state)
{
	static const char *const ascii[SPELLINGS] = {
		"bob@m\xc3\xbcller.example", "bob@xn--mller-kva.example", "BOB@M\xc3\x9cLLER.example",
		"Bob@mu\xcc\x88ller.EXAMPLE",
	};
	static const char *const utf8[SPELLINGS] = {
		"j\xc3\xb6rg@m\xc3\xbcller.example", "j\xc3\xb6rg@xn--mller-kva.example",
		"J\xc3\xb6RG@M\xc3\x9cLLER.example", "j\xc3\xb6rg@XN--MLLER-KVA.EXAMPLE",
	};

	same_in_all_spellings(*state, ascii, &(struct testpki_spec){ .san = "email:bob@xn--mller-kva.example" });
	same_in_all_spellings(*state, ascii, &(struct testpki_spec){ .utf8_mailbox = "bob@m\xc3\xbcller.example" });
	same_in_all_spellings(*state, utf8, &(struct testpki_spec){ .utf8_mailbox = utf8[0] });
	same_in_all_spellings(*state, utf8, &(struct testpki_spec){ .utf8_mailbox = utf8[1] });
}

/* RFC 9598 3: no normalisation and no folding of case beyond ASCII in a local part. */
static void local_parts_are_bytes(void **state)
{
	static const char *const others[] = { "jo\xcc\x88rg@a", "J\xc3\x96RG@a", "jorg@a" };
	const struct directory directory = { .trusted = false };
	struct state *s = *state;
	struct cert *cert = make(s, (struct testpki_spec){ .utf8_mailbox = "j\xc3\xb6rg@a" });

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct address recipient = testdir_address(s->arena, others[i]);
		struct claim claim = { .named = NULL };

		claim_add(&claim, &recipient, NULL, &directory, &(struct directory_entry){ .cert = cert });
		assert_null(claim.named);
	}
}

static void trusted_only_where_it_is_his(void **state)
{
	static const char *const both[] = { "bob@a", "rob@a", NULL };
	const struct directory trusted = { .trusted = true }, other = { .secondary_addresses = true };
	struct state *s = *state;
	const struct directory_owner owner = owner_of(s, both);
	const struct directory_entry unsaid = { .cert = make(s, (struct testpki_spec){ .san = "email:rob@a" }) };
	const struct directory_entry said = { .cert = unsaid.cert, .owner = &owner };
	struct address bob = testdir_address(s->arena, "bob@a"), rob = testdir_address(s->arena, "rob@a");
	struct claim claim = { .named = NULL };

	claim_add(&claim, &bob, NULL, &trusted, &unsaid);
	assert_null(claim.named);
	claim_add(&claim, &bob, NULL, &other, &said);
	assert_ptr_equal(claim.named, &owner.addresses[1]);
	assert_false(claim.trusted);
	/* His own address goes before another one, whichever directory has it. */
	claim = (struct claim){ .named = &owner.addresses[1] };
	claim_add(&claim, &rob, NULL, &trusted, &unsaid);
	assert_ptr_equal(claim.named, &rob);
	assert_true(claim.trusted);
}

/* What records of a domain do to certificates, by the one that is named and another one. */
static void domains_have_a_say(void **state)
{
	static const struct {
		struct { int usage, selector, matching; bool other; } records[2];
		size_t n;
		bool trusted;
		int confirmed;		/* usage; -1: not */
		bool vouched, refused;
	} rows[] = {
		{ { { 0 } }, 0, true, -1, false, false },
		{ { { 3, 0, 0, false } }, 1, true, 3, true, false },
		{ { { 3, 0, 1, false } }, 1, true, 3, true, false },
		{ { { 3, 1, 2, false } }, 1, true, 3, true, false },
		{ { { 3, 1, 2, false } }, 1, false, 3, false, false },
		{ { { 1, 0, 0, false } }, 1, true, 1, false, false },
		{ { { 1, 0, 0, false } }, 1, false, 1, false, false },
		{ { { 1, 1, 1, false }, { 3, 1, 1, false } }, 2, true, 3, true, false },
		{ { { 3, 1, 1, false }, { 1, 1, 1, false } }, 2, true, 3, true, false },
		{ { { 3, 0, 0, true } }, 1, true, -1, false, true },
		{ { { 1, 1, 2, true } }, 1, true, -1, false, true },
		{ { { 3, 0, 0, true } }, 1, false, -1, false, false },
		{ { { 3, 0, 0, true }, { 1, 0, 1, false } }, 2, true, 1, false, false },
		/* CAs confirm nobody, and who else they may have meant is not known */
		{ { { 0, 0, 0, false } }, 1, true, -1, false, false },
		{ { { 2, 0, 1, false } }, 1, true, -1, false, false },
		{ { { 2, 0, 1, true }, { 3, 0, 0, true } }, 2, true, -1, false, false },
	};
	struct state *s = *state;
	struct cert *cert = make(s, (struct testpki_spec){ .san = "email:bob@a" });
	struct cert *other = make(s, (struct testpki_spec){ .san = "email:bob@a" });
	struct address bob = testdir_address(s->arena, "bob@a");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct directory files = { .name = "files" }, smimea = { .name = "smimea", .trusted = rows[i].trusted,
									 .by_association = true };
		struct directory_entry entry = { .cert = cert };
		struct smimea records[2];
		struct directory_answer answer = { .associations = records, .association_count = rows[i].n };
		struct claim claim = { .named = NULL };
		const struct smimea *by = NULL;

		for (size_t k = 0; k < rows[i].n; k++)
			assert_int_equal(smimea_make(s->arena, rows[i].records[k].other ? other : cert,
						     (enum smimea_usage)rows[i].records[k].usage,
						     (enum smimea_selector)rows[i].records[k].selector,
						     (enum smimea_matching)rows[i].records[k].matching, &records[k],
						     NULL), 0);
		claim_add(&claim, &bob, NULL, i % 2 == 0 ? &files : &smimea, &entry);
		assert_int_equal(claim_associate(&claim, &smimea, &answer, cert, &by), 0);
		assert_int_equal(by == NULL ? -1 : (int)by->usage, rows[i].confirmed);
		assert_int_equal(claim.trusted, rows[i].vouched);
		assert_string_equal(claim_objection(s->arena, &claim, cert),
				    rows[i].refused ? "RFC 8162: smimea names other certificates for the address" : "");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(decides), TEST(domains_have_a_say), TEST(spellings), TEST(local_parts_are_bytes),
		TEST(trusted_only_where_it_is_his),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
