/* drivers.c - the drivers of this program as constant arrays: the only place that knows what was built in. A new driver
 * is a row here. Called by the milter and smimectl when they load a site, and for -V. */
#include "milter/drivers.h"

#include <stdio.h>

#include "ldap/ldap_driver.h"
#include "milter/metrics_http.h"
#include "milter/harvest_directory.h"

static const struct directory_driver *const directories[] = {
	&directory_files_driver,
	&ldap_directory_driver,
	&harvest_directory_driver,
#ifdef HAVE_UNBOUND
	&directory_smimea_driver,
#endif
	NULL
};

static const struct keystore_driver *const keystores[] = {
	&keystore_pem_driver,
	&keystore_pkcs12_driver,
	NULL
};

#ifdef HAVE_HIREDIS
static const char *const journals[] = { "sqlite", "redis", NULL };

static const char *journal_problem(const char *url)
{
	return journal_redis_problem(url);
}

int drivers_journal_open(const struct journal_env *env, struct journal *journal, bool *made, struct err *err)
{
	if (env->url != NULL && env->url[0] != '\0')
		return journal_redis_open(env, journal, made, err);
	return journal_sqlite_open(env, journal, made, err);
}
#else
static const char *const journals[] = { "sqlite", NULL };

static const char *journal_problem(const char *url)
{
	(void)url;
	return "only \"\", a file in state_dir: this program was built without hiredis";
}

int drivers_journal_open(const struct journal_env *env, struct journal *journal, bool *made, struct err *err)
{
	return journal_sqlite_open(env, journal, made, err);
}
#endif

const struct site_drivers drivers_all = { directories, keystores, journal_problem };

char *drivers_names(char *out, size_t size)
{
	size_t used = 0;

	if (size == 0)
		return out;
	used += (size_t)snprintf(out, size, "directories:");
	for (size_t i = 0; directories[i] != NULL && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, " %s", directories[i]->type);
	if (used < size)
		used += (size_t)snprintf(out + used, size - used, "; keystores:");
	for (size_t i = 0; keystores[i] != NULL && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, " %s", keystores[i]->type);
	if (used < size)
		used += (size_t)snprintf(out + used, size - used, "; journals:");
	for (size_t i = 0; journals[i] != NULL && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, " %s", journals[i]);
	if (used < size)
		used += (size_t)snprintf(out + used, size - used, "; metrics: %s", metrics_http_library());
	return out;
}
