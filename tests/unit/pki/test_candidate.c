/* test_candidate.c - which certificate is used, why the others are not, and the three answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pki/candidate.h"
#include "pki/directory_driver.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define DAY_S ((time_t)24 * 3600)

/* A directory that gives everybody what is put into it. */
struct shelf {
	struct cert *certs[16];
	const char *attributes[16];
	const struct directory_owner *owners[16];
	const char *only_for;		/* nobody else is found */
	const char *fails_for;		/* with failure: for nobody else; NULL: for everybody */
	struct capabilities capabilities[16];
	size_t values[16];
	bool preferred[16];
	size_t n;
	struct cert *chain;
	const char *failure;
	bool remembered, away;		/* answers but Bob's are from memory; the directory itself is away */
	const char *stale;		/* they are stale: why */
	unsigned questions, addresses, probes;
	int64_t deadline_ms;
};

struct state {
	struct arena *arena;
	char *scratch;
	time_t now;
	struct testpki *root, *sub;
	struct shelf shelves[3];
	struct directory directories[3];
	size_t directory_count;
	struct collection *collections[2];
	size_t collection_count;
};

static int shelf_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		      struct directory_answer *answers, struct err *err)
{
	struct shelf *shelf = self;

	(void)err;
	shelf->questions++;
	shelf->addresses += (unsigned)n;
	shelf->deadline_ms = deadline_ms;
	for (size_t i = 0; i < n; i++) {
		answers[i].remembered = shelf->remembered && !slice_is(addresses[i].local, "bob");
		answers[i].age_ms = 12345;
		if (shelf->failure != NULL &&
		    (shelf->fails_for == NULL || slice_is(addresses[i].text, shelf->fails_for))) {
			assert_int_equal(directory_answer_fail(arena, &answers[i], shelf->failure), 0);
			continue;
		}
		if (shelf->only_for != NULL && !slice_is(addresses[i].text, shelf->only_for))
			continue;
		for (size_t j = 0; j < shelf->n; j++) {
			const struct directory_entry entry = { .cert = shelf->certs[j], .attribute = shelf->attributes[j],
							       .capabilities = shelf->capabilities[j],
							       .owner = shelf->owners[j],
							       .value = shelf->values[j],
							       .preferred = shelf->preferred[j] };

			assert_int_equal(directory_answer_add(arena, &answers[i], &entry), 0);
		}
		answers[i].stale = shelf->stale != NULL;
		answers[i].failure = shelf->stale;
		if (shelf->chain != NULL)
			assert_int_equal(directory_answer_chain(arena, &answers[i], shelf->chain), 0);
	}
	return 0;
}

static int shelf_probe(void *self, struct err *err)
{
	struct shelf *shelf = self;

	shelf->probes++;
	return shelf->away ? err_set(err, ERR_TEMP, "connection refused") : 0;
}

static const struct directory_class shelf_class = { .find = shelf_find, .probe = shelf_probe };

static int setup(void **state)
{
	static const char *const names[] = { "first", "second", "third" };
	static struct state s;

	memset(&s, 0, sizeof(s));
	s.arena = arena_new(0);
	s.scratch = testdir_scratch();
	s.now = time(NULL);
	s.root = testpki_root("Root");
	s.sub = testpki_sub(s.root, "Sub");
	for (size_t i = 0; i < 3; i++)
		s.directories[i] = (struct directory){ .class = &shelf_class, .self = &s.shelves[i], .name = names[i] };
	s.directory_count = 1;
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < s->shelves[i].n; j++)
			cert_free(s->shelves[i].certs[j]);
		cert_free(s->shelves[i].chain);
	}
	for (size_t i = 0; i < s->collection_count; i++)
		collection_free(s->collections[i]);
	testpki_free(s->sub);
	testpki_free(s->root);
	testdir_remove(s->scratch);
	arena_free(s->arena);
	return 0;
}

static void put_cert(struct state *s, size_t shelf, struct cert *cert, const char *attribute)
{
	s->shelves[shelf].certs[s->shelves[shelf].n] = cert;
	s->shelves[shelf].values[s->shelves[shelf].n] = s->shelves[shelf].n;
	s->shelves[shelf].attributes[s->shelves[shelf].n++] = attribute;
}

/* Made by Sub unless the specification says something else; SAN alice@example.com. */
static struct cert *make(struct state *s, struct testpki_spec spec)
{
	struct testpki *pki;
	struct cert *cert;

