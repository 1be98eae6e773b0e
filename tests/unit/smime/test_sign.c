/* test_sign.c - signatures as OpenSSL's own CMS reads them, their attributes and certificates, their MIME form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smime/sign.h"
#include "smime_test.h"
#include "support/testpki.h"

#define OUTSIDE "From: alice@example.com\r\nSubject: one\r\n two\r\nMIME-Version: 1.0 (odd)\r\nX-Last:\r\n"
#define NOW ((time_t)1795294517)	/* 2026-11-21T20:55:17Z */

static struct testpki *root, *sub, *rsa_leaf, *ec_leaf;

static int setup(void **state)
{
	(void)state;
	root = testpki_root("Test Root");
	sub = testpki_sub(root, "Test Issuing CA");
	rsa_leaf = testpki_leaf_rsa(sub, "alice@example.com");
	ec_leaf = testpki_leaf(sub, "alice@example.com");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testpki_free(ec_leaf);
	testpki_free(rsa_leaf);
	testpki_free(sub);
	testpki_free(root);
	return 0;
}

struct fixture {
	struct arena *arena;
	struct key *key;
	struct canon canon;
	struct message out;
	struct buf body;
	struct slice entity;	/* what was signed, as it stands in the message; clear only */
	struct buf der;
};

static void begin(struct fixture *f, const struct testpki *leaf)
{
	*f = (struct fixture){ .arena = arena_new(0), .key = testpki_key(leaf) };
	f->canon = test_canon(f->arena, OUTSIDE, body_from_slice(f->arena, slice_of(ENTITY)));
	buf_init(&f->body, 0);
	buf_init(&f->der, 0);
}

static void end(struct fixture *f)
{
	buf_clear(&f->der);
	buf_clear(&f->body);
	key_free(f->key);
	arena_free(f->arena);
}

static struct sign_options options_of(const struct fixture *f, enum sign_format format, enum digest digest)
{
	return (struct sign_options){ .key = f->key, .digest = digest, .format = format, .now = NOW };
}

/* Takes the bytes of a multipart/signed apart by hand, as strictly as the worst reader. */
static void split_clear(struct fixture *f)
{
	static const char middle[] = "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n";
	struct slice type = header_find(&f->out.header, "Content-Type", 0)->value;
	struct param_list params;
	char *text = buf_string(&f->body), *delimiter, *second;
	size_t n;

	assert_int_equal(param_parse(f->arena, type, &params, NULL), 0);
	assert_true(slice_is(params.value, "multipart/signed"));
	assert_true(slice_is(param_get(&params, "protocol"), "application/pkcs7-signature"));
	delimiter = arena_printf(f->arena, "\r\n--%.*s", SLICE_ARGS(param_get(&params, "boundary")));
	n = strlen(delimiter);
	assert_true(n > 32);
	assert_memory_equal(text, delimiter + 2, n - 2);
	assert_memory_equal(text + n - 2, "\r\n", 2);
	second = strstr(text, delimiter);
	assert_non_null(second);
	f->entity = slice_make(text + n, (size_t)(second - text) - n);
	second += n + 2;
	assert_memory_equal(second, middle, sizeof(middle) - 1);
	second += sizeof(middle) - 1;
	text = strstr(second, delimiter);
	assert_non_null(text);
	f->der = test_unbase64(slice_make(second, (size_t)(text - second)));
	assert_string_equal(text + n, "--\r\n");
}

static void sign(struct fixture *f, const struct sign_options *options)
{
	struct err err = { .class = ERR_NONE };

	assert_int_equal(sign_message(f->arena, &f->canon, options, &f->out, &err), 0);
	f->body = test_read(f->out.body, 777);
	test_is_clean(buf_slice(&f->body));
	if (options->format == SIGN_CLEAR && f->canon.seven_bit)
		split_clear(f);
	else
		f->der = test_unbase64(buf_slice(&f->body));
}

