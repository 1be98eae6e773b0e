/* ctl_harvest_import.c - smimectl harvest import: what signed messages teach, if they verify as mail that comes in now
 * does, and certificates that the administrator vouches for.
 */
#include "milter/ctl_harvest.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "gate/judge.h"
#include "pki/directory_driver.h"
#include "smime/harvest.h"

#define HEADER_BYTES ((size_t)1024 * 1024)

struct import {
	struct ctl *ctl;
	struct ctl_store store;
	const char *file;
	bool barren;			/* a file taught nothing */
};

static void explain_nothing(struct import *import, const char *what, const char *why)
{
	fprintf(stderr, "%s: %s%s%s\n", import->file, what, what[0] != '\0' && why[0] != '\0' ? ": " : "", why);
	import->barren = true;
}

static int learn(struct import *import, const struct harvest *harvest, bool given, struct err *err)
{
	struct ctl *ctl = import->ctl;
	struct harvest_lesson lesson = {
		.address = directory_key(ctl->arena, &harvest->address), .collection = slice_of(harvest->collection),
		.cert = harvest->cert, .capabilities = harvest->capabilities, .signed_at = harvest->signed_at,
		.at_once = true, .given = given, .how = "import",
	};
	struct buf *chain = arena_buf(ctl->arena, 0);
	struct harvest_change change;
	int bad = chain == NULL || lesson.address.p == NULL;

	for (size_t i = 0; i < harvest->chain_count && !bad; i++)
		bad = buf_append_slice(chain, cert_info(harvest->chain[i])->der);
	if (bad)
		return err_memory(err);
	lesson.chain = buf_slice(chain);
	if (harvest_store_learn(import->store.store, &lesson, clock_now(&clock_system), &change, err) != 0)
		return -1;
	if (change.news == HARVEST_NEWS_NONE)
		explain_nothing(import, "", "not newer than what is known");
	return ctl_store_tell(ctl, &import->store, "harvest-import", lesson.address, &change, harvest->cert, err);
}

/* Messages */

