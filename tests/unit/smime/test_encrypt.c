/* test_encrypt.c - encrypted messages opened with OpenSSL's own CMS, and what stands in their recipient infos. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "smime/encrypt.h"
#include "smime_test.h"
#include "support/testpki.h"

#define OUTSIDE "From: alice@example.com\r\nSubject: one\r\n two\r\nMIME-Version: 1.0\r\n"

static struct testpki *root, *rsa_leaf, *ec_leaf;

static int setup(void **state)
{
	(void)state;
	root = testpki_root("Test Root");
	rsa_leaf = testpki_leaf_rsa(root, "bob@example.com");
	ec_leaf = testpki_leaf(root, "carol@example.com");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testpki_free(ec_leaf);
	testpki_free(rsa_leaf);
	testpki_free(root);
	return 0;
}

#define MAX_RECIPIENTS 4

struct fixture {
	struct arena *arena;
	struct canon canon;
	struct cert *certs[MAX_RECIPIENTS];
	struct encrypt_options options;
	struct message out;
	struct buf der;
};

static void begin(struct fixture *f, const struct testpki *const *leaves, size_t n)
{
	*f = (struct fixture){ .arena = arena_new(0) };
	f->canon = test_canon(f->arena, OUTSIDE, body_from_slice(f->arena, slice_of(ENTITY)));
	for (size_t i = 0; i < n; i++)
		f->certs[i] = testpki_cert(leaves[i]);
	f->options = (struct encrypt_options){ .certs = (const struct cert *const *)f->certs, .n = n };
	buf_init(&f->der, 0);
}

static void end(struct fixture *f)
{
	for (size_t i = 0; i < MAX_RECIPIENTS; i++)
		cert_free(f->certs[i]);
	buf_clear(&f->der);
	arena_free(f->arena);
}

static void encrypt(struct fixture *f)
{
	struct err err = { .class = ERR_NONE };
	struct buf body;

	if (encrypt_message(f->arena, &f->canon, &f->options, &f->out, &err) != 0)
		fail_msg("%s", err.text);
	body = test_read(f->out.body, 777);
	test_is_clean(buf_slice(&body));
	buf_clear(&f->der);
	f->der = test_unbase64(buf_slice(&body));
	buf_clear(&body);
}

static void decrypt(struct fixture *f, const struct testpki *leaf)
{
	CMS_ContentInfo *cms = test_cms(buf_slice(&f->der));
	BIO *out = BIO_new(BIO_s_mem());
	char *p = NULL;
	int ok = CMS_decrypt(cms, leaf->pkey, leaf->x509, NULL, out, CMS_BINARY);

	if (ok != 1)
		ERR_print_errors_fp(stderr);
	assert_int_equal(ok, 1);
	assert_int_equal(BIO_get_mem_data(out, &p), strlen(ENTITY));
	assert_memory_equal(p, ENTITY, strlen(ENTITY));
	BIO_free(out);
	CMS_ContentInfo_free(cms);
}

static bool contains(const struct buf *buf, const void *bytes, size_t n)
{
	return memmem(buf->p, buf->n, bytes, n) != NULL;
}

#define OID_BYTES 11

/* The content's cipher, as an OID with its header. */
static const unsigned char cipher_oids[CIPHER_COUNT][OID_BYTES] = {
	[CIPHER_AES256_CBC] = { 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2a },
	[CIPHER_AES128_CBC] = { 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x02 },
	[CIPHER_AES256_GCM] = { 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2e },
	[CIPHER_AES128_GCM] = { 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x06 },
};

static void check_form(const struct fixture *f)
{
	bool gcm = f->options.cipher == CIPHER_AES256_GCM || f->options.cipher == CIPHER_AES128_GCM;
	CMS_ContentInfo *cms = test_cms(buf_slice(&f->der));

	test_field_is(&f->out.header, "Content-Type", gcm ?
		      " application/pkcs7-mime; smime-type=authEnveloped-data;\r\n\tname=\"smime.p7m\"" :
		      " application/pkcs7-mime; smime-type=enveloped-data;\r\n\tname=\"smime.p7m\"");
	test_field_is(&f->out.header, "Content-Transfer-Encoding", " base64");
	test_field_is(&f->out.header, "Content-Disposition", " attachment; filename=\"smime.p7m\"");
	assert_int_equal(f->out.header.n, f->canon.outside.n + 3);
	for (size_t i = 0; i < f->canon.outside.n; i++)
		assert_ptr_equal(f->out.header.fields[i].raw.p, f->canon.outside.fields[i].raw.p);
	assert_int_equal(OBJ_obj2nid(CMS_get0_type(cms)),
			 gcm ? NID_id_smime_ct_authEnvelopedData : NID_pkcs7_enveloped);
	CMS_ContentInfo_free(cms);
	for (int i = 0; i < CIPHER_COUNT; i++)
		assert_int_equal(contains(&f->der, cipher_oids[i], OID_BYTES), i == (int)f->options.cipher);
	assert_false(contains(&f->der, "Dear Bob", 8));
}

