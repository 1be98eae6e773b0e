/* ctl_sign.c - smimectl sign and encrypt: one operation on the message on stdin, with the configured keys and
 * directories but without rules. What the gate does by rule is gate/step.c's business.
 */
#include "milter/ctl.h"

#include <string.h>

/* As the rules' default for `digests` and `ciphers` (policy/rule.c). */
static const enum digest default_digests[] = { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };
static const enum cipher default_ciphers[] = { CIPHER_AES256_CBC, CIPHER_AES128_CBC, CIPHER_AES256_GCM,
					       CIPHER_AES128_GCM };

/* Index of text among names; -1: none. */
static int name_index(const char *const *names, const char *text)
{
	int i;

	for (i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	return -1;
}

static bool given(const struct ctl *ctl, enum ctl_option option)
{
	return (ctl->args.given & (unsigned)option) != 0;
}

/* The message in the form that is signed or encrypted. */
static int read_canon(struct ctl *ctl, bool clear, struct canon *canon, struct err *err)
{
	const struct limits *limits = &ctl->site->settings.limits;
	const struct mime_limits mime_limits = { (size_t)limits->mime_depth, (size_t)limits->mime_parts, 0 };
	struct message message;
	struct mime mime;

	if (ctl_read_message(ctl, &message, err) != 0 ||
	    mime_parse(ctl->arena, &message, &mime_limits, &mime, err) != 0)
		return -1;
	return canon_make(ctl->arena, &message, &mime, clear, canon, err);
}

static int find_key(struct ctl *ctl, const struct address *from, struct key **key, struct err *err)
{
	const struct site *site = ctl->site;
	const char *why = "";
	int found = keystore_signing_key(site->keystores, site->keystore_count, ctl->arena, from,
					 clock_now(&site->clock), key, &why, err);

	if (found == 0)
		return err_set(err, ERR_POLICY, "no usable signing key for <%.*s>: %s", SLICE_ARGS(from->text), why);
	return found == 1 ? 0 : -1;
}

static int make_signature(struct ctl *ctl, const struct address *from, const enum digest *digests, size_t n,
			  struct message *out, struct err *err)
{
	const struct site *site = ctl->site;
	struct sign_options options = {
		.format = given(ctl, OPTION_OPAQUE) ? SIGN_OPAQUE : SIGN_CLEAR,
		.padding = given(ctl, OPTION_PSS) ? SIGN_PSS : SIGN_PKCS1,
		.include_chain = CHAIN_INCLUDE,
		.now = clock_now(&site->clock),
	};
	struct key *key = NULL;
	struct canon canon;

	if (find_key(ctl, from, &key, err) != 0 ||
	    keystore_encryption_cert(site->keystores, site->keystore_count, ctl->arena, from, options.now,
				     &options.encryption_cert, err) < 0 ||
	    read_canon(ctl, options.format == SIGN_CLEAR, &canon, err) != 0)
		return -1;
	options.key = key;
	options.digest = sign_choose_digest(key, digests, n);
	return sign_message(ctl->arena, &canon, &options, out, err);
}

int ctl_sign(struct ctl *ctl, struct err *err)
{
	const int wanted = ctl->args.digest != NULL ? name_index(digest_names, ctl->args.digest) : 0;
	const enum digest only = wanted >= 0 ? (enum digest)wanted : DIGEST_SHA256;
	struct address from;
	struct message out;

	if (wanted < 0)
		return ctl_usage(ctl, "--digest %s: not one of sha256, sha384, sha512", ctl->args.digest);
	if (ctl_address(ctl, ctl->args.from, &from) != 0)
		return CTL_USAGE;
	if (ctl_site(ctl, err) != 0 ||
	    make_signature(ctl, &from, ctl->args.digest != NULL ? &only : default_digests,
			   ctl->args.digest != NULL ? 1 : sizeof(default_digests) / sizeof(default_digests[0]),
			   &out, err) != 0)
		return -1;
	return ctl_print_message(ctl, &out, err);
}

/* The recipients' certificates, best of each, and what their owners can read. */
struct peers {
	struct address *addresses;
	struct candidate_list *lists;
	const struct cert **certs;
	struct capabilities *capabilities;
	size_t n, cert_count;		/* a group is one address and several certificates */
};

static int peers_make(struct arena *arena, size_t n, struct peers *peers, struct err *err)
{
	peers->addresses = arena_array(arena, n, sizeof(*peers->addresses));
	peers->lists = arena_array(arena, n, sizeof(*peers->lists));
	peers->n = n;
	return peers->addresses == NULL || peers->lists == NULL ? err_memory(err) : 0;
}

static int peers_check(const struct peers *peers, struct err *err)
{
	const struct candidate_list *list = NULL;
	size_t i;

	for (i = 0; i < peers->n; i++) {
		list = &peers->lists[i];
		if (list->status == DIRECTORY_FAILED)
			return err_set(err, ERR_TEMP, "%s", list->failure);
		if (list->status == DIRECTORY_NONE)
			return err_set(err, ERR_POLICY, "no usable certificate for <%.*s>",
				       SLICE_ARGS(peers->addresses[i].text));
	}
	return 0;
}

static int peers_take(struct arena *arena, struct peers *peers, struct err *err)
{
	size_t n = 0, i, k;

	for (i = 0; i < peers->n; i++)
		n += peers->lists[i].chosen_count;
	peers->certs = arena_array(arena, n, sizeof(*peers->certs));
	peers->capabilities = arena_array(arena, n, sizeof(*peers->capabilities));
	if (peers->certs == NULL || peers->capabilities == NULL)
		return err_memory(err);
	for (i = 0; i < peers->n; i++)
		for (k = 0; k < peers->lists[i].chosen_count; k++, peers->cert_count++) {
			const struct candidate *used = peers->lists[i].chosen[k].used;

			peers->certs[peers->cert_count] = used->cert;
			peers->capabilities[peers->cert_count] = used->capabilities;
		}
	return 0;
}

static int peers_find(struct ctl *ctl, struct peers *peers, struct err *err)
{
	if (ctl_candidates(ctl, peers->addresses, peers->n, peers->lists, err) != 0 || peers_check(peers, err) != 0)
		return -1;
	return peers_take(ctl->arena, peers, err);
}

static int make_envelope(struct ctl *ctl, struct peers *peers, int cipher, struct message *out, struct err *err)
{
	struct encrypt_options options = {
		.key_transport = given(ctl, OPTION_OAEP) ? TRANSPORT_OAEP : TRANSPORT_PKCS1,
		.recipient_identifier = RECIPIENT_ISSUER_SERIAL,
	};
	struct canon canon;

	if (peers_find(ctl, peers, err) != 0 || read_canon(ctl, false, &canon, err) != 0)
		return -1;
	options.certs = peers->certs;
	options.n = peers->cert_count;
	options.cipher = ctl->args.cipher != NULL ? (enum cipher)cipher :
			 cipher_choose(default_ciphers, sizeof(default_ciphers) / sizeof(default_ciphers[0]),
				       peers->capabilities, peers->cert_count);
	return encrypt_message(ctl->arena, &canon, &options, out, err);
}

int ctl_encrypt(struct ctl *ctl, struct err *err)
{
	const int cipher = ctl->args.cipher != NULL ? name_index(cipher_names, ctl->args.cipher) : 0;
	struct peers peers = { .n = 0 };
	struct message out;
	size_t i;

	if (cipher < 0)
		return ctl_usage(ctl, "--cipher %s: not one of aes256-cbc, aes128-cbc, aes256-gcm, aes128-gcm",
				 ctl->args.cipher);
	if (peers_make(ctl->arena, ctl->args.rcpt.n, &peers, err) != 0)
		return -1;
	for (i = 0; i < peers.n; i++)
		if (ctl_address(ctl, ctl->args.rcpt.items[i], &peers.addresses[i]) != 0)
			return CTL_USAGE;
	if (ctl_site(ctl, err) != 0 || make_envelope(ctl, &peers, cipher, &out, err) != 0)
		return -1;
	return ctl_print_message(ctl, &out, err);
}
