/* settings.h - the configuration file as plain values: one member a key of INTERFACE 2's top level. */
#ifndef GATE_SETTINGS_H
#define GATE_SETTINGS_H

#include "base/conf.h"

enum mode { MODE_ENFORCE, MODE_OBSERVE };
enum on_failure { ON_FAILURE_TEMPFAIL, ON_FAILURE_REJECT };

struct limits {
	int64_t message_mb, body_in_memory_kb, total_memory_mb, deadline_s, copies, cms_layers, mime_depth, mime_parts,
		recipient_infos, signer_infos, certificates;
};

struct settings {
	const char *socket, *user, *socket_group, *socket_mode;
	int mode;
	int64_t workers;
	const char *authserv_id;
	struct conf_strings local_domains, internal_hosts, originating, signing_hosts, trusted_results;
	const char *sender_login, *recipient_delimiter, *state_dir;
	int on_failure;
	bool legacy_ciphers;
	struct limits limits;
	struct conf_groups collections;		/* struct collection_settings */
	struct conf_groups directories;		/* by type; each begins with struct directory_settings */
	struct conf_groups keystores;		/* by type; each begins with const char *type */
	struct conf_groups rules;		/* struct rule_settings */
	struct { const char *to; bool starttls; const char *ca_file; } reinject;
	struct { const char *header, *subject_tag; } triggers;
	struct { const char *path; bool chain; } audit;
	struct { const char *listen; } metrics;
	const char *journal, *journal_password_file;
};

struct site_drivers;

/* The table of all keys, with the drivers' own tables as variants. Lives in the arena. NULL: memory. */
struct arena;
const struct conf_table *settings_table(struct arena *arena, const struct site_drivers *drivers);

#endif
