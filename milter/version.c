/* version.c - names and versions of the libraries for -V; the only use made of them here. Called by main. */
#include "milter/version.h"

#include <jansson.h>
#include <ldap.h>
#include <libconfig.h>
#include <libmilter/mfapi.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "milter/drivers.h"

/* 3.0.22: the last fixes in parsers of CMS that any mail reaches (SPECS B1). */
#define OPENSSL_SERIES 0x30000000UL
#define OPENSSL_SERIES_END 0x30100000UL
#define OPENSSL_FIXED 0x30000160UL

static void print_ldap(void)
{
	LDAPAPIInfo info = { .ldapai_info_version = LDAP_API_INFO_VERSION };

	if (ldap_get_option(NULL, LDAP_OPT_API_INFO, &info) != LDAP_OPT_SUCCESS)
		return;
	printf("libldap %s %d.%d.%d\n", info.ldapai_vendor_name, info.ldapai_vendor_version / 10000,
	       info.ldapai_vendor_version / 100 % 100, info.ldapai_vendor_version % 100);
	ldap_memfree(info.ldapai_vendor_name);
	ber_memvfree((void **)info.ldapai_extensions);
}

void version_print(void)
{
	unsigned major = 0, minor = 0, patch = 0;
	char names[200];

	printf("smime-milter %s\n", PACKAGE_VERSION);
	printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
	print_ldap();
	(void)smfi_version(&major, &minor, &patch);
	printf("libmilter %u.%u.%u\n", major, minor, patch);
	printf("libconfig %d.%d.%d\n", LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR, LIBCONFIG_VER_REVISION);
	printf("jansson %s\n", JANSSON_VERSION);
	printf("%s\n", drivers_names(names, sizeof(names)));
}

void version_warn(const struct event_sink *sink)
{
	unsigned long version = OpenSSL_version_num();

	if (version >= OPENSSL_SERIES && version < OPENSSL_SERIES_END && version < OPENSSL_FIXED)
		event_log(sink, EVENT_WARNING, "%s has known holes in parsing CMS: 3.0.22 or later is needed",
			  OpenSSL_version(OPENSSL_VERSION));
}