/* text.n == 0: not exactly one mailbox. */
static int read_from(struct ctl *ctl, const struct header *header, struct address *from, struct err *err)
{
	enum mailbox_form form = MAILBOX_NONE;

	*from = (struct address){ { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	if (address_single(ctl->arena, header_find(header, "From", 0)->value, from, &form, err) != 0)
		return -1;
	if (form != MAILBOX_SINGLE || header_count(header, "From") != 1)
		from->text.n = 0;
	return 0;
}

static int import_message(struct import *import, const struct message *message, struct err *err)
{
	struct ctl *ctl = import->ctl;
	const struct site *site = ctl->site;
	struct verify_env env = { .collections = site->collections, .collection_count = site->collection_count,
				  .at = clock_now(&site->clock) };
	struct verdict verdict;
	struct address from;
	const struct harvest_query query = { .verdict = &verdict, .from = &from, .local_domains = &site->local_domains,
					     .collections = env.collections, .collection_count = env.collection_count,
					     .at = env.at };
	struct harvest harvest;
	const char *why = NULL;
	int rc;

	judge_limits(&ctl->settings->limits, &env);
	if (ctl_judge(ctl, message, &env, &verdict, err) != 0 || read_from(ctl, &message->header, &from, err) != 0)
		return -1;
	rc = harvest_find(ctl->arena, &query, &harvest, &why, err);
	if (rc == 0)
		explain_nothing(import, why, verdict.reason);
	return rc == 1 ? learn(import, &harvest, false, err) : rc;
}

/* Certificates */

static int by_worth(const void *left, const void *right)
{
	const struct bundle_entry *const *a = left, *const *b = right;
	const time_t x = cert_info((*a)->cert)->not_before, y = cert_info((*b)->cert)->not_before;

	if ((*a)->preferred != (*b)->preferred)
		return (*a)->preferred ? 1 : -1;
	return x < y ? -1 : x > y;
}

/* Why nobody is to be encrypted to by it; NULL: it may be. */
static const char *objection(const struct cert *cert, time_t at)
{
	const struct cert_info *info = cert_info(cert);

	if (info->address_count == 0)
		return "no address in the certificate";
	if (!cert_may_encrypt(cert))
		return "may not be used to encrypt";
	if (info->not_after < at)
		return "expired";
	return info->der.n > HARVEST_CERT_BYTES ? "too large" : NULL;
}

static int import_cert(struct import *import, struct harvest *harvest, struct err *err)
{
	const struct cert_info *info = cert_info(harvest->cert);
	const char *why = objection(harvest->cert, harvest->signed_at);

	if (why != NULL)
		explain_nothing(import, info->subject, why);
	for (size_t i = 0; i < info->address_count && why == NULL; i++) {
		harvest->address = info->addresses[i];
		if (pattern_list_match(&import->ctl->site->local_domains, &info->addresses[i]))
			explain_nothing(import, info->subject, "the address is in local_domains");
		else if (learn(import, harvest, true, err) != 0)
			return -1;
	}
	return 0;
}

/* The certificates, references in the arena, and the entries of persons. */
static int list_certs(struct import *import, const struct bundle *bundle, struct cert_list *certs,
		      const struct bundle_entry **persons, size_t *n, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < bundle->n && rc == 0; i++) {
		const struct bundle_entry *entry = &bundle->entries[i];

		if (entry->problem != NULL)
			explain_nothing(import, "", entry->problem);
		if (entry->cert == NULL)
			continue;
		rc = cert_list_add(certs, entry->cert);
		if (!cert_info(entry->cert)->ca)
			persons[(*n)++] = entry;
	}
	if (rc == 0)
		return cert_list_defer(import->ctl->arena, certs) == 0 ? 0 : err_memory(err);
	cert_list_clear(certs);
	return err_memory(err);
}

/* The one of an address that is preferred, else the newest, is learned last, and stays. */
static int import_certs(struct import *import, const struct bundle *bundle, struct err *err)
{
	const struct bundle_entry **persons = arena_array(import->ctl->arena, bundle->n, sizeof(*persons));
	struct cert_list *certs = arena_alloc(import->ctl->arena, sizeof(*certs));
	size_t n = 0;

	if (persons == NULL || certs == NULL)
		return err_memory(err);
	if (list_certs(import, bundle, certs, persons, &n, err) != 0)
		return -1;
	if (n > 1)
		qsort(persons, n, sizeof(*persons), by_worth);
	for (size_t i = 0; i < n; i++) {
		struct harvest harvest = { .cert = persons[i]->cert, .capabilities = persons[i]->capabilities,
					   .signed_at = clock_now(&clock_system), .collection = "" };

		harvest_take_chain(certs, &harvest);
		if (import_cert(import, &harvest, err) != 0)
			return -1;
	}
	if (n == 0)
		explain_nothing(import, "", "no certificate of a person");
	return 0;
}

/* Whatever has a From field is a message: certificates in its text are nobody's word. */
static int import_file(struct import *import, struct slice bytes, struct err *err)
{
	const struct header_limits no_limits = { 0, 0 };
	struct arena *arena = import->ctl->arena;
	struct buf *wire = arena_buf(arena, 0);
	struct message message;
	struct bundle bundle;
	struct err why = { .class = ERR_NONE };

	if (wire == NULL || message_from_file_bytes(bytes, wire, NULL) != 0)
		return err_memory(err);
	if (message_parse(arena, buf_slice(wire), &no_limits, &message, NULL) == 0 &&
	    header_find(&message.header, "From", 0) != NULL)
		return import_message(import, &message, err);
	if (bundle_parse(arena, bytes, &bundle, &why) == 0)
		return import_certs(import, &bundle, err);
	if (why.class == ERR_TEMP)
		return err_set(err, ERR_TEMP, "%s", why.text);
	return err_set(err, ERR_MESSAGE, "%s: neither a message nor certificates: %s", import->file, why.text);
}

/* All files before rights are given up. */
static int read_files(struct ctl *ctl, struct buf ***contents, struct err *err)
{
	const struct ctl_words *files = &ctl->args.operands;
	const size_t limit_bytes = ((size_t)ctl->settings->limits.message_mb << 20) + HEADER_BYTES;

	*contents = arena_array(ctl->arena, files->n, sizeof(**contents));
	for (size_t i = 0; *contents != NULL && i < files->n; i++) {
		(*contents)[i] = arena_buf(ctl->arena, 0);
		if ((*contents)[i] == NULL)
			return err_memory(err);
		if (file_read(files->items[i], limit_bytes, (*contents)[i], err) != 0)
			return -1;
	}
	return *contents != NULL ? 0 : err_memory(err);
}

int ctl_harvest_import(struct ctl *ctl, struct err *err)
{
	struct import import = { .ctl = ctl };
	struct buf **contents = NULL;
	int rc = 0;

	if (ctl_site(ctl, err) != 0 || read_files(ctl, &contents, err) != 0 ||
	    ctl_store_open(ctl, &import.store, err) != 0)
		return -1;
	for (size_t i = 0; i < ctl->args.operands.n && rc == 0; i++) {
		import.file = ctl->args.operands.items[i];
		rc = import_file(&import, buf_slice(contents[i]), err);
	}
	ctl_store_close(&import.store);
	if (rc != 0)
		return -1;
	return import.barren ? CTL_NOT_PASSED : CTL_DONE;
}