	if (spec.san == NULL)
		spec.san = "email:alice@example.com";
	pki = testpki_make(s->sub, &spec);
	cert = testpki_cert(pki);
	testpki_free(pki);
	return cert;
}

static void put(struct state *s, size_t shelf, struct testpki_spec spec)
{
	put_cert(s, shelf, make(s, spec), "attr");
}

static void add_collection(struct state *s, const char *name, const struct testpki *pki, const char *domain)
{
	char *path = testdir_path(s->scratch, name);
	const char *files[] = { path }, *domains[] = { domain };
	struct collection_settings settings = { .name = name, .files = { files, 1 }, .domains = { domains, 1 },
						.revocation = REVOCATION_SOFT };
	struct err err = { .text = "" };

	testpki_write_pem(path, pki, TESTPKI_CERT | TESTPKI_CHAIN);
	s->collections[s->collection_count] = collection_load(&settings, &(struct collection_env){ .report = NULL }, &err);
	free(path);
	if (s->collections[s->collection_count++] == NULL)
		fail_msg("%s", err.text);
}

static struct candidate_list ask_with(struct state *s, const char *text, const char *delimiter)
{
	struct address address = testdir_address(s->arena, text);
	struct candidate_query query = {
		.addresses = &address, .n = 1, .delimiter = delimiter,
		.directories = s->directories, .directory_count = s->directory_count,
		.collections = (const struct collection *const *)s->collections,
		.collection_count = s->collection_count, .at = s->now, .deadline_ms = 4711,
	};
	struct candidate_list list;
	struct err err = { .text = "" };

	if (candidate_find(s->arena, &query, &list, &err) != 0)
		fail_msg("%s", err.text);
	return list;
}

static struct candidate_list ask_for(struct state *s, const char *text)
{
	return ask_with(s, text, NULL);
}

static struct candidate_list ask(struct state *s)
{
	return ask_for(s, "alice@example.com");
}

/* The reason why the only certificate is not used. */
static const char *reason_of(struct state *s, struct testpki_spec spec)
{
	struct candidate_list list;

	cert_free(s->shelves[0].n > 0 ? s->shelves[0].certs[0] : NULL);
	s->shelves[0].n = 0;
	put(s, 0, spec);
	list = ask(s);
	assert_int_equal(list.n, 1);
	assert_int_equal(list.status, list.items[0].usable ? DIRECTORY_FOUND : DIRECTORY_NONE);
	assert_int_equal(list.items[0].rank, list.items[0].usable ? 1 : 0);
	return list.items[0].reason;
}

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void reasons_name_the_rule(void **state)
{
	struct state *s = *state;
	char expired[64];

	s->directories[0].trusted = true;
	assert_string_equal(reason_of(s, (struct testpki_spec){ .key = TESTPKI_P256 }), "");
	assert_has(reason_of(s, (struct testpki_spec){ .key = TESTPKI_RSA1024 }), "RSA 1024 bits: too weak");
	assert_has(reason_of(s, (struct testpki_spec){ .key = TESTPKI_RSA_PSS }), "unsupported key type");
	assert_has(reason_of(s, (struct testpki_spec){ .key = TESTPKI_ED25519 }), "unsupported key type");
	assert_has(reason_of(s, (struct testpki_spec){ .key = TESTPKI_BRAINPOOL }), "unsupported key type");
	clock_format(s->now - 60, expired, sizeof(expired));
	assert_has(reason_of(s, (struct testpki_spec){ .not_after = s->now - 60 }), "expired ");
	assert_has(reason_of(s, (struct testpki_spec){ .not_after = s->now - 60 }), expired);
	assert_has(reason_of(s, (struct testpki_spec){ .not_before = s->now + 3600 }), "not valid before ");
	assert_has(reason_of(s, (struct testpki_spec){ .san = "email:b@x.example" }),
		   "no address equals alice@example.com");
	assert_has(reason_of(s, (struct testpki_spec){ .san = "DNS:x.example" }), "no address");
}

