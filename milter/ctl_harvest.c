/* ctl_harvest.c - smimectl harvest list and approve: the store that the recorder fills, read and changed in place.
 * Several processes may do so (harvest_store.h, audit_file.h); a running gateway sees the change at its next question.
 */
#include "milter/ctl_harvest.h"

#include <string.h>
#include <unistd.h>

#include "milter/audit_event.h"
#include "milter/harvester.h"
#include "milter/privileges.h"
#include "milter/report.h"
#include "pki/directory_driver.h"

#define BUSY_MS 5000
#define SHA256_CHARACTERS 64

/* The default user may be missing: then the gateway runs as root, too. */
static int become_user(const struct ctl *ctl, struct err *err)
{
	struct identity identity = { .change = false };

	if (geteuid() != 0 || identity_find(ctl->settings->user, &identity, err) != 0)
		return 0;
	return identity_become(&identity, err);
}

int ctl_store_open(struct ctl *ctl, struct ctl_store *store, struct err *err)
{
	const struct settings *settings = ctl->settings;
	const struct audit_file_env audit = { settings->audit.path, settings->state_dir, settings->audit.chain, &ctl->sink };

	*store = (struct ctl_store){ .uid = getuid() };
	if (become_user(ctl, err) != 0)
		return -1;
	if (audit.path != NULL && (store->audit = audit_file_open(&audit, err)) == NULL)
		return -1;
	store->store = harvest_store_open(settings->state_dir, err);
	if (store->store != NULL)
		return 0;
	ctl_store_close(store);
	return -1;
}

void ctl_store_close(struct ctl_store *store)
{
	harvest_store_close(store->store);
	audit_file_close(store->audit);
	*store = (struct ctl_store){ .store = NULL };
}

static int record(const struct ctl_store *store, const struct audit_event *event, struct err *err)
{
	struct buf line;
	int rc;

	if (store->audit == NULL)
		return 0;
	buf_init(&line, 0);
	rc = audit_event_line(event, &line, err) == 0 ? audit_file_append(store->audit, buf_slice(&line), err) : -1;
	buf_clear(&line);
	return rc;
}

int ctl_store_tell(struct ctl *ctl, const struct ctl_store *store, const char *what, struct slice address,
		   const struct harvest_change *change, const struct cert *cert, struct err *err)
{
	const char *text = harvest_news_text(ctl->arena, address, change, cert);
	const struct audit_event event = {
		.at = clock_now(&clock_system), .what = what, .uid = store->uid, .pid = getpid(),
		.address = arena_string(ctl->arena, address), .cert_sha256 = change->now, .cert_sha256_before = change->before,
	};

	if (text != NULL)
		printf("%s\n", text);
	if (event.address == NULL)
		return err_memory(err);
	if (change->news != HARVEST_NEWS_FIRST && change->news != HARVEST_NEWS_CHANGED &&
	    change->news != HARVEST_NEWS_RENEWED)
		return 0;
	if (record(store, &event, err) == 0)
		return 0;
	return err_prefix(err, "in use from now on, but not in the audit log");
}

/* list */

static const char *time_text(time_t at, char *out, size_t size)
{
	clock_format(at, out, size);
	return out;
}

static void print_row(const struct harvested *row)
{
	char first[32], last[32], signed_at[32];

	printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t", harvest_state_names[row->state], row->address, row->sha256, row->issuer,
	       time_text(row->first_seen, first, sizeof(first)), time_text(row->last_seen, last, sizeof(last)),
	       time_text(row->signed_at, signed_at, sizeof(signed_at)));
	for (unsigned i = 0, n = 0; i < CIPHER_COUNT; i++)
		if ((row->capabilities.ciphers & 1U << i) != 0)
			printf("%s%s", n++ > 0 ? "," : "", cipher_names[i]);
	printf("%s\t%s\t%s\n", row->capabilities.known ? "" : "-", row->how,
	       row->collection[0] != '\0' ? row->collection : "-");
}

