/* ctl_certs_publish.c - smimectl certs publish: own certificates of an address into the LDAP directory that is
 * responsible for it, or as SMIMEA records for a zone file. Which certificates: all that others may encrypt to now; which
 * key signs: the one that signs mail.
 */
#include "milter/ctl.h"

#include "base/file.h"
#include "pki/smimea.h"
#include "smime/published.h"

/* Those that are valid and may encrypt, the one that others should use first. */
static int own_certs(struct ctl *ctl, const struct address *address, const struct cert ***certs, size_t *n,
		     struct err *err)
{
	const struct site *site = ctl->site;
	const time_t now = clock_now(&site->clock);
	struct key **keys = NULL;
	size_t count = 0;
	int found = keystore_find(site->keystores, site->keystore_count, ctl->arena, address, &keys, &count, err);

	if (found < 0)
		return -1;
	*n = 0;
	*certs = arena_array(ctl->arena, count + 1, sizeof(**certs));
	if (*certs == NULL)
		return err_memory(err);
	found = keystore_encryption_cert(site->keystores, site->keystore_count, ctl->arena, address, now, &(*certs)[0], err);
	if (found <= 0)
		return found < 0 ? -1 : err_set(err, ERR_POLICY, "no own certificate that others could encrypt to");
	*n = 1;
	for (size_t i = 0; i < count; i++) {
		const struct cert *cert = key_cert(keys[i]);
		const struct cert_info *info = cert_info(cert);

		if (cert_may_encrypt(cert) && info->not_before <= now && now <= info->not_after &&
		    !cert_equal(cert, (*certs)[0]))
			(*certs)[(*n)++] = cert;
	}
	return 0;
}

static int print_records(struct ctl *ctl, const struct address *address, const struct cert *const *certs, size_t n,
			 struct err *err)
{
	const char *owner = smimea_owner(ctl->arena, address, false, err);

	if (owner == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct smimea record;
		const char *text = NULL;

		if (smimea_make(ctl->arena, certs[i], SMIMEA_DANE_EE, SMIMEA_CERT, SMIMEA_FULL, &record, err) != 0)
			return -1;
		text = smimea_text(ctl->arena, &record, 0);
		if (text == NULL)
			return err_memory(err);
		printf("%s. IN SMIMEA %s\n", owner, text);
	}
	return CTL_DONE;
}

/* userSMIMECertificate's value; empty where there is no key that signs: it has to be signed. */
static int make_value(struct ctl *ctl, const struct address *address, const struct cert *cert, struct buf *value,
		      struct err *err)
{
	static const enum digest digests[] = { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };
	const struct site *site = ctl->site;
	struct sign_options options = { .include_chain = CHAIN_INCLUDE, .encryption_cert = cert,
					.now = clock_now(&site->clock) };
	const char *reason = NULL;
	struct key *key = NULL;
	int found = keystore_signing_key(site->keystores, site->keystore_count, ctl->arena, address, options.now, &key,
					 &reason, err);

	if (found < 0)
		return -1;
	if (found == 0) {
		fprintf(stderr, "userSMIMECertificate is left out: no key to sign it: %s\n", reason);
		return 0;
	}
	options.key = key;
	options.digest = sign_choose_digest(key, digests, sizeof(digests) / sizeof(digests[0]));
	return published_value(&options, value, err);
}

/* To the first directory that can be written to and that the address belongs to. */
static int publish(const struct ctl *ctl, const struct address *address, const struct directory_publication *what,
		   struct err *err)
{
	struct directory_published done;
	int rc = 0;

	for (size_t i = 0; i < ctl->site->directory_count && rc == 0; i++) {
		const struct directory *directory = &ctl->site->directories[i];

		if (directory->class->publish == NULL || !directory_is_responsible(directory, address))
			continue;
		rc = directory->class->publish(directory->self, ctl->arena, address, what, &done, err);
		if (rc < 0)
			return err_prefix(err, "%s", directory->name);
		if (rc > 0)
			printf("%s: %s: %zu values added, %zu were there\n", directory->name, done.where, done.added,
			       done.there);
	}
	return rc > 0 ? CTL_DONE : err_set(err, ERR_CONFIG, "no directory of type ldap is responsible for the address");
}

static int write_directory(struct ctl *ctl, const struct address *address, const struct cert *const *certs, size_t n,
			   struct err *err)
{
	struct directory_publication what = { .certs = certs, .n = n, .bind_dn = ctl->args.bind_dn };
	struct buf value, password;
	int rc = -1;

	buf_init(&value, 0);
	buf_init(&password, 0);
	if (make_value(ctl, address, certs[0], &value, err) != 0 ||
	    (ctl->args.bind_dn != NULL && file_read_password(ctl->args.password_file, &password, err) != 0))
		goto out;
	what.value = buf_slice(&value);
	what.password = buf_slice(&password);
	rc = publish(ctl, address, &what, err);
out:
	buf_clear(&value);
	buf_clear(&password);
	return rc;
}

int ctl_certs_publish(struct ctl *ctl, struct err *err)
{
	const struct cert **certs = NULL;
	struct address address;
	size_t n = 0;

	if ((ctl->args.bind_dn == NULL) != (ctl->args.password_file == NULL))
		return ctl_usage(ctl, "--bind-dn and --password-file go together");
	if (ctl->args.bind_dn != NULL && (ctl->args.given & OPTION_SMIMEA) != 0)
		return ctl_usage(ctl, "--smimea asks no directory");
	if (ctl_address(ctl, ctl->args.operands.items[0], &address) != 0)
		return CTL_USAGE;
	if (ctl_site(ctl, err) != 0 || own_certs(ctl, &address, &certs, &n, err) != 0)
		return -1;
	if ((ctl->args.given & OPTION_SMIMEA) != 0)
		return print_records(ctl, &address, certs, n, err);
	return write_directory(ctl, &address, certs, n, err);
}