static void usages_decide(void **state)
{
	static const struct {
		struct testpki_spec spec;
		const char *reason;	/* NULL: usable */
	} rows[] = {
		{ { .usage = "keyAgreement" }, NULL },
		{ { .usage = "digitalSignature,keyAgreement", .eku = "emailProtection" }, NULL },
		{ { .eku = "anyExtendedKeyUsage" }, NULL },
		{ { .usage = "keyEncipherment" }, "RFC 8550 4.4.2: keyUsage does not allow keyAgreement" },
		{ { .usage = "digitalSignature" }, "RFC 8550 4.4.2: keyUsage does not allow keyAgreement" },
		{ { .usage = "keyAgreement,decipherOnly" }, "decipher only" },
		{ { .usage = "keyAgreement", .eku = "serverAuth" }, "RFC 8550 4.4.4: extendedKeyUsage" },
		{ { .usage = "digitalSignature", .eku = "clientAuth,1.3.6.1.4.1.311.20.2.2" },
		  "RFC 8550 4.4.4: extendedKeyUsage does not allow emailProtection: a certificate for smart-card logon" },
		{ { .eku = "1.3.6.1.4.1.311.10.3.4" },
		  "RFC 8550 4.4.4: extendedKeyUsage does not allow emailProtection: a certificate for file encryption (EFS)" },
		{ { .eku = "clientAuth,emailProtection,1.3.6.1.4.1.311.20.2.2" }, NULL },
		{ { .key = TESTPKI_RSA2048, .usage = "keyEncipherment" }, NULL },
		{ { .key = TESTPKI_RSA2048, .usage = "keyAgreement" },
		  "RFC 8550 4.4.2: keyUsage does not allow keyEncipherment" },
	};
	struct state *s = *state;

	s->directories[0].trusted = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *reason = reason_of(s, rows[i].spec);

		if (rows[i].reason == NULL)
			assert_string_equal(reason, "");
		else
			assert_has(reason, rows[i].reason);
	}
}

static void newest_usable_first(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	s->directories[0].trusted = true;
	put(s, 0, (struct testpki_spec){ .cn = "old", .not_before = s->now - 30 * DAY_S });
	put(s, 0, (struct testpki_spec){ .cn = "future", .not_before = s->now + DAY_S });
	put(s, 0, (struct testpki_spec){ .cn = "new", .not_before = s->now - 2 * DAY_S });
	put(s, 0, (struct testpki_spec){ .cn = "signing", .not_before = s->now - 60, .usage = "digitalSignature" });
	put(s, 0, (struct testpki_spec){ .cn = "middle", .not_before = s->now - 9 * DAY_S });
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FOUND);
	assert_int_equal(list.n, 5);
	for (size_t i = 0; i < 5; i++) {
		static const char *const names[] = { "CN=new", "CN=middle", "CN=old", "CN=future", "CN=signing" };

		assert_has(cert_info(list.items[i].cert)->subject, names[i]);
		assert_int_equal(list.items[i].usable, i < 3);
		assert_int_equal(list.items[i].rank, i < 3 ? i + 1 : 0);
		assert_int_equal(list.items[i].reason[0] == '\0', i < 3);
	}
}

/* What is preferred in a value, and unusable, hides nothing; what is newer elsewhere goes first. */
static void preferred_within_its_value(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	s->directories[0].trusted = true;
	put(s, 0, (struct testpki_spec){ .cn = "newer", .not_before = s->now - 2 * DAY_S });
	put(s, 0, (struct testpki_spec){ .cn = "preferred", .not_before = s->now - 9 * DAY_S });
	put(s, 0, (struct testpki_spec){ .cn = "expired", .not_before = s->now - 9 * DAY_S, .not_after = s->now - 60 });
	for (size_t i = 0; i < 3; i++) {
		s->shelves[0].values[i] = 7;
		s->shelves[0].preferred[i] = i > 0;
	}
	list = ask(s);
	assert_has(cert_info(list.items[0].cert)->subject, "CN=preferred");
	assert_has(cert_info(list.items[1].cert)->subject, "CN=newer");
	put(s, 0, (struct testpki_spec){ .cn = "renewed", .not_before = s->now - 3 * DAY_S });
	list = ask(s);
	assert_has(cert_info(list.items[0].cert)->subject, "CN=renewed");
	assert_has(cert_info(list.items[1].cert)->subject, "CN=preferred");
	assert_has(cert_info(list.items[2].cert)->subject, "CN=newer");
	assert_has(list.items[3].reason, "expired");
}

