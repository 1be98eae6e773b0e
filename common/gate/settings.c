/* settings.c - the table of the configuration file's keys (INTERFACE 2). Defaults, units and ranges are here and nowhere
 * else; what rules, collections and drivers add stands in their own tables.
 */
#include "gate/settings.h"

#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "gate/site.h"
#include "pki/collection.h"
#include "policy/rule.h"

static const char *const mode_names[] = { "enforce", "observe", NULL };
static const char *const on_failure_names[] = { "tempfail", "reject", NULL };

#define LIMIT(member, text, low, high) \
	{ .name = #member, .type = CONF_INT, .offset = offsetof(struct limits, member), .preset = text, .min = low, \
	  .max = high }

static const struct conf_row limit_rows[] = {
	LIMIT(message_mb, "50", 1, 2047),
	LIMIT(body_in_memory_kb, "1024", 1, 1048576),
	LIMIT(total_memory_mb, "512", 16, 1048576),
	LIMIT(deadline_s, "60", 1, 280),
	LIMIT(copies, "50", 0, 1000),
	LIMIT(cms_layers, "5", 1, 20),
	LIMIT(mime_depth, "20", 1, 100),
	LIMIT(mime_parts, "1000", 1, 100000),
	LIMIT(recipient_infos, "1000", 1, 100000),
	LIMIT(signer_infos, "16", 1, 1000),
	LIMIT(certificates, "64", 1, 10000),
	{ .name = NULL }
};
static const struct conf_table limit_table = { limit_rows, sizeof(struct limits) };

#define PART(part, member) (offsetof(struct settings, part.member) - offsetof(struct settings, part))
#define PART_SIZE(part) sizeof(((struct settings *)0)->part)

static const struct conf_row reinject_rows[] = {
	{ .name = "to", .type = CONF_STRING, .offset = PART(reinject, to) },
	{ .name = "starttls", .type = CONF_BOOL, .offset = PART(reinject, starttls) },
	{ .name = "ca_file", .type = CONF_STRING, .offset = PART(reinject, ca_file) },
	{ .name = NULL }
};
static const struct conf_table reinject_table = { reinject_rows, PART_SIZE(reinject) };

static const struct conf_row trigger_rows[] = {
	{ .name = "header", .type = CONF_STRING, .offset = PART(triggers, header) },
	{ .name = "subject_tag", .type = CONF_STRING, .offset = PART(triggers, subject_tag) },
	{ .name = NULL }
};
static const struct conf_table trigger_table = { trigger_rows, PART_SIZE(triggers) };

static const struct conf_row audit_rows[] = {
	{ .name = "path", .type = CONF_STRING, .offset = PART(audit, path) },
	{ .name = "chain", .type = CONF_BOOL, .offset = PART(audit, chain) },
	{ .name = NULL }
};
static const struct conf_table audit_table = { audit_rows, PART_SIZE(audit) };

static const struct conf_row metrics_rows[] = {
	{ .name = "listen", .type = CONF_STRING, .offset = PART(metrics, listen) },
	{ .name = NULL }
};
static const struct conf_table metrics_table = { metrics_rows, PART_SIZE(metrics) };

#define AT(member) offsetof(struct settings, member)

