/* setup.c - what the master takes from the configuration. Called at start, at reload and by -n. */
#include "milter/setup.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "milter/drivers.h"
#include "milter/fetch.h"
#include "milter/fetch_store.h"
#include "milter/fetch_url.h"

struct reading {
	struct conf *conf;
	struct settings settings;
	const struct conf_report *warnings;
};

static void warn_at(const struct conf_report *warnings, const char *where, const char *text)
{
	char line[600];

	if (warnings == NULL)
		return;
	snprintf(line, sizeof(line), "%s: %s", where, text);
	warnings->finding(warnings->self, line);
}

static void warn(const struct reading *reading, const void *member, const char *text)
{
	warn_at(reading->warnings, conf_where(reading->conf, member), text);
}

static int read_socket(struct reading *reading, struct setup *setup, struct err *err)
{
	const struct settings *settings = &reading->settings;
	char *end = NULL;
	unsigned long mode = strtoul(settings->socket_mode, &end, 8);
	struct err why = { 0 };

	if (listener_parse(settings->socket, &setup->socket, &why) != 0)
		return conf_finding(reading->conf, &settings->socket, err, "%s", why.text);
	if (!setup->socket.local && strchr(setup->socket.text, '@') == NULL)
		warn(reading, &settings->socket, "no address: whoever reaches the port can hand in mail as anybody");
	if (end == settings->socket_mode || *end != '\0' || mode > 0777)
		return conf_finding(reading->conf, &settings->socket_mode, err,
				    "socket_mode \"%s\": expected octal permissions like \"0660\"",
				    settings->socket_mode);
	if ((mode & 0002) != 0 && setup->socket.local)
		warn(reading, &settings->socket_mode, "socket_mode lets every local user hand in mail as anybody");
	setup->access.mode = (mode_t)mode;
	return 0;
}

static int read_group(struct reading *reading, struct setup *setup, struct err *err)
{
	const struct settings *settings = &reading->settings;
	struct err why = { 0 };

	if (settings->socket_group == NULL || settings->socket_group[0] == '\0')
		return 0;
	if (identity_group(settings->socket_group, &setup->access.group, &why) != 0)
		return conf_finding(reading->conf, &settings->socket_group, err, "socket_group: %s", why.text);
	setup->access.has_group = true;
	return 0;
}

/* Only the default may be missing: then the rights that the gateway was started with are what there is. */
static int read_user(struct reading *reading, struct setup *setup, struct err *err)
{
	const struct settings *settings = &reading->settings;
	bool given = conf_given(reading->conf, &settings->user);
	struct err why = { 0 };

	if (geteuid() != 0)
		return 0;	/* an ordinary user stays himself */
	if (identity_find(settings->user, &setup->identity, &why) == 0) {
		if (setup->identity.uid == 0)
			warn(reading, &settings->user, "the gateway keeps root's rights");
		return 0;
	}
	if (given)
		return conf_finding(reading->conf, &settings->user, err, "%s", why.text);
	memset(&setup->identity, 0, sizeof(setup->identity));
	warn(reading, &settings->user,
	     "user: the default, smime-milter, does not exist; create it or set user: the gateway keeps root's rights");
	return 0;
}

static unsigned count_cores(void)
{
	cpu_set_t set;
	int n;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}

/* All findings at once, so that nobody has to mend a file one error a run. */
static int take(struct reading *reading, struct setup *setup, struct err *err)
{
	int rc = read_socket(reading, setup, err);

	if (read_group(reading, setup, rc == 0 ? err : NULL) != 0)
		rc = -1;
	if (read_user(reading, setup, rc == 0 ? err : NULL) != 0)
		rc = -1;
	setup->observe = reading->settings.mode == MODE_OBSERVE;
	setup->workers = (unsigned)reading->settings.workers;
	if (setup->workers == 0)
		setup->workers = count_cores();
	return rc;
}

int setup_read(const char *path, const struct conf_report *findings, const struct conf_report *warnings,
	       struct setup *setup, struct err *err)
{
	struct reading reading = { .warnings = warnings };
	struct arena *arena = arena_new(0);
	const struct conf_table *table = NULL;
	int rc = -1;

	memset(setup, 0, sizeof(*setup));
	if (arena == NULL || (table = settings_table(arena, &drivers_all)) == NULL) {
		err_memory(err);
		goto out;
	}
	if (conf_load(path, table, &reading.settings, findings, &reading.conf, err) != 0)
		goto out;
	rc = take(&reading, setup, err);
out:
	conf_free(reading.conf);
	arena_free(arena);
	return rc;
}