/* The signing certificate says what the one to be encrypted to reads, if both are the recipient's. */
static void capabilities_of_the_signing_certificate(void **state)
{
	static const struct { const char *san; bool ours, same_value, known; } cases[] = {
		{ NULL, true, true, true }, { NULL, true, false, false }, { NULL, false, true, false },
		{ "email:mallory@example.com", true, true, false },
	};
	struct state *s = *state;
	struct shelf *shelf = &s->shelves[0];

	add_collection(s, "all", s->root, "*");
	s->shelves[0].chain = testpki_cert(s->sub);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct testpki_spec signing = { .cn = "signing", .usage = "digitalSignature", .san = cases[i].san };
		struct testpki *self = testpki_make(NULL, &(struct testpki_spec){
			.cn = "self", .usage = "digitalSignature", .san = "email:alice@example.com" });
		struct candidate_list list;

		put(s, 0, (struct testpki_spec){ .cn = "encryption" });
		put_cert(s, 0, cases[i].ours ? make(s, signing) : testpki_cert(self), "attr");
		shelf->capabilities[1] = (struct capabilities){ .known = true, .ciphers = 1 << CIPHER_AES128_CBC };
		shelf->values[1] = cases[i].same_value ? 0 : 1;
		list = ask(s);
		assert_int_equal(list.status, DIRECTORY_FOUND);
		assert_has(cert_info(list.items[0].cert)->subject, "CN=encryption");
		assert_int_equal(list.items[0].capabilities.known, cases[i].known);
		cert_free(shelf->certs[0]);
		cert_free(shelf->certs[1]);
		shelf->n = 0;
		testpki_free(self);
	}
}

static void sources_are_joined(void **state)
{
	struct state *s = *state;
	struct cert *cert = make(s, (struct testpki_spec){ .cn = "Alice" });
	struct candidate_list list;

	put_cert(s, 0, cert, "userCertificate");
	put_cert(s, 0, cert_ref(cert), "userSMIMECertificate");
	put_cert(s, 0, cert_ref(cert), "userCertificate");
	put_cert(s, 1, cert_ref(cert), "alice.pem");
	s->shelves[0].capabilities[1] = (struct capabilities){ .known = true, .ciphers = 1 << CIPHER_AES128_GCM };
	s->directory_count = 2;
	/* Trusted if one of its directories is. */
	s->directories[1].trusted = true;
	list = ask(s);
	assert_int_equal(list.n, 1);
	assert_string_equal(list.items[0].source,
			    "first userCertificate, first userSMIMECertificate, second alice.pem");
	assert_true(list.items[0].usable);
	assert_true(list.items[0].capabilities.known);
	assert_int_equal(list.items[0].capabilities.ciphers, 1 << CIPHER_AES128_GCM);
	assert_int_equal(list.asked_count, 2);
	assert_string_equal(list.asked[0], "first: 3 certificates");
	assert_string_equal(list.asked[1], "second: 1 certificate");
}

static void collections_vouch(void **state)
{
	struct state *s = *state;
	struct testpki *other = testpki_root("Other");
	struct candidate_list list;

	put(s, 0, (struct testpki_spec){ .cn = "Alice" });
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_NONE);
	assert_string_equal(list.items[0].reason, "not trusted: no collection may vouch for this address");
	add_collection(s, "others", other, "*");
	testpki_free(other);
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_NONE);
	assert_has(list.items[0].reason, "not trusted by collection others: ");
	add_collection(s, "partners", s->sub, "*");
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FOUND);
	assert_string_equal(list.items[0].reason, "");
}

static void collections_vouch_for_their_domains_only(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	put(s, 0, (struct testpki_spec){ .san = "email:alice@example.com,email:alice@partner.example" });
	add_collection(s, "partners", s->sub, "partner.example");
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_NONE);
	list = ask_for(s, "ALICE@partner.example");
	assert_int_equal(list.status, DIRECTORY_FOUND);
}

/* Who vouches has to be entitled to the address in the certificate, too. */
static void collections_vouch_for_the_owners_other_addresses(void **state)
{
	struct state *s = *state;
	const struct address addresses[] = { testdir_address(s->arena, "alice@other.example"),
					     testdir_address(s->arena, "alice@partner.example") };
	const struct directory_owner owner = { addresses, 2 };
	struct candidate_list list;

	put(s, 0, (struct testpki_spec){ .san = "email:alice@other.example" });
	s->shelves[0].owners[0] = &owner;
	s->directories[0].secondary_addresses = true;
	add_collection(s, "partners", s->sub, "partner.example");
	list = ask_for(s, "alice@partner.example");
	assert_int_equal(list.status, DIRECTORY_NONE);
	assert_string_equal(list.items[0].reason,
			    "not trusted: no collection may vouch for this address and for alice@other.example");
	add_collection(s, "all", s->sub, "*");
	list = ask_for(s, "alice@partner.example");
	assert_int_equal(list.status, DIRECTORY_FOUND);
	s->directories[0].secondary_addresses = false;
	assert_int_equal(ask_for(s, "alice@partner.example").status, DIRECTORY_FOUND);
	s->shelves[0].owners[0] = NULL;
	assert_int_equal(ask_for(s, "alice@partner.example").status, DIRECTORY_NONE);
}

