/* fetch_table.c - see fetch_table.h. Called by fetch.c. */
#include "milter/fetch_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"

const char *fetch_kind_name(enum fetch_kind kind)
{
	return kind == FETCH_CRL ? "crl" : "ocsp";
}

int fetch_entry_name(struct fetch_entry *entry, struct err *err)
{
	unsigned char digest[CRYPT_SHA256_BYTES];
	struct buf text;
	int rc = -1;

	buf_init(&text, 0);
	if (buf_printf(&text, "%s\n%s\n%u\n%s\n%s\n%s\n%s\n", fetch_kind_name(entry->kind), entry->url.host,
		       entry->url.port, entry->url.target, cert_info(entry->issuer)->sha256,
		       entry->kind == FETCH_OCSP ? cert_info(entry->cert)->sha256 : "",
		       collection_name(entry->collection)) != 0)
		err_memory(err);
	else if (crypt_sha256(text.p, text.n, digest, err) == 0)
		rc = 0;
	buf_clear(&text);
	if (rc == 0)
		crypt_hex(digest, sizeof(digest), entry->name);
	return rc;
}

void fetch_entry_free(struct fetch_entry *entry)
{
	if (entry == NULL)
		return;
	cert_free(entry->cert);
	cert_free(entry->issuer);
	free(entry);
}

struct fetch_entry *fetch_table_find(const struct fetch_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++)
		if (strcmp(table->items[i]->name, name) == 0)
			return table->items[i];
	return NULL;
}

static struct fetch_entry *take_out(struct fetch_table *table, size_t i)
{
	struct fetch_entry *entry = table->items[i];

	table->items[i] = table->items[--table->n];
	return entry;
}

struct fetch_entry *fetch_table_add(struct fetch_table *table, struct fetch_entry *entry)
{
	struct fetch_entry *gone = NULL;
	size_t oldest = FETCH_ENTRIES;

	for (size_t i = 0; table->n == FETCH_ENTRIES && i < table->n; i++)
		if (!table->items[i]->running &&
		    (oldest == FETCH_ENTRIES || table->items[i]->wanted_at < table->items[oldest]->wanted_at))
			oldest = i;
	if (oldest < FETCH_ENTRIES)
		gone = take_out(table, oldest);
	table->items[table->n++] = entry;
	return gone;
}

struct fetch_entry *fetch_table_expire(struct fetch_table *table, time_t now)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct fetch_entry *entry = table->items[i];

		if (!entry->running &&
		    (now - entry->wanted_at > FETCH_WANTED_S || cert_info(entry->cert)->not_after < now))
			return take_out(table, i);
	}
	return NULL;
}

static bool host_is_asked(const struct fetch_table *table, const struct fetch_url *url)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->items[i]->running && strcmp(table->items[i]->url.host, url->host) == 0)
			return true;
	return false;
}

struct fetch_entry *fetch_table_due(const struct fetch_table *table, int64_t now_ms)
{
	struct fetch_entry *due = NULL;

	for (size_t i = 0; i < table->n; i++) {
		struct fetch_entry *entry = table->items[i];

		if (!entry->running && entry->due_ms <= now_ms && (due == NULL || entry->due_ms < due->due_ms) &&
		    !host_is_asked(table, &entry->url))
			due = entry;
	}
	return due;
}

int64_t fetch_table_next_ms(const struct fetch_table *table)
{
	int64_t next_ms = INT64_MAX;

	for (size_t i = 0; i < table->n; i++)
		if (!table->items[i]->running && table->items[i]->due_ms < next_ms &&
		    !host_is_asked(table, &table->items[i]->url))
			next_ms = table->items[i]->due_ms;
	return next_ms;
}

void fetch_table_clear(struct fetch_table *table)
{
	while (table->n > 0)
		fetch_entry_free(take_out(table, table->n - 1));
}

static int64_t between(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

time_t fetch_renew_s(time_t this_update, time_t ages, time_t now)
{
	time_t end = ages + (ages - this_update) / 3, late = (end - now) / 4;

	return ages - now > late ? ages - now : late;
}

/* Up to a tenth sooner. */
static int64_t jitter(int64_t ms, uint32_t random)
{
	return ms - (int64_t)((uint64_t)ms / 10 * (random % 1024) / 1024);
}

void fetch_entry_succeeded(struct fetch_entry *entry, bool is_new, time_t renew_s, uint32_t random, int64_t now_ms)
{
	int64_t ms = (int64_t)between(renew_s, 0, FETCH_LONGEST_MS / 1000) * 1000;

	entry->failures = 0;
	entry->due_ms = now_ms + between(jitter(ms, random), is_new ? FETCH_EAGER_MS : FETCH_SHORTEST_MS,
					 FETCH_LONGEST_MS);
}

void fetch_entry_failed(struct fetch_entry *entry, uint32_t random, int64_t now_ms)
{
	unsigned doublings = entry->failures < 16 ? entry->failures : 16;
	int64_t ms = between(FETCH_SHORTEST_MS << doublings, 0, FETCH_FAILING_MS);

	entry->failures++;
	entry->due_ms = now_ms + between(jitter(ms, random), FETCH_SHORTEST_MS, FETCH_FAILING_MS);
}