int ctl_harvest_list(struct ctl *ctl, struct err *err)
{
	struct harvest_store *store = NULL;
	struct harvested *rows = NULL;
	size_t n = 0;
	int rc;

	if (ctl_settings(ctl, err) != 0 || become_user(ctl, err) != 0)
		return -1;
	rc = harvest_store_open_read(ctl->settings->state_dir, BUSY_MS, &store, err);
	if (rc == 1)
		rc = harvest_store_rows(store, ctl->arena, slice_of(""), &rows, &n, err);
	harvest_store_close(store);
	if (rc != 0)
		return -1;
	for (size_t i = 0; i < n && !ctl->json; i++)
		print_row(&rows[i]);
	return ctl->json && report_harvested(stdout, rows, n, err) != 0 ? -1 : CTL_DONE;
}

/* approve */

static bool is_sha256(const char *text)
{
	return strlen(text) == SHA256_CHARACTERS && strspn(text, "0123456789abcdefABCDEF") == SHA256_CHARACTERS;
}

/* What is meant by a sha256: every address's certificate that is not in use. By an address: what waits. */
struct meaning {
	const char *sha256;		/* lower case; NULL: an address */
	struct slice address;		/* n == 0: everybody's */
};

static bool is_meant(const struct meaning *meaning, const struct harvested *row)
{
	if (meaning->sha256 != NULL)
		return strcmp(row->sha256, meaning->sha256) == 0 && row->state != HARVEST_STATE_ACTIVE;
	return row->state == HARVEST_STATE_PENDING;
}

/* 0, CTL_USAGE or -1. */
static int read_meaning(struct ctl *ctl, const char *text, struct meaning *meaning, struct err *err)
{
	struct address address;
	char *sha256 = NULL;

	*meaning = (struct meaning){ .sha256 = NULL };
	if (!is_sha256(text)) {
		if (ctl_address(ctl, text, &address) != 0)
			return CTL_USAGE;
		if (address.text.n == 0)
			return ctl_usage(ctl, "<> has no certificate");
		meaning->address = directory_key(ctl->arena, &address);
		return meaning->address.p != NULL ? 0 : err_memory(err);
	}
	sha256 = arena_strdup(ctl->arena, text);
	if (sha256 == NULL)
		return err_memory(err);
	ascii_lower(sha256, SHA256_CHARACTERS);
	meaning->sha256 = sha256;
	return 0;
}

/* The rows that are meant, first in the array. */
static int select_rows(struct ctl *ctl, const struct ctl_store *store, const struct meaning *meaning,
		       struct harvested **rows, size_t *n, struct err *err)
{
	size_t all = 0;

	if (harvest_store_rows(store->store, ctl->arena, meaning->address, rows, &all, err) != 0)
		return -1;
	*n = 0;
	for (size_t i = 0; i < all; i++)
		if (is_meant(meaning, &(*rows)[i]))
			(*rows)[(*n)++] = (*rows)[i];
	if (*n == 0)
		return err_set(err, ERR_POLICY, "no such certificate waits for approval");
	if (*n == 1 || meaning->sha256 != NULL)
		return 0;
	for (size_t i = 0; i < *n; i++)
		fprintf(stderr, "%s\t%s\n", (*rows)[i].sha256, (*rows)[i].issuer);
	return err_set(err, ERR_POLICY, "%zu certificates wait for approval: name one by its sha256", *n);
}

static int approve(struct ctl *ctl, const struct ctl_store *store, const struct harvested *row, struct err *err)
{
	struct harvest_change change;
	struct cert *cert = cert_from_der(row->der, err);
	int rc = -1;

	if (cert == NULL)
		return -1;
	if (harvest_store_approve(store->store, slice_of(row->address), row->sha256, &change, err) == 0)
		rc = ctl_store_tell(ctl, store, "harvest-approve", slice_of(row->address), &change, cert, err);
	cert_free(cert);
	return rc;
}

int ctl_harvest_approve(struct ctl *ctl, struct err *err)
{
	struct ctl_store store;
	struct meaning meaning;
	struct harvested *rows = NULL;
	size_t n = 0;
	int rc = read_meaning(ctl, ctl->args.operands.items[0], &meaning, err);

	if (rc != 0)
		return rc;
	if (ctl_settings(ctl, err) != 0 || ctl_store_open(ctl, &store, err) != 0)
		return -1;
	rc = select_rows(ctl, &store, &meaning, &rows, &n, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = approve(ctl, &store, &rows[i], err);
	ctl_store_close(&store);
	return rc == 0 ? CTL_DONE : -1;
}