static void chain_of_the_directory_helps(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	put(s, 0, (struct testpki_spec){ .cn = "Alice" });
	add_collection(s, "roots", s->root, "*");
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_NONE);
	assert_has(list.items[0].reason, "not trusted by collection roots: ");
	/* From another directory, even. */
	s->shelves[1].chain = testpki_cert(s->sub);
	s->directory_count = 2;
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FOUND);
}

static void revoked_ones_are_refused(void **state)
{
	struct state *s = *state;
	struct testpki *alice = testpki_leaf(s->sub, "alice@example.com");
	char *ca = testdir_path(s->scratch, "sub.pem"), *crl = testdir_path(s->scratch, "sub.crl");
	const char *files[] = { ca }, *domains[] = { "*" }, *crls[] = { crl };
	struct collection_settings settings = { .name = "strict", .files = { files, 1 }, .domains = { domains, 1 },
						.revocation = REVOCATION_SOFT, .crls = { crls, 1 } };
	const struct testpki *const revoked[] = { alice };
	struct candidate_list list;
	struct buf bytes;
	struct err err;

	testpki_write_pem(ca, s->sub, TESTPKI_CERT | TESTPKI_CHAIN);
	buf_init(&bytes, 0);
	testpki_crl(s->sub, revoked, 1, 0, 0, false, &bytes);
	testpki_write(crl, &bytes, 0644);
	buf_clear(&bytes);
	s->collections[s->collection_count] = collection_load(&settings, &(struct collection_env){ .report = NULL }, &err);
	assert_non_null(s->collections[s->collection_count++]);
	put_cert(s, 0, testpki_cert(alice), "attr");
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_NONE);
	assert_string_equal(list.items[0].reason, "revoked, says collection strict");
	testpki_free(alice);
	free(ca);
	free(crl);
}

/* A collection that demands to know of revocation, and knows nothing: that is no "none", after which mail would bounce
 * or go out in plain text. */
static void unknown_revocation_is_no_none(void **state)
{
	struct state *s = *state;
	char *ca = testdir_path(s->scratch, "sub.pem");
	const char *files[] = { ca }, *domains[] = { "*" };
	struct collection_settings settings = { .name = "strict", .files = { files, 1 }, .domains = { domains, 1 },
						.revocation = REVOCATION_HARD };
	struct candidate_list list;
	struct err err;

	testpki_write_pem(ca, s->sub, TESTPKI_CERT | TESTPKI_CHAIN);
	s->collections[s->collection_count] = collection_load(&settings, &(struct collection_env){ .report = NULL }, &err);
	assert_non_null(s->collections[s->collection_count++]);
	put(s, 0, (struct testpki_spec){ .key = TESTPKI_P256 });
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_true(list.undecided);
	assert_string_equal(list.failure, "revocation is unknown, and collection strict demands to know");
	s->shelves[1].failure = "timed out";
	s->directory_count = 2;
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_false(list.undecided);
	assert_string_equal(list.failure, "second: timed out");
	free(ca);
}

static void three_answers(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	s->directory_count = 2;
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_NONE);
	assert_null(list.failure);
	s->shelves[1].failure = "timed out";
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_string_equal(list.failure, "second: timed out");
	assert_string_equal(list.asked[0], "first: none");
	assert_string_equal(list.asked[1], "second: could not ask: timed out");
	/* An unusable certificate and a failure: not none. */
	put(s, 0, (struct testpki_spec){ .not_after = s->now - 60 });
	s->directories[0].trusted = true;
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_int_equal(list.n, 1);
	put(s, 0, (struct testpki_spec){ .cn = "good" });
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FOUND);
	assert_true(list.incomplete);
	s->shelves[0].failure = "no route";
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_string_equal(list.failure, "first: no route; second: timed out");
}