/* Verifies and returns the object (CMS_ContentInfo_free it); the content must be the entity. */
static CMS_ContentInfo *verify(struct fixture *f, unsigned flags)
{
	CMS_ContentInfo *cms = test_cms(buf_slice(&f->der));
	bool detached = CMS_is_detached(cms) == 1;
	X509_STORE *store = X509_STORE_new();
	BIO *content = detached ? BIO_new_mem_buf(f->entity.p, (int)f->entity.n) : NULL, *out = BIO_new(BIO_s_mem());
	char *p = NULL;
	int ok;

	X509_STORE_add_cert(store, root->x509);
	X509_STORE_add_cert(store, sub->x509);
	ok = CMS_verify(cms, NULL, store, content, out, CMS_BINARY | CMS_CADES | flags);
	if (ok != 1)
		ERR_print_errors_fp(stderr);
	assert_int_equal(ok, 1);
	assert_int_equal(BIO_get_mem_data(out, &p), strlen(ENTITY));
	assert_memory_equal(p, ENTITY, strlen(ENTITY));
	BIO_free(content);
	BIO_free(out);
	X509_STORE_free(store);
	return cms;
}

static CMS_SignerInfo *signer_of(CMS_ContentInfo *cms)
{
	STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);

	assert_int_equal(sk_CMS_SignerInfo_num(signers), 1);
	return sk_CMS_SignerInfo_value(signers, 0);
}

static size_t certificates_in(CMS_ContentInfo *cms, const struct testpki *wanted)
{
	STACK_OF(X509) *list = CMS_get1_certs(cms);
	size_t n = 0;

	for (int i = 0; i < sk_X509_num(list); i++)
		if (wanted == NULL || X509_cmp(sk_X509_value(list, i), wanted->x509) == 0)
			n++;
	sk_X509_pop_free(list, X509_free);
	return n;
}

/* Exactly these attributes, each once, with one value. */
static void check_attributes(CMS_SignerInfo *signer, const int *nids, int n)
{
	assert_int_equal(CMS_signed_get_attr_count(signer), n);
	assert_int_equal(CMS_unsigned_get_attr_count(signer), -1);
	for (int i = 0; i < n; i++) {
		int at = CMS_signed_get_attr_by_NID(signer, nids[i], -1);

		assert_true(at >= 0);
		assert_int_equal(X509_ATTRIBUTE_count(CMS_signed_get_attr(signer, at)), 1);
	}
}

static const int base_nids[] = { NID_pkcs9_contentType, NID_pkcs9_messageDigest, NID_pkcs9_signingTime,
	NID_id_smime_aa_signingCertificateV2 };
static const int all_nids[] = { NID_pkcs9_contentType, NID_pkcs9_messageDigest, NID_pkcs9_signingTime,
	NID_id_smime_aa_signingCertificateV2, NID_SMIMECapabilities, NID_id_smime_aa_encrypKeyPref };

static void clear_form(void **state)
{
	struct fixture f;
	struct sign_options options;
	CMS_ContentInfo *cms = NULL;
	CMS_SignerInfo *signer = NULL;
	ASN1_OCTET_STRING *key_id = NULL;
	X509_NAME *issuer = NULL;
	ASN1_INTEGER *serial = NULL;
	ASN1_TYPE *time = NULL;

	(void)state;
	begin(&f, ec_leaf);
	options = options_of(&f, SIGN_CLEAR, DIGEST_SHA256);
	sign(&f, &options);
	assert_true(slice_is(f.entity, ENTITY));
	assert_int_equal(f.out.header.n, f.canon.outside.n + 1);
	for (size_t i = 0; i < f.canon.outside.n; i++)
		assert_ptr_equal(f.out.header.fields[i].raw.p, f.canon.outside.fields[i].raw.p);
	cms = verify(&f, 0);
	signer = signer_of(cms);
	check_attributes(signer, base_nids, 4);
	assert_int_equal(CMS_SignerInfo_get0_signer_id(signer, &key_id, &issuer, &serial), 1);
	assert_null(key_id);
	assert_non_null(serial);
	time = CMS_signed_get0_data_by_OBJ(signer, OBJ_nid2obj(NID_pkcs9_signingTime), -3, V_ASN1_UTCTIME);
	assert_non_null(time);
	assert_string_equal((const char *)ASN1_STRING_get0_data((ASN1_STRING *)time), "261121205517Z");
	CMS_ContentInfo_free(cms);
	end(&f);
}