static const struct conf_row top_rows[] = {
	{ .name = "socket", .type = CONF_STRING, .offset = AT(socket),
	  .preset = "local:/run/smime-milter/milter.sock" },
	{ .name = "user", .type = CONF_STRING, .offset = AT(user), .preset = "smime-milter" },
	{ .name = "socket_group", .type = CONF_STRING, .offset = AT(socket_group) },
	{ .name = "socket_mode", .type = CONF_STRING, .offset = AT(socket_mode), .preset = "0660" },
	{ .name = "mode", .type = CONF_ENUM, .offset = AT(mode), .names = mode_names },
	{ .name = "workers", .type = CONF_INT, .offset = AT(workers), .min = 0, .max = 256 },
	{ .name = "authserv_id", .type = CONF_STRING, .offset = AT(authserv_id) },
	{ .name = "local_domains", .type = CONF_STRINGS, .offset = AT(local_domains) },
	{ .name = "internal_hosts", .type = CONF_STRINGS, .offset = AT(internal_hosts), .preset = "127.0.0.0/8 ::1" },
	{ .name = "originating", .type = CONF_STRINGS, .offset = AT(originating), .preset = "ORIGINATING" },
	{ .name = "signing_hosts", .type = CONF_STRINGS, .offset = AT(signing_hosts) },
	{ .name = "sender_login", .type = CONF_STRING, .offset = AT(sender_login) },
	{ .name = "trusted_results", .type = CONF_STRINGS, .offset = AT(trusted_results) },
	{ .name = "recipient_delimiter", .type = CONF_STRING, .offset = AT(recipient_delimiter) },
	{ .name = "state_dir", .type = CONF_STRING, .offset = AT(state_dir), .preset = "/var/lib/smime-milter" },
	{ .name = "on_failure", .type = CONF_ENUM, .offset = AT(on_failure), .names = on_failure_names },
	{ .name = "legacy_ciphers", .type = CONF_BOOL, .offset = AT(legacy_ciphers) },
	{ .name = "limits", .type = CONF_GROUP, .offset = AT(limits), .table = &limit_table },
	{ .name = "collections", .type = CONF_GROUPS, .offset = AT(collections), .table = &collection_conf },
	{ .name = "directories", .type = CONF_GROUPS, .offset = AT(directories) },
	{ .name = "keystores", .type = CONF_GROUPS, .offset = AT(keystores) },
	{ .name = "rules", .type = CONF_GROUPS, .offset = AT(rules), .table = &rule_conf },
	{ .name = "reinject", .type = CONF_GROUP, .offset = AT(reinject), .table = &reinject_table },
	{ .name = "triggers", .type = CONF_GROUP, .offset = AT(triggers), .table = &trigger_table },
	{ .name = "audit", .type = CONF_GROUP, .offset = AT(audit), .table = &audit_table },
	{ .name = "metrics", .type = CONF_GROUP, .offset = AT(metrics), .table = &metrics_table },
	{ .name = "journal", .type = CONF_STRING, .offset = AT(journal) },
	{ .name = "journal_password_file", .type = CONF_STRING, .offset = AT(journal_password_file) },
	{ .name = NULL }
};

/* Types of drivers that come with later versions, or that this program was built without. */
static const char *const later_directories[] = { "smimea", NULL };
static const char *const later_keystores[] = { "pkcs11", NULL };

/* The i-th driver as the reader of the configuration wants it; type NULL: there are no more. */
static struct conf_variant directory_variant(const struct site_drivers *drivers, size_t i)
{
	const struct directory_driver *driver = drivers->directories[i];

	return driver != NULL ? (struct conf_variant){ driver->type, driver->table } : (struct conf_variant){ NULL, NULL };
}

static struct conf_variant keystore_variant(const struct site_drivers *drivers, size_t i)
{
	const struct keystore_driver *driver = drivers->keystores[i];

	return driver != NULL ? (struct conf_variant){ driver->type, driver->table } : (struct conf_variant){ NULL, NULL };
}

static bool is_among(const struct conf_variant *list, const char *type)
{
	while (list->type != NULL && strcmp(list->type, type) != 0)
		list++;
	return list->type != NULL;
}

static const struct conf_variant *variants(struct arena *arena, const struct site_drivers *drivers,
					   struct conf_variant (*at)(const struct site_drivers *, size_t),
					   const char *const *later)
{
	struct conf_variant *list = NULL;
	size_t n = 0, later_n = 0, i;

	while (at(drivers, n).type != NULL)
		n++;
	while (later[later_n] != NULL)
		later_n++;
	list = arena_array(arena, n + later_n + 1, sizeof(*list));
	for (i = 0; list != NULL && i < n; i++)
		list[i] = at(drivers, i);
	for (i = 0; list != NULL && i < later_n; i++)
		if (!is_among(list, later[i]))
			list[n++].type = later[i];
	return list;
}

const struct conf_table *settings_table(struct arena *arena, const struct site_drivers *drivers)
{
	struct conf_table *table = arena_alloc(arena, sizeof(*table));
	struct conf_row *row, *copy = arena_alloc(arena, sizeof(top_rows));
	const struct conf_variant *directories = variants(arena, drivers, directory_variant, later_directories);
	const struct conf_variant *keystores = variants(arena, drivers, keystore_variant, later_keystores);

	if (table == NULL || copy == NULL || directories == NULL || keystores == NULL)
		return NULL;
	memcpy(copy, top_rows, sizeof(top_rows));
	for (row = copy; row->name != NULL; row++) {
		if (row->offset == AT(directories))
			row->variants = directories;
		if (row->offset == AT(keystores))
			row->variants = keystores;
	}
	*table = (struct conf_table){ copy, sizeof(struct settings) };
	return table;
}