/* An outage must become neither plaintext nor a refusal for good because of what is remembered. */
static void remembered_none_needs_the_directory(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	s->directory_count = 1;
	s->directories[0].trusted = true;
	assert_int_equal(ask(s).status, DIRECTORY_NONE);
	assert_int_equal(s->shelves[0].probes, 0);
	s->shelves[0].remembered = true;
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_NONE);
	assert_string_equal(list.asked[0], "first: none; asked 12 s ago");
	assert_int_equal(s->shelves[0].probes, 1);
	s->shelves[0].away = true;
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_string_equal(list.failure, "first: connection refused");
	put(s, 0, (struct testpki_spec){ .not_after = s->now - DAY_S });
	assert_int_equal(ask(s).status, DIRECTORY_FAILED);
	put(s, 0, (struct testpki_spec){ .cn = "good" });
	assert_int_equal(ask(s).status, DIRECTORY_FOUND);
}

/* It has just answered: there is nothing to be found out. */
static void an_answer_to_the_same_query_proves_that_the_directory_is_there(void **state)
{
	struct state *s = *state;
	struct address addresses[2] = { testdir_address(s->arena, "alice@example.com"),
					testdir_address(s->arena, "bob@example.com") };
	struct candidate_query query = { .addresses = addresses, .n = 2, .directories = s->directories,
					 .directory_count = 1, .at = s->now };
	struct candidate_list lists[2];
	struct err err;

	s->shelves[0].remembered = s->shelves[0].away = true;
	assert_int_equal(candidate_find(s->arena, &query, lists, &err), 0);
	assert_int_equal(lists[0].status, DIRECTORY_NONE);
	assert_int_equal(s->shelves[0].probes, 0);
	query.n = 1;
	assert_int_equal(candidate_find(s->arena, &query, lists, &err), 0);
	assert_int_equal(lists[0].status, DIRECTORY_FAILED);
}

/* What it had before may serve, marked; that nothing of it is of use says nothing about what it has now. */
static void a_stale_answer_counts_and_is_no_none(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	s->directory_count = 1;
	s->directories[0].trusted = true;
	s->shelves[0].remembered = true;
	s->shelves[0].stale = "timed out";
	put(s, 0, (struct testpki_spec){ .not_after = s->now - DAY_S });
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_string_equal(list.failure, "first: timed out (stale: asked 12 s ago)");
	assert_int_equal(s->shelves[0].probes, 0);
	put(s, 0, (struct testpki_spec){ .cn = "good" });
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FOUND);
	assert_true(list.incomplete);
	assert_string_equal(list.failure, "first: timed out (stale: asked 12 s ago)");
	assert_has(list.items[0].source, " (stale)");
	assert_string_equal(list.asked[0],
			    "first: 2 certificates; stale: asked 12 s ago, and the directory is away: timed out");
}

static void directories_are_asked_once_and_for_their_domains(void **state)
{
	struct state *s = *state;
	struct pattern pattern;
	struct address addresses[3];
	struct candidate_list lists[3];
	struct candidate_query query = { .addresses = addresses, .n = 3, .directories = s->directories,
					 .directory_count = 3, .at = s->now, .deadline_ms = 4711 };
	struct err err;

	assert_int_equal(pattern_parse_domain(s->arena, "example.com", &pattern, &err), 0);
	for (size_t i = 0; i < 2; i++)
		s->directories[i].domains = (struct pattern_list){ &pattern, 1 };
	s->directories[2].domains = (struct pattern_list){ &pattern, 1 };
	addresses[0] = testdir_address(s->arena, "alice@example.com");
	addresses[1] = testdir_address(s->arena, "alice@elsewhere.example");
	addresses[2] = testdir_address(s->arena, "bob@example.com");
	s->shelves[1].failure = "down";
	put(s, 0, (struct testpki_spec){ .cn = "Alice" });
	s->directories[0].trusted = true;
	assert_int_equal(candidate_find(s->arena, &query, lists, &err), 0);
	assert_int_equal(s->shelves[0].questions, 1);
	assert_int_equal(s->shelves[0].addresses, 2);
	assert_int_equal(s->shelves[0].deadline_ms, 4711);
	assert_int_equal(lists[0].status, DIRECTORY_FOUND);
	/* Nobody is responsible: that is none, whatever failed elsewhere. */
	assert_int_equal(lists[1].status, DIRECTORY_NONE);
	assert_int_equal(lists[1].asked_count, 0);
	/* What the directory has for Bob is Alice's. */
	assert_int_equal(lists[2].status, DIRECTORY_FAILED);
	assert_has(lists[2].items[0].reason, "no address equals bob@example.com");
}