static void opaque_form(void **state)
{
	struct fixture f;
	struct sign_options options;
	CMS_ContentInfo *cms = NULL;

	(void)state;
	begin(&f, ec_leaf);
	options = options_of(&f, SIGN_OPAQUE, DIGEST_SHA256);
	sign(&f, &options);
	test_field_is(&f.out.header, "Content-Type",
		      " application/pkcs7-mime; smime-type=signed-data;\r\n\tname=\"smime.p7m\"");
	test_field_is(&f.out.header, "Content-Transfer-Encoding", " base64");
	test_field_is(&f.out.header, "Content-Disposition", " attachment; filename=\"smime.p7m\"");
	test_field_is(&f.out.header, "MIME-Version", " 1.0 (odd)");
	cms = verify(&f, 0);
	assert_int_equal(OBJ_obj2nid(CMS_get0_type(cms)), NID_pkcs7_signed);
	assert_int_equal(OBJ_obj2nid(CMS_get0_eContentType(cms)), NID_pkcs7_data);
	check_attributes(signer_of(cms), base_nids, 4);
	CMS_ContentInfo_free(cms);
	end(&f);
}

/* What is not 7-bit must not go into a multipart/signed. */
static void eight_bit_is_opaque(void **state)
{
	struct fixture f;
	struct sign_options options;
	CMS_ContentInfo *cms = NULL;

	(void)state;
	begin(&f, ec_leaf);
	f.canon.seven_bit = false;
	options = options_of(&f, SIGN_CLEAR, DIGEST_SHA256);
	sign(&f, &options);
	cms = verify(&f, 0);
	assert_int_equal(CMS_is_detached(cms), 0);
	CMS_ContentInfo_free(cms);
	end(&f);
}

static void mime_version_is_added(void **state)
{
	struct fixture f;
	struct sign_options options;

	(void)state;
	begin(&f, ec_leaf);
	f.canon.outside = test_header(f.arena, "From: a@b.example\r\nSubject: x\r\n");
	options = options_of(&f, SIGN_CLEAR, DIGEST_SHA256);
	sign(&f, &options);
	test_field_is(&f.out.header, "MIME-Version", " 1.0");
	assert_true(field_is(&f.out.header.fields[2], "MIME-Version"));
	assert_true(field_is(&f.out.header.fields[3], "Content-Type"));
	assert_int_equal(f.out.header.n, 4);
	end(&f);
}

/* SMIMECapabilities as bytes: four OIDs without parameters. */
static void check_capabilities(CMS_SignerInfo *signer)
{
	static const unsigned char wanted[] = {
		0x30, 0x34,
		0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a,
		0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02,
		0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e,
		0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x06,
	};
	const ASN1_STRING *value = CMS_signed_get0_data_by_OBJ(signer, OBJ_nid2obj(NID_SMIMECapabilities), -3,
							       V_ASN1_SEQUENCE);
	struct capabilities capabilities;

	assert_non_null(value);
	assert_int_equal(ASN1_STRING_length(value), sizeof(wanted));
	assert_memory_equal(ASN1_STRING_get0_data(value), wanted, sizeof(wanted));
	assert_int_equal(capabilities_parse(slice_make(wanted, sizeof(wanted)), &capabilities, NULL), 0);
	assert_int_equal(capabilities.ciphers, 15);
}