/* RSAES-OAEP-params: SHA-256 twice, empty label. */
static void check_oaep(const X509_ALGOR *algorithm)
{
	RSA_OAEP_PARAMS *params = NULL;
	X509_ALGOR *mask = NULL;

	assert_int_equal(OBJ_obj2nid(algorithm->algorithm), NID_rsaesOaep);
	params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_OAEP_PARAMS), algorithm->parameter);
	assert_non_null(params);
	assert_int_equal(OBJ_obj2nid(params->hashFunc->algorithm), NID_sha256);
	assert_int_equal(OBJ_obj2nid(params->maskGenFunc->algorithm), NID_mgf1);
	mask = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), params->maskGenFunc->parameter);
	assert_int_equal(OBJ_obj2nid(mask->algorithm), NID_sha256);
	assert_null(params->pSourceFunc);
	X509_ALGOR_free(mask);
	RSA_OAEP_PARAMS_free(params);
}

static void check_transport(CMS_RecipientInfo *recipient, const struct encrypt_options *options)
{
	X509_ALGOR *algorithm = NULL;
	ASN1_OCTET_STRING *key_id = NULL;
	X509_NAME *issuer = NULL;
	ASN1_INTEGER *serial = NULL;

	assert_int_equal(CMS_RecipientInfo_ktri_get0_algs(recipient, NULL, NULL, &algorithm), 1);
	if (options->key_transport == TRANSPORT_OAEP)
		check_oaep(algorithm);
	else
		assert_int_equal(OBJ_obj2nid(algorithm->algorithm), NID_rsaEncryption);
	assert_int_equal(CMS_RecipientInfo_ktri_get0_signer_id(recipient, &key_id, &issuer, &serial), 1);
	assert_int_equal(key_id != NULL, options->recipient_identifier == RECIPIENT_KEY_ID);
}

/* dhSinglePass-stdDH-sha256kdf with a key wrap as long as the content key. */
static void check_agreement(CMS_RecipientInfo *recipient, const struct encrypt_options *options)
{
	bool small = options->cipher == CIPHER_AES128_CBC || options->cipher == CIPHER_AES128_GCM;
	X509_ALGOR *algorithm = NULL, *wrap = NULL;
	ASN1_OCTET_STRING *material = NULL, *key_id = NULL;
	STACK_OF(CMS_RecipientEncryptedKey) *keys = CMS_RecipientInfo_kari_get0_reks(recipient);

	assert_int_equal(CMS_RecipientInfo_kari_get0_alg(recipient, &algorithm, &material), 1);
	assert_int_equal(OBJ_obj2nid(algorithm->algorithm), NID_dhSinglePass_stdDH_sha256kdf_scheme);
	wrap = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), algorithm->parameter);
	assert_non_null(wrap);
	assert_int_equal(OBJ_obj2nid(wrap->algorithm), small ? NID_id_aes128_wrap : NID_id_aes256_wrap);
	X509_ALGOR_free(wrap);
	assert_int_equal(sk_CMS_RecipientEncryptedKey_num(keys), 1);
	assert_int_equal(CMS_RecipientEncryptedKey_get0_id(sk_CMS_RecipientEncryptedKey_value(keys, 0), &key_id, NULL,
							   NULL, NULL, NULL), 1);
	assert_int_equal(key_id != NULL, options->recipient_identifier == RECIPIENT_KEY_ID);
}