static void whole_address_before_its_base(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	s->directory_count = 2;
	s->directories[0].trusted = s->directories[1].trusted = true;
	s->shelves[0].only_for = "alice+x@example.com";
	s->shelves[1].only_for = "alice@example.com";
	put(s, 1, (struct testpki_spec){ .cn = "base", .not_before = s->now - DAY_S });
	list = ask_with(s, "alice+x@example.com", "+");
	assert_int_equal(list.status, DIRECTORY_FOUND);
	assert_has(cert_info(list.items[0].cert)->subject, "CN=base");
	assert_int_equal(s->shelves[0].questions, 1);
	assert_int_equal(s->shelves[0].addresses, 2);
	assert_int_equal(ask_with(s, "alice+x@example.com", "-").status, DIRECTORY_NONE);
	assert_int_equal(ask_with(s, "alice+x@example.com", "").status, DIRECTORY_NONE);
	/* The base's certificate may have the whole address instead. */
	put(s, 1, (struct testpki_spec){ .cn = "also", .san = "email:alice+x@example.com", .not_before = s->now - 60 });
	assert_has(cert_info(ask_with(s, "alice+x@example.com", "+").items[0].cert)->subject, "CN=also");
	assert_int_equal(ask_with(s, "alice+y@example.com", "+").items[1].usable, false);
	/* What the whole address has goes before, however old; useless, it stands behind. */
	put(s, 0, (struct testpki_spec){ .cn = "expired", .san = "email:alice+x@example.com", .not_after = s->now - 60 });
	list = ask_with(s, "alice+x@example.com", "+");
	assert_int_equal(list.n, 3);
	assert_has(cert_info(list.items[0].cert)->subject, "CN=also");
	assert_has(cert_info(list.items[2].cert)->subject, "CN=expired");
	assert_has(list.items[2].reason, "expired ");
	put(s, 0, (struct testpki_spec){ .cn = "whole", .san = "email:alice+x@example.com",
					 .not_before = s->now - 9 * DAY_S });
	list = ask_with(s, "alice+x@example.com", "+");
	assert_int_equal(list.n, 4);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = { "CN=whole", "CN=also", "CN=base", "CN=expired" };

		assert_has(cert_info(list.items[i].cert)->subject, names[i]);
		assert_int_equal(list.items[i].rank, i < 3 ? i + 1 : 0);
	}
	assert_false(list.incomplete);
}

static void base_and_whole_that_could_not_be_asked(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	s->directory_count = 2;
	s->directories[0].trusted = true;
	s->shelves[0].only_for = "alice@example.com";
	s->shelves[1].failure = "timed out";
	list = ask_with(s, "alice+x@example.com", "+");
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_string_equal(list.failure, "second: timed out");
	put(s, 0, (struct testpki_spec){ .cn = "base" });
	list = ask_with(s, "alice+x@example.com", "+");
	assert_int_equal(list.status, DIRECTORY_FOUND);
	assert_true(list.incomplete);
	assert_string_equal(list.failure, "second: timed out");
}

/* One directory that fails for the one form of the address and not for the other. */
static void base_or_whole_that_could_not_be_asked(void **state)
{
	static const char *const failing[] = { "alice@example.com", "alice+x@example.com" };
	struct state *s = *state;

	s->directories[0].trusted = true;
	put(s, 0, (struct testpki_spec){ .san = "email:alice@example.com,email:alice+x@example.com" });
	s->shelves[0].failure = "busy";
	for (size_t i = 0; i < 2; i++) {
		struct candidate_list list;

		s->shelves[0].fails_for = failing[i];
		list = ask_with(s, "alice+x@example.com", "+");
		assert_int_equal(list.status, DIRECTORY_FOUND);
		assert_true(list.incomplete);
		assert_string_equal(list.failure, "first: busy");
		s->shelves[0].only_for = "nobody@example.com";
		list = ask_with(s, "alice+x@example.com", "+");
		assert_int_equal(list.status, DIRECTORY_FAILED);
		assert_string_equal(list.failure, "first: busy");
		s->shelves[0].only_for = NULL;
	}
}

#define CROWD 30

/* What somebody wrote into his entry: CAs of one name, and certificates that none of them has signed. */
struct crowd {
	struct cert *cas[CROWD], *leaves[CROWD], *good;
	size_t more;			/* entries */
};