/* [0] { issuer, serial } of that certificate. */
static void check_preference(CMS_SignerInfo *signer, const struct testpki *wanted)
{
	int at = CMS_signed_get_attr_by_NID(signer, NID_id_smime_aa_encrypKeyPref, -1);
	ASN1_TYPE *type = X509_ATTRIBUTE_get0_type(CMS_signed_get_attr(signer, at), 0);
	unsigned char *der = NULL, *issuer = NULL, *serial = NULL;
	int n = i2d_ASN1_TYPE(type, &der), issuer_bytes = i2d_X509_NAME(X509_get_issuer_name(wanted->x509), &issuer);
	int serial_bytes = i2d_ASN1_INTEGER(X509_get0_serialNumber(wanted->x509), &serial);

	assert_int_equal(der[0], 0xa0);
	assert_int_equal(der[1], issuer_bytes + serial_bytes);
	assert_int_equal(n, 2 + issuer_bytes + serial_bytes);
	assert_memory_equal(der + 2, issuer, (size_t)issuer_bytes);
	assert_memory_equal(der + 2 + issuer_bytes, serial, (size_t)serial_bytes);
	OPENSSL_free(der);
	OPENSSL_free(issuer);
	OPENSSL_free(serial);
}

static void announcement(void **state)
{
	for (int same = 0; same < 2; same++) {
		const struct testpki *announced = same ? ec_leaf : rsa_leaf;
		struct cert *cert = testpki_cert(announced);
		struct fixture f;
		struct sign_options options;
		CMS_ContentInfo *cms = NULL;

		(void)state;
		begin(&f, ec_leaf);
		options = options_of(&f, SIGN_CLEAR, DIGEST_SHA256);
		options.encryption_cert = cert;
		options.include_chain = CHAIN_NONE;
		sign(&f, &options);
		cms = verify(&f, 0);
		check_attributes(signer_of(cms), all_nids, 6);
		check_capabilities(signer_of(cms));
		check_preference(signer_of(cms), announced);
		assert_int_equal(certificates_in(cms, NULL), same ? 1 : 2);
		assert_int_equal(certificates_in(cms, announced), 1);
		CMS_ContentInfo_free(cms);
		end(&f);
		cert_free(cert);
	}
}

static void chains(void **state)
{
	static const struct { enum include_chain include; size_t certs, roots, subs; } rows[] = {
		{ CHAIN_INCLUDE, 2, 0, 1 }, { CHAIN_NONE, 1, 0, 0 }, { CHAIN_AND_ROOT, 3, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		struct sign_options options;
		CMS_ContentInfo *cms = NULL;

		begin(&f, ec_leaf);
		options = options_of(&f, SIGN_OPAQUE, DIGEST_SHA256);
		options.include_chain = rows[i].include;
		sign(&f, &options);
		cms = verify(&f, 0);
		assert_int_equal(certificates_in(cms, NULL), rows[i].certs);
		assert_int_equal(certificates_in(cms, ec_leaf), 1);
		assert_int_equal(certificates_in(cms, root), rows[i].roots);
		assert_int_equal(certificates_in(cms, sub), rows[i].subs);
		CMS_ContentInfo_free(cms);
		end(&f);
	}
}

/* RSASSA-PSS-params: digest, MGF1 with the same, a salt of the digest's length. */
static void check_pss(const X509_ALGOR *algorithm, enum digest digest)
{
	static const int nids[] = { NID_sha256, NID_sha384, NID_sha512 }, sizes[] = { 32, 48, 64 };
	const ASN1_OBJECT *oid = NULL;
	const void *value = NULL;
	int type = 0;
	RSA_PSS_PARAMS *params = NULL;
	X509_ALGOR *mask = NULL;

	X509_ALGOR_get0(&oid, &type, &value, algorithm);
	assert_int_equal(OBJ_obj2nid(oid), NID_rsassaPss);
	assert_int_equal(type, V_ASN1_SEQUENCE);
	params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS), algorithm->parameter);
	assert_non_null(params);
	assert_int_equal(OBJ_obj2nid(params->hashAlgorithm->algorithm), nids[digest]);
	assert_int_equal(OBJ_obj2nid(params->maskGenAlgorithm->algorithm), NID_mgf1);
	mask = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), params->maskGenAlgorithm->parameter);
	assert_int_equal(OBJ_obj2nid(mask->algorithm), nids[digest]);
	assert_int_equal(ASN1_INTEGER_get(params->saltLength), sizes[digest]);
	X509_ALGOR_free(mask);
	RSA_PSS_PARAMS_free(params);
}