static int check_recipients(const struct fixture *f)
{
	CMS_ContentInfo *cms = test_cms(buf_slice(&f->der));
	STACK_OF(CMS_RecipientInfo) *list = CMS_get0_RecipientInfos(cms);
	int n = sk_CMS_RecipientInfo_num(list);

	for (int i = 0; i < n; i++) {
		CMS_RecipientInfo *recipient = sk_CMS_RecipientInfo_value(list, i);

		if (CMS_RecipientInfo_type(recipient) == CMS_RECIPINFO_TRANS)
			check_transport(recipient, &f->options);
		else
			check_agreement(recipient, &f->options);
	}
	CMS_ContentInfo_free(cms);
	return n;
}

/* RSA and EC in one message, every cipher, transport and identifier. */
static void mixed_recipients(void **state)
{
	const struct testpki *leaves[] = { rsa_leaf, ec_leaf };

	(void)state;
	for (int n = 0; n < CIPHER_COUNT * 4; n++) {
		struct fixture f;

		begin(&f, leaves, 2);
		f.options.cipher = (enum cipher)(n / 4);
		f.options.key_transport = n & 1 ? TRANSPORT_OAEP : TRANSPORT_PKCS1;
		f.options.recipient_identifier = n & 2 ? RECIPIENT_KEY_ID : RECIPIENT_ISSUER_SERIAL;
		encrypt(&f);
		check_form(&f);
		assert_int_equal(check_recipients(&f), 2);
		decrypt(&f, rsa_leaf);
		decrypt(&f, ec_leaf);
		end(&f);
	}
}

static void every_key(void **state)
{
	static const enum testpki_key_type types[] = { TESTPKI_P256, TESTPKI_P384, TESTPKI_P521, TESTPKI_BRAINPOOL,
		TESTPKI_RSA1024, TESTPKI_RSA3072 };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		/* keyAgreement alone: OpenSSL's own purpose check would refuse it. */
		struct testpki *leaf = testpki_make(root, &(struct testpki_spec){ .key = types[i],
						    .usage = "keyAgreement" });
		struct fixture f;

		for (int cipher = 0; cipher < CIPHER_COUNT; cipher++) {
			begin(&f, (const struct testpki *const *)&leaf, 1);
			f.options.cipher = (enum cipher)cipher;
			encrypt(&f);
			check_form(&f);
			assert_int_equal(check_recipients(&f), 1);
			decrypt(&f, leaf);
			end(&f);
		}
		testpki_free(leaf);
	}
}

static void duplicates_are_dropped(void **state)
{
	const struct testpki *leaves[] = { ec_leaf, rsa_leaf, ec_leaf, rsa_leaf };
	struct fixture f;

	(void)state;
	begin(&f, leaves, 4);
	encrypt(&f);
	assert_int_equal(check_recipients(&f), 2);
	end(&f);
}

static void key_id_falls_back(void **state)
{
	struct testpki *leaf = testpki_make(root, &(struct testpki_spec){ .key = TESTPKI_RSA2048, .no_key_ids = true });
	struct fixture f;

	(void)state;
	begin(&f, (const struct testpki *const *)&leaf, 1);
	f.options.recipient_identifier = RECIPIENT_KEY_ID;
	encrypt(&f);
	decrypt(&f, leaf);
	f.options.recipient_identifier = RECIPIENT_ISSUER_SERIAL;
	assert_int_equal(check_recipients(&f), 1);
	end(&f);
	testpki_free(leaf);
}