bool setup_differs(const struct setup *a, const struct setup *b)
{
	return strcmp(a->socket.text, b->socket.text) != 0 || a->access.mode != b->access.mode ||
	       a->access.has_group != b->access.has_group || a->access.group != b->access.group ||
	       a->identity.change != b->identity.change || a->identity.uid != b->identity.uid;
}

/* 0, or the error number. */
static int try_directory(const char *path, bool make)
{
	char parent[4096];
	char *slash;

	if (make)
		(void)mkdir(path, 0700);
	if (access(path, W_OK | X_OK) == 0)
		return file_is_directory(path) ? 0 : ENOTDIR;
	if (make || errno != ENOENT || snprintf(parent, sizeof(parent), "%s", path) >= (int)sizeof(parent))
		return errno;
	slash = strrchr(parent, '/');
	if (slash == NULL || slash == parent)
		return ENOENT;
	*slash = '\0';
	return access(parent, W_OK | X_OK) == 0 ? 0 : errno;
}

int setup_state(const struct site *site, bool make, const struct conf_report *warnings, struct err *err)
{
	const char *path = site->settings.state_dir;
	const void *member = &site->settings.state_dir;
	char text[512];
	int number = try_directory(path, make);

	if (number == 0)
		return 0;
	if (number == EACCES)
		snprintf(text, sizeof(text), "state_dir %s: Permission denied for user id %lu", path,
			 (unsigned long)geteuid());
	else
		snprintf(text, sizeof(text), "state_dir %s: %s", path, strerror(number));
	if (conf_given(site->conf, member))
		return conf_finding(site->conf, member, err, "%s", text);
	warn_at(warnings, conf_where(site->conf, member), text);
	return 0;
}

/* The log's file, or a directory where it can be made: without it every mail is postponed. */
static int try_log(const char *path)
{
	char parent[4096];
	struct stat there;
	char *slash;

	if (stat(path, &there) == 0)
		return !S_ISREG(there.st_mode) ? EISDIR : access(path, R_OK | W_OK) == 0 ? 0 : errno;
	if (errno != ENOENT || snprintf(parent, sizeof(parent), "%s", path) >= (int)sizeof(parent))
		return errno;
	slash = strrchr(parent, '/');
	if (slash == NULL)
		return access(".", W_OK | X_OK) == 0 ? 0 : errno;
	slash[slash == parent] = '\0';
	return access(parent, W_OK | X_OK) == 0 ? 0 : errno;
}

int setup_audit(const struct site *site, struct err *err)
{
	const char *path = site->settings.audit.path;
	int number = path != NULL && path[0] != '\0' ? try_log(path) : 0;

	if (number == 0)
		return 0;
	if (number == EACCES)
		return conf_finding(site->conf, &site->settings.audit.path, err,
				    "audit.path %s: Permission denied for user id %lu", path, (unsigned long)geteuid());
	return conf_finding(site->conf, &site->settings.audit.path, err, "audit.path %s: %s", path, number == EISDIR ?
			    "not a regular file" : strerror(number));
}

static int check_hosts(const struct site *site, const struct conf_strings *hosts, struct err *err)
{
	struct err why;
	int rc = 0;

	for (size_t i = 0; i < hosts->n; i++)
		if (fetch_host_check(hosts->items[i], &why) != 0)
			rc = conf_finding(site->conf, &hosts->items[i], rc == 0 ? err : NULL, "fetch_hosts: %s",
					  why.text);
	return rc;
}

int setup_fetch(const struct site *site, bool make, struct err *err)
{
	const struct conf_groups *collections = &site->settings.collections;
	const struct collection_settings *settings;
	struct fetch_store store;
	struct err why;
	int rc = 0;

	for (size_t i = 0; i < collections->n; i++) {
		settings = collections->items[i];
		if (check_hosts(site, &settings->fetch_hosts, rc == 0 ? err : NULL) != 0)
			rc = -1;
	}
	if (rc != 0 || !fetch_is_wanted(site) || fetch_store_open(site->settings.state_dir, make, &store, &why) == 0)
		return rc;
	return conf_finding(site->conf, &site->settings.state_dir, err, "state_dir: fetched answers need %s", why.text);
}