static void check_algorithms(CMS_SignerInfo *signer, const struct sign_options *options, enum testpki_key_type type)
{
	static const int digests[] = { NID_sha256, NID_sha384, NID_sha512 };
	static const int ecdsa[] = { NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384, NID_ecdsa_with_SHA512 };
	X509_ALGOR *digest = NULL, *signature = NULL;
	X509 *x509 = NULL;

	CMS_SignerInfo_get0_algs(signer, NULL, &x509, &digest, &signature);
	assert_int_equal(OBJ_obj2nid(digest->algorithm), digests[options->digest]);
	if (type == TESTPKI_RSA_PSS || (type == TESTPKI_RSA2048 && options->padding == SIGN_PSS))
		check_pss(signature, options->digest);
	else if (type == TESTPKI_RSA2048)
		assert_int_equal(OBJ_obj2nid(signature->algorithm), NID_rsaEncryption);
	else
		assert_int_equal(OBJ_obj2nid(signature->algorithm), ecdsa[options->digest]);
}

static void sign_with(const struct testpki *leaf, enum testpki_key_type type, enum sign_format format,
		      enum sign_padding padding, enum digest digest)
{
	static const char *const micalgs[] = { "sha-256", "sha-384", "sha-512" };
	struct fixture f;
	struct sign_options options;
	struct param_list params;
	CMS_ContentInfo *cms = NULL;

	begin(&f, leaf);
	options = options_of(&f, format, digest);
	options.padding = padding;
	sign(&f, &options);
	if (format == SIGN_CLEAR) {
		param_parse(f.arena, header_find(&f.out.header, "Content-Type", 0)->value, &params, NULL);
		assert_true(slice_is(param_get(&params, "micalg"), micalgs[digest]));
	}
	cms = verify(&f, 0);
	check_algorithms(signer_of(cms), &options, type);
	CMS_ContentInfo_free(cms);
	end(&f);
}

static void every_combination(void **state)
{
	static const enum testpki_key_type types[] = { TESTPKI_P256, TESTPKI_P384, TESTPKI_P521, TESTPKI_BRAINPOOL,
		TESTPKI_RSA2048, TESTPKI_RSA_PSS };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct testpki *leaf = testpki_make(sub, &(struct testpki_spec){ .key = types[i],
						    .usage = "digitalSignature", .san = "email:alice@example.com" });

		for (int n = 0; n < 12; n++)
			sign_with(leaf, types[i], n & 1 ? SIGN_OPAQUE : SIGN_CLEAR, n & 2 ? SIGN_PSS : SIGN_PKCS1,
				  (enum digest)(n >> 2));
		testpki_free(leaf);
	}
}