static int crowd_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		      struct directory_answer *answers, struct err *err)
{
	const struct crowd *crowd = self;
	struct directory_entry entry = { .attribute = "attr" };

	(void)addresses;
	(void)n;
	(void)deadline_ms;
	(void)err;
	for (size_t i = 0; i < CROWD; i++)
		assert_int_equal(directory_answer_chain(arena, answers, crowd->cas[i]), 0);
	for (entry.value = 0; entry.value < CROWD + crowd->more; entry.value++) {
		entry.cert = crowd->leaves[entry.value % CROWD];
		assert_int_equal(directory_answer_add(arena, answers, &entry), 0);
	}
	entry.cert = crowd->good;
	return crowd->good == NULL ? 0 : directory_answer_add(arena, answers, &entry);
}

static const struct directory_class crowd_class = { .find = crowd_find };

static void make_crowd(struct crowd *crowd)
{
	const struct testpki_spec ca = { .cn = "Crowd", .ca = true, .no_key_ids = true };
	const struct testpki_spec leaf = { .san = "email:alice@example.com", .no_key_ids = true };
	struct testpki *issuer = testpki_make(NULL, &ca);

	for (size_t i = 0; i < CROWD; i++) {
		struct testpki *other = testpki_make(issuer, &ca), *alice = testpki_make(issuer, &leaf);

		crowd->cas[i] = testpki_cert(other);
		crowd->leaves[i] = testpki_cert(alice);
		testpki_free(other);
		testpki_free(alice);
	}
	testpki_free(issuer);
}

/* Whoever writes to him does not pay for it, no certificate of his is hidden by it, and it is no "none". */
static void a_crowd_is_not_tried_to_its_end(void **state)
{
	struct state *s = *state;
	struct crowd crowd = { .good = NULL };
	struct candidate_list list;
	size_t tried = 0;

	make_crowd(&crowd);
	add_collection(s, "partners", s->sub, "*");
	s->directories[0] = (struct directory){ .class = &crowd_class, .self = &crowd, .name = "first" };
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_has(list.failure, "too many CA certificates");
	for (size_t i = 0; i < list.n; i++)
		tried += strstr(list.items[i].reason, "not trusted by collection partners") != NULL;
	assert_true(tried > 10 && tried < CROWD);
	crowd.good = make(s, (struct testpki_spec){ .cn = "Alice" });
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FOUND);
	assert_ptr_equal(list.chosen[0].used->cert, crowd.good);
	crowd.more = 1000 - CROWD;
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_FAILED);
	assert_has(list.failure, "first: more than 1000 certificates");
	for (size_t i = 0; i < CROWD; i++) {
		cert_free(crowd.cas[i]);
		cert_free(crowd.leaves[i]);
	}
	cert_free(crowd.good);
}

static void nothing_to_ask(void **state)
{
	struct state *s = *state;
	struct candidate_list list;

	s->directory_count = 0;
	list = ask(s);
	assert_int_equal(list.status, DIRECTORY_NONE);
	assert_int_equal(list.n, 0);
}

static void no_memory_is_an_error(void **state)
{
	struct state *s = *state;
	struct arena *small = arena_new(300);
	struct address address = testdir_address(s->arena, "alice@example.com");
	struct candidate_query query = { .addresses = &address, .n = 1, .directories = s->directories,
					 .directory_count = 3, .at = s->now };
	struct candidate_list list;
	struct err err;

	assert_int_equal(candidate_find(small, &query, &list, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	arena_free(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reasons_name_the_rule), TEST(usages_decide), TEST(newest_usable_first), TEST(preferred_within_its_value),
		TEST(capabilities_of_the_signing_certificate), TEST(sources_are_joined),
		TEST(collections_vouch), TEST(collections_vouch_for_their_domains_only),
		TEST(collections_vouch_for_the_owners_other_addresses), TEST(whole_address_before_its_base),
		TEST(base_and_whole_that_could_not_be_asked), TEST(base_or_whole_that_could_not_be_asked),
		TEST(chain_of_the_directory_helps), TEST(revoked_ones_are_refused),
		TEST(unknown_revocation_is_no_none), TEST(three_answers), TEST(remembered_none_needs_the_directory),
		TEST(an_answer_to_the_same_query_proves_that_the_directory_is_there),
		TEST(a_stale_answer_counts_and_is_no_none),
		TEST(directories_are_asked_once_and_for_their_domains), TEST(nothing_to_ask),
		TEST(a_crowd_is_not_tried_to_its_end), TEST(no_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