static void refuse(const struct testpki *leaf, const char *word)
{
	const struct testpki *leaves[] = { ec_leaf, leaf };
	struct err err = { .class = ERR_NONE };
	struct fixture f;

	begin(&f, leaves, leaf == NULL ? 0 : 2);
	assert_int_equal(encrypt_message(f.arena, &f.canon, &f.options, &f.out, &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	assert_non_null(strstr(err.text, word));
	end(&f);
}

static void unfit_certificates_are_refused(void **state)
{
	struct testpki *ed25519 = testpki_make(root, &(struct testpki_spec){ .cn = "Eddy", .key = TESTPKI_ED25519 });
	struct testpki *pss = testpki_make(root, &(struct testpki_spec){ .cn = "Pete", .key = TESTPKI_RSA_PSS });

	(void)state;
	refuse(NULL, "no certificate");
	refuse(ed25519, "CN=Eddy");
	refuse(pss, "CN=Pete");
	testpki_free(pss);
	testpki_free(ed25519);
}

/* A key too small for what it should carry is found before the first byte is sent. */
static void too_small_a_key(void **state)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
	EVP_PKEY *pkey = NULL;
	struct testpki *leaf = NULL;
	struct err err = { .class = ERR_NONE };
	struct fixture f;

	(void)state;
	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_true(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 512) > 0);
	assert_int_equal(EVP_PKEY_keygen(ctx, &pkey), 1);
	leaf = testpki_make(root, &(struct testpki_spec){ .pkey = pkey });
	begin(&f, (const struct testpki *const *)&leaf, 1);
	f.options.key_transport = TRANSPORT_OAEP;
	assert_int_equal(encrypt_message(f.arena, &f.canon, &f.options, &f.out, &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	end(&f);
	testpki_free(leaf);
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
}

/* A new key each time, but the same length: offsets in what was seen once stay true. */
static void readers_differ_in_bytes_not_in_size(void **state)
{
	const struct testpki *leaves[] = { rsa_leaf, ec_leaf };

	(void)state;
	for (int n = 0; n < CIPHER_COUNT * 3; n++) {
		struct fixture f;
		struct buf one, two;

		begin(&f, leaves, 2);
		f.canon.entity = test_lines_body(f.arena, 60000, false);
		f.options.cipher = (enum cipher)(n % CIPHER_COUNT);
		assert_int_equal(encrypt_message(f.arena, &f.canon, &f.options, &f.out, NULL), 0);
		one = test_read(f.out.body, 70000);
		two = test_read(f.out.body, 1000);
		assert_int_equal(one.n, two.n);
		assert_false(slice_equal(buf_slice(&one), buf_slice(&two)));
		buf_clear(&one);
		buf_clear(&two);
		end(&f);
	}
}

static void large_content_needs_no_memory(void **state)
{
	const struct testpki *leaves[] = { rsa_leaf, ec_leaf };

	(void)state;
	for (int cipher = CIPHER_AES128_CBC; cipher <= CIPHER_AES256_GCM; cipher++) {
		struct fixture f;
		uint64_t total = 0;
		long growth;

		begin(&f, leaves, 2);
		f.canon.entity = test_lines_body(f.arena, 50u << 20, false);
		f.options.cipher = (enum cipher)cipher;
		assert_int_equal(encrypt_message(f.arena, &f.canon, &f.options, &f.out, NULL), 0);
		growth = test_drain_growth(f.out.body, &total);
		assert_true(total > 50u << 20);
		assert_true(growth < 4096);
		end(&f);
	}
}

static void failing_source_is_an_error(void **state)
{
	for (uint64_t size = 0; size < 100000; size += 33333) {
		const struct testpki *leaves[] = { ec_leaf };
		struct fixture f;
		struct err err = { .class = ERR_NONE };

		(void)state;
		begin(&f, leaves, 1);
		f.canon.entity = test_lines_body(f.arena, size, true);
		assert_int_equal(encrypt_message(f.arena, &f.canon, &f.options, &f.out, NULL), 0);
		assert_int_equal(body_read_all(f.out.body, &f.der, &err), -1);
		assert_int_equal(err.class, ERR_LIMIT);
		assert_string_equal(err.text, "the test's source failed");
		end(&f);
	}
}

static void abandoned_readers_leak_nothing(void **state)
{
	const struct testpki *leaves[] = { rsa_leaf, ec_leaf };

	(void)state;
	for (int cipher = 0; cipher < CIPHER_COUNT; cipher++) {
		struct fixture f;
		struct stream *stream = NULL;
		char bytes[100];

		begin(&f, leaves, 2);
		f.canon.entity = test_lines_body(f.arena, 100000, false);
		f.options.cipher = (enum cipher)cipher;
		assert_int_equal(encrypt_message(f.arena, &f.canon, &f.options, &f.out, NULL), 0);
		stream = body_open(f.out.body, NULL);
		assert_non_null(stream);
		stream_close(stream);
		stream = body_open(f.out.body, NULL);
		assert_int_equal(stream_read(stream, bytes, sizeof(bytes), NULL), sizeof(bytes));
		stream_close(stream);
		end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixed_recipients), cmocka_unit_test(every_key),
		cmocka_unit_test(duplicates_are_dropped),
		cmocka_unit_test(key_id_falls_back), cmocka_unit_test(unfit_certificates_are_refused),
		cmocka_unit_test(too_small_a_key), cmocka_unit_test(readers_differ_in_bytes_not_in_size),
		cmocka_unit_test(large_content_needs_no_memory), cmocka_unit_test(failing_source_is_an_error),
		cmocka_unit_test(abandoned_readers_leak_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