static void unfit_keys_are_refused(void **state)
{
	struct testpki *leaf = testpki_make(sub, &(struct testpki_spec){ .key = TESTPKI_ED25519 });
	struct fixture f;
	struct sign_options options;
	struct err err = { .class = ERR_NONE };

	(void)state;
	begin(&f, leaf);
	options = options_of(&f, SIGN_CLEAR, DIGEST_SHA512);
	assert_int_equal(sign_message(f.arena, &f.canon, &options, &f.out, &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	assert_non_null(strstr(err.text, "Ed25519"));
	end(&f);
	testpki_free(leaf);
}

/* Two readers get the same bytes, however they read: others count on offsets in what they have seen. */
static void readers_agree(void **state)
{
	for (int format = SIGN_CLEAR; format <= SIGN_OPAQUE; format++)
		for (int i = 0; i < 8; i++) {
			struct fixture f;
			struct sign_options options;
			struct buf again;

			(void)state;
			begin(&f, ec_leaf);
			f.canon.entity = test_lines_body(f.arena, 20000, false);
			options = options_of(&f, (enum sign_format)format, DIGEST_SHA256);
			assert_int_equal(sign_message(f.arena, &f.canon, &options, &f.out, NULL), 0);
			f.body = test_read(f.out.body, 70000);
			again = test_read(f.out.body, 1 + (size_t)i * 100);
			assert_true(slice_equal(buf_slice(&f.body), buf_slice(&again)));
			buf_clear(&again);
			end(&f);
		}
}

static void same_boundary_never(void **state)
{
	struct fixture f;
	struct sign_options options;
	struct message other;

	(void)state;
	begin(&f, ec_leaf);
	options = options_of(&f, SIGN_CLEAR, DIGEST_SHA256);
	assert_int_equal(sign_message(f.arena, &f.canon, &options, &f.out, NULL), 0);
	assert_int_equal(sign_message(f.arena, &f.canon, &options, &other, NULL), 0);
	assert_false(slice_equal(header_find(&f.out.header, "Content-Type", 0)->value,
				 header_find(&other.header, "Content-Type", 0)->value));
	end(&f);
}

static void large_content_needs_no_memory(void **state)
{
	for (int format = SIGN_CLEAR; format <= SIGN_OPAQUE; format++) {
		struct fixture f;
		struct sign_options options;
		uint64_t total = 0;
		long growth;

		(void)state;
		begin(&f, ec_leaf);
		f.canon.entity = test_lines_body(f.arena, 50u << 20, false);
		options = options_of(&f, (enum sign_format)format, DIGEST_SHA256);
		assert_int_equal(sign_message(f.arena, &f.canon, &options, &f.out, NULL), 0);
		growth = test_drain_growth(f.out.body, &total);
		assert_true(total > 50u << 20);
		assert_true(growth < 4096);
		end(&f);
	}
}

static void failing_source_never_ends_well(void **state)
{
	for (int format = SIGN_CLEAR; format <= SIGN_OPAQUE; format++) {
		struct fixture f;
		struct sign_options options;
		struct err err = { .class = ERR_NONE };

		(void)state;
		begin(&f, ec_leaf);
		f.canon.entity = test_lines_body(f.arena, 10000, true);
		options = options_of(&f, (enum sign_format)format, DIGEST_SHA256);
		assert_int_equal(sign_message(f.arena, &f.canon, &options, &f.out, NULL), 0);
		assert_int_equal(body_read_all(f.out.body, &f.body, &err), -1);
		assert_int_equal(err.class, ERR_LIMIT);
		assert_string_equal(err.text, "the test's source failed");
		assert_null(strstr(buf_string(&f.body), "pkcs7-signature"));
		assert_null(strstr(buf_string(&f.body), "\r\n--"));
		end(&f);
	}
}

static void abandoned_readers_leak_nothing(void **state)
{
	for (int format = SIGN_CLEAR; format <= SIGN_OPAQUE; format++) {
		struct fixture f;
		struct sign_options options;
		struct stream *stream = NULL;
		char bytes[100];

		(void)state;
		begin(&f, ec_leaf);
		options = options_of(&f, (enum sign_format)format, DIGEST_SHA256);
		assert_int_equal(sign_message(f.arena, &f.canon, &options, &f.out, NULL), 0);
		stream = body_open(f.out.body, NULL);
		assert_non_null(stream);
		assert_true(stream_read(stream, bytes, sizeof(bytes), NULL) > 0);
		stream_close(stream);
		end(&f);
	}
}

static void out_of_arena(void **state)
{
	struct fixture f;
	struct sign_options options;
	bool done = false;

	(void)state;
	begin(&f, ec_leaf);
	for (size_t limit = 64; !done; limit += 200) {
		struct arena *small = arena_new(limit);
		struct err err = { .class = ERR_NONE };
		struct message out;

		options = options_of(&f, SIGN_CLEAR, DIGEST_SHA256);
		if (small != NULL && sign_message(small, &f.canon, &options, &out, &err) == 0)
			done = true;
		else
			assert_int_equal(err.class, ERR_TEMP);
		arena_free(small);
		assert_true(limit < 100000);
	}
	end(&f);
}

static void digest_by_key(void **state)
{
	static const enum digest all[] = { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };
	static const enum digest down[] = { DIGEST_SHA512, DIGEST_SHA384 };
	static const struct { enum testpki_key_type type; enum digest all, down, first_only; } rows[] = {
		{ TESTPKI_P256, DIGEST_SHA256, DIGEST_SHA512, DIGEST_SHA256 },
		{ TESTPKI_P384, DIGEST_SHA384, DIGEST_SHA512, DIGEST_SHA384 },
		{ TESTPKI_P521, DIGEST_SHA512, DIGEST_SHA512, DIGEST_SHA512 },
		{ TESTPKI_RSA2048, DIGEST_SHA256, DIGEST_SHA512, DIGEST_SHA256 },
		{ TESTPKI_RSA_PSS, DIGEST_SHA256, DIGEST_SHA512, DIGEST_SHA256 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct testpki *leaf = testpki_make(sub, &(struct testpki_spec){ .key = rows[i].type });
		struct key *key = testpki_key(leaf);

		assert_int_equal(sign_choose_digest(key, all, 3), rows[i].all);
		assert_int_equal(sign_choose_digest(key, down, 2), rows[i].down);
		assert_int_equal(sign_choose_digest(key, all, 1), rows[i].first_only);
		key_free(key);
		testpki_free(leaf);
	}
}

/* A key whose certificate allows one digest only. */
static void restricted_pss_key(void **state)
{
	static const enum digest all[] = { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA_PSS, NULL);
	EVP_PKEY *pkey = NULL;
	struct testpki *leaf = NULL;
	struct fixture f;
	struct sign_options options;
	struct err err = { .class = ERR_NONE };

	(void)state;
	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_true(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) > 0);
	assert_true(EVP_PKEY_CTX_set_rsa_pss_keygen_md(ctx, EVP_sha384()) > 0);
	assert_true(EVP_PKEY_CTX_set_rsa_pss_keygen_mgf1_md(ctx, EVP_sha384()) > 0);
	assert_true(EVP_PKEY_CTX_set_rsa_pss_keygen_saltlen(ctx, 48) > 0);
	assert_int_equal(EVP_PKEY_keygen(ctx, &pkey), 1);
	leaf = testpki_make(sub, &(struct testpki_spec){ .pkey = pkey, .usage = "digitalSignature" });
	begin(&f, leaf);
	assert_int_equal(sign_choose_digest(f.key, all, 3), DIGEST_SHA384);
	assert_int_equal(sign_choose_digest(f.key, all, 1), DIGEST_SHA384);
	options = options_of(&f, SIGN_CLEAR, DIGEST_SHA256);
	assert_int_equal(sign_message(f.arena, &f.canon, &options, &f.out, &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	end(&f);
	sign_with(leaf, TESTPKI_RSA_PSS, SIGN_CLEAR, SIGN_PKCS1, DIGEST_SHA384);
	testpki_free(leaf);
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clear_form), cmocka_unit_test(opaque_form), cmocka_unit_test(eight_bit_is_opaque),
		cmocka_unit_test(mime_version_is_added), cmocka_unit_test(announcement), cmocka_unit_test(chains),
		cmocka_unit_test(every_combination), cmocka_unit_test(unfit_keys_are_refused),
		cmocka_unit_test(readers_agree), cmocka_unit_test(same_boundary_never),
		cmocka_unit_test(large_content_needs_no_memory), cmocka_unit_test(failing_source_never_ends_well),
		cmocka_unit_test(abandoned_readers_leak_nothing), cmocka_unit_test(out_of_arena),
		cmocka_unit_test(digest_by_key), cmocka_unit_test(restricted_pss_key),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
