/* verify_object.c - one SignedData: prescan, its certificates, the digests of its content, then signer by signer.
 *
 * The content is digested here from where it lies; what CMS libraries make of it is never asked. Called by verify.c.
 * RFC 5652 5, RFC 8551 3.5.
 */
#include "smime/verify_internal.h"

#define CRL_LIMIT 8
#define CRL_BYTES ((size_t)1024 * 1024)	/* in all of a message's objects: what is beyond is not looked at */
/* So many times limits.certificates, which is for one object, may stand in all of a message's. */
#define CERTIFICATES_FACTOR 4

static int read_certs(struct verify_run *run, struct signed_object *object, struct err *err)
{
	struct cert_list certs = { 0 };
	struct err why;
	int rc = 0;

	for (size_t i = 0; i < object->scan.certificate_count && rc == 0; i++) {
		struct cert *cert = cert_from_der(object->scan.certificates[i], &why);

		/* One that cannot be read serves nobody: if it is a signer's, that one is missing. */
		if (cert != NULL)
			rc = cert_list_add(&certs, cert);
		else if (why.class == ERR_TEMP)
			rc = -1;
		cert_free(cert);
	}
	if (rc != 0) {
		cert_list_clear(&certs);
		return err_memory(err);
	}
	object->certs = certs;
	return cert_list_defer(run->arena, &object->certs) == 0 ? 0 : err_memory(err);
}

static void clear_brought(void *brought)
{
	path_brought_clear(brought);
}

/* Decoded only if own evidence of revocation is not enough. */
static int read_crls(struct verify_run *run, struct signed_object *object, struct err *err)
{
	for (size_t i = 0; i < object->scan.crl_count; i++)
		run->crl_bytes += object->scan.crls[i].n;
	if (object->scan.crl_count == 0 || run->crl_bytes > CRL_BYTES)
		return 0;
	object->brought = (struct path_brought){
		.crls = object->scan.crls, .n = object->scan.crl_count, .signatures = &run->crl_signatures,
	};
	return arena_defer(run->arena, clear_brought, &object->brought) == 0 ? 0 : err_memory(err);
}

static void want_digest(struct signed_object *object, const struct digest_algorithm *algorithm)
{
	for (size_t i = 0; i < object->digest_count; i++)
		if (object->digests[i].algorithm == algorithm)
			return;
	object->digests[object->digest_count++].algorithm = algorithm;
}

/* Each digest that a signer names, once, in one reading. */
static int read_digests(struct verify_run *run, struct signed_object *object, const struct body *content,
			struct err *err)
{
	const struct digest_algorithm *algorithm;

	object->digests = arena_array(run->arena, object->scan.signer_count + 1, sizeof(*object->digests));
	if (object->digests == NULL)
		return err_memory(err);
	for (size_t i = 0; i < object->scan.signer_count; i++) {
		algorithm = digest_algorithm_find(&object->scan.signers[i].digest);
		if (algorithm != NULL)
			want_digest(object, algorithm);
	}
	return content_digest_all(content, object->digests, object->digest_count, err);
}

/* Where the content is (RFC 8551 3.5): outside in multipart/signed, inside in application/pkcs7-mime, never both. */
static int find_content(struct verify_run *run, struct signed_object *object, const struct body **content,
			struct slice *inside, struct err *err)
{
	*content = object->detached;
	if (!slice_equal(object->scan.content_type, der_oid_data))
		object->unsupported = "RFC 8551 2.4.2: the content type is not id-data";
	if (object->detached != NULL) {
		if (object->scan.attached)
			object->bad = "RFC 8551 3.5.3.1: a detached signature that carries content of its own";
		return 0;
	}
	if (object->scan.signer_count == 0 && (!object->scan.attached || object->scan.content.content.n == 0))
		return 0;
	if (!object->scan.attached)
		return err_set(err, ERR_MESSAGE,
			       "RFC 8551 3.5.2: application/pkcs7-mime without the content that was signed");
	if (prescan_content(run->arena, &object->scan, inside, err) != 0)
		return -1;
	*content = body_from_slice(run->arena, *inside);
	return *content == NULL ? err_memory(err) : 0;
}

int run_unreadable(struct verify_run *run, bool covers_message, const char *part, const char *reason, struct err *err)
{
	struct layer *layer = run_layer(run, LAYER_SIGNED, covers_message, part, err);

	if (layer == NULL)
		return -1;
	layer->reason = arena_strdup(run->arena, reason);
	if (layer->reason == NULL)
		return err_memory(err);
	run_check(run, layer, CHECK_STRUCTURE, RESULT_NEUTRAL, layer->reason);
	return 0;
}

/* Signed by nobody, so not signed (RFC 5652 5.1 allows the form): the layer is told, and says nothing of the message.
 * Nor does what is inside, which a message that is not signed holds as a part. */
static int add_nobody(struct verify_run *run, struct signed_object *object, struct err *err)
{
	struct layer *layer = run_layer(run, LAYER_SIGNED, object->covers_message, object->part, err);

	if (layer == NULL)
		return -1;
	layer->result = RESULT_NONE;
	layer->reason = "RFC 5652 5.1: SignedData without signers proves nothing";
	run_check(run, layer, CHECK_STRUCTURE, RESULT_NONE, layer->reason);
	object->covers_message = false;
	return 0;
}

static int each_signer(struct verify_run *run, struct signed_object *object, struct err *err)
{
	for (size_t i = 0; i < object->scan.signer_count; i++) {
		struct layer *layer = run_layer(run, LAYER_SIGNED, object->covers_message, object->part, err);

		if (layer == NULL)
			return -1;
		layer->signer_index = (unsigned)i + 1;
		if (signer_verify(run, object, &object->scan.signers[i], layer, err) != 0)
			return -1;
	}
	return 0;
}

/* 0, 1: not readable as *err says, -1. */
static int scan_object(struct verify_run *run, struct signed_object *object, const struct body **content,
		       struct slice *inside, struct err *err)
{
	const struct prescan_limits limits = {
		.signer_infos = run->env->limits.signer_infos, .certificates = run->env->limits.certificates,
		.crls = CRL_LIMIT,
	};

	if (prescan_signed(run->arena, object->der, &limits, &object->scan, err) == 0 &&
	    find_content(run, object, content, inside, err) == 0)
		return 0;
	return err->class == ERR_TEMP ? -1 : 1;
}

int verify_object(struct verify_run *run, struct signed_object *object, struct slice *content, struct err *err)
{
	const struct body *bytes = NULL;
	struct slice inside = { 0 };
	int rc = scan_object(run, object, &bytes, &inside, err);

	*content = (struct slice){ 0 };
	run->objects++;
	if (rc < 0)
		return -1;
	if (rc > 0)
		return run_unreadable(run, object->covers_message, object->part, err->text, err);
	if (bytes == NULL) {		/* certificates only */
		run->objects--;
		return 0;
	}
	*content = inside;
	run->certificates += object->scan.certificate_count;
	if (run->certificates > CERTIFICATES_FACTOR * run->env->limits.certificates)
		return run_unreadable(run, object->covers_message, object->part,
				      "too many certificates in one message", err);
	if (object->scan.signer_count == 0)
		return add_nobody(run, object, err);
	if (read_certs(run, object, err) != 0 || read_crls(run, object, err) != 0)
		return -1;
	if (read_digests(run, object, bytes, err) != 0)
		return -1;
	return each_signer(run, object, err);
}
