/* audit_evidence.c - see audit_evidence.h. Called by account.c in workers: one question tells what is missing, as a rule
 * nothing. */
#include "milter/audit_evidence.h"

static int send_item(const struct recorder_client *recorder, const struct path_proof_item *item,
		     const unsigned char *sha256, struct err *err)
{
	struct buf content;
	int rc;

	buf_init(&content, 0);
	rc = path_proof_content(item, &content, err);
	if (rc == 0)
		rc = recorder_client_put(recorder, sha256, buf_slice(&content), err);
	buf_clear(&content);
	return rc;
}

static int keep_proof(const struct recorder_client *recorder, const struct path_proof *proof, struct err *err)
{
	unsigned char digests[PATH_PROOF_ITEMS][CRYPT_SHA256_BYTES];
	bool there[PATH_PROOF_ITEMS] = { false };

	for (size_t i = 0; i < proof->n; i++)
		if (crypt_unhex(proof->items[i].sha256, digests[i], CRYPT_SHA256_BYTES) != 0)
			return err_set(err, ERR_BUG, "evidence without a digest");
	if (recorder_client_has(recorder, digests[0], proof->n, there, err) != 0)
		return -1;
	for (size_t i = 0; i < proof->n; i++)
		if (!there[i] && send_item(recorder, &proof->items[i], digests[i], err) != 0)
			return -1;
	return 0;
}

int audit_evidence_keep(const struct recorder_client *recorder, const struct outcome *outcome, struct err *err)
{
	const struct layer_list *layers = &outcome->verdict.layers;

	for (size_t i = 0; recorder != NULL && outcome->verified && i < layers->n; i++) {
		const struct path_proof *proof = layers->items[i].proof;

		if (proof != NULL && proof->n > 0 && keep_proof(recorder, proof, err) != 0)
			return -1;
	}
	return 0;
}
