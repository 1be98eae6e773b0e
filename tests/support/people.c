/* people.c - see people.h. */
#include "support/people.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/bundle.h"

/* the gateway has the key; certs/ has the certificate; the key's file has no chain; revoked/ has the certificate */
enum { OWN_KEY = 1, PUBLISHED = 2, ALONE = 4, REVOKED = 8 };
enum issuer { BY_CA, BY_STRANGER };

#define SIGN "critical,digitalSignature"
#define SIGN_RSA "critical,digitalSignature,keyEncipherment"
#define SIGN_EC "critical,digitalSignature,keyAgreement"
#define MAIL "emailProtection"
/* A name that would start a field, a parameter or a result, were it written as it is. */
#define INJECTION "x\"; result=pass; y=\"\r\nX-Injected: yes\r\n (\\"

static const struct row {
	const char *name, *address;	/* the name is the certificate's CN too, but for `injector` */
	enum testpki_key_type key;
	const char *usage, *eku;
	unsigned where;
	enum issuer issuer;
	bool expired;
} rows[] = {
	/* own users */
	{ "alice", "alice@example.com", TESTPKI_RSA2048, SIGN_RSA, MAIL, OWN_KEY | PUBLISHED, BY_CA, false },
	{ "bob", "bob@example.com", TESTPKI_P256, SIGN_EC, MAIL, OWN_KEY | PUBLISHED, BY_CA, false },
	{ "ceo", "ceo@example.com", TESTPKI_P256, SIGN_EC, MAIL, OWN_KEY, BY_CA, false },
	{ "grace", "grace@example.com", TESTPKI_P384, SIGN, MAIL, OWN_KEY, BY_CA, false },
	{ "heidi", "heidi@example.com", TESTPKI_P521, SIGN, MAIL, OWN_KEY, BY_CA, false },
	{ "pat", "pat@example.com", TESTPKI_RSA_PSS, SIGN, MAIL, OWN_KEY, BY_CA, false },
	{ "erin", "erin@example.com", TESTPKI_P256, SIGN_EC, MAIL, OWN_KEY | PUBLISHED, BY_CA, true },
	{ "gateway", "gateway@example.com", TESTPKI_P256, SIGN, MAIL, OWN_KEY, BY_CA, false },
	{ "signer", "domain-signing-authority@example.com", TESTPKI_P256, SIGN, MAIL, OWN_KEY, BY_CA, false },
	{ "leaf", "leaf@example.com", TESTPKI_P256, SIGN_EC, MAIL, OWN_KEY | ALONE, BY_CA, false },
	/* partners */
	{ "carol", "carol@partner.example", TESTPKI_RSA2048, SIGN_RSA, MAIL, PUBLISHED, BY_CA, false },
	{ "dave", "dave@partner.example", TESTPKI_P256, SIGN_EC, MAIL, PUBLISHED, BY_CA, false },
	{ "authority", "domain-confidentiality-authority@domain.example", TESTPKI_P256, SIGN_EC, MAIL, PUBLISHED, BY_CA,
	  false },
	{ "ivan", "ivan@partner.example", TESTPKI_P256, SIGN_EC, MAIL, PUBLISHED, BY_CA, false },
	{ "frank", "frank@partner.example", TESTPKI_RSA2048, SIGN, MAIL, PUBLISHED, BY_CA, false },
	{ "server", "server@partner.example", TESTPKI_P256, SIGN_EC, "serverAuth", PUBLISHED, BY_CA, false },
	{ "late", "late@partner.example", TESTPKI_P256, SIGN_EC, MAIL, PUBLISHED, BY_CA, true },
	{ "small", "small@partner.example", TESTPKI_RSA1024, SIGN_RSA, MAIL, PUBLISHED, BY_CA, false },
	{ "carol-mail", "carol@partner.example", TESTPKI_P256, SIGN_EC, MAIL, 0, BY_CA, false },
	{ "frank-mail", "frank@partner.example", TESTPKI_P256, "critical,keyAgreement", MAIL, 0, BY_CA, false },
	{ "frank-other", "frank@partner.example", TESTPKI_P256, "critical,keyAgreement", MAIL, 0, BY_STRANGER, false },
	{ "revoked", "revoked@partner.example", TESTPKI_P256, SIGN_EC, MAIL, REVOKED, BY_CA, false },
	{ "anyuse", "anyuse@partner.example", TESTPKI_P256, SIGN_EC, "anyExtendedKeyUsage", 0, BY_CA, false },
	{ "trade", "gateway@partner.example", TESTPKI_P256, SIGN, MAIL, 0, BY_CA, false },
	{ "nobody", NULL, TESTPKI_P256, SIGN_EC, MAIL, 0, BY_CA, false },
	{ "injector", "injector@partner.example", TESTPKI_P256, SIGN_EC, MAIL, 0, BY_CA, false },
	/* a stranger, who calls himself what he likes */
	{ "mallory", "mallory@evil.example", TESTPKI_P256, SIGN_EC, MAIL, PUBLISHED, BY_STRANGER, false },
	{ "impostor", "carol@partner.example", TESTPKI_P256, SIGN_EC, MAIL, 0, BY_STRANGER, false },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "people: %s failed\n", what);
	exit(99);
}

static struct testpki *make_person(const struct people *people, const struct row *row, bool only_ec)
{
	struct testpki_spec spec = { .cn = row->name, .key = row->key, .usage = row->usage, .eku = row->eku };
	char san[128];

	if (strcmp(row->name, "injector") == 0)
		spec.cn = INJECTION;
	snprintf(san, sizeof(san), "email:%s", row->address != NULL ? row->address : "");
	spec.san = row->address != NULL ? san : NULL;
	if (only_ec && (row->key == TESTPKI_RSA2048 || row->key == TESTPKI_RSA1024 || row->key == TESTPKI_RSA_PSS)) {
		spec.key = TESTPKI_P256;
		spec.usage = strcmp(row->usage, SIGN_RSA) == 0 ? SIGN_EC : row->usage;
	}
	if (row->expired) {
		spec.not_before = time(NULL) - 20 * 24 * 3600;
		spec.not_after = time(NULL) - 10 * 24 * 3600;
	}
	return testpki_make(row->issuer == BY_CA ? people->ca : people->stranger_root, &spec);
}

static const char *path_in(const struct people *people, const char *format, const char *name, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/", people->dir);

	snprintf(path + n, size - (size_t)n, format, name);
	return path;
}

static void write_person(const struct people *people, const struct row *row, const struct testpki *pki)
{
	char path[256];

	if ((row->where & OWN_KEY) != 0)
		testpki_write_pem(path_in(people, "keys/%s.pem", row->name, path, sizeof(path)), pki,
				  TESTPKI_CERT | TESTPKI_KEY | ((row->where & ALONE) != 0 ? 0 : TESTPKI_CHAIN));
	if ((row->where & REVOKED) != 0)
		testpki_write_pem(path_in(people, "revoked/%s.pem", row->name, path, sizeof(path)), pki, TESTPKI_CERT);
	if ((row->where & PUBLISHED) != 0)
		testpki_write_pem(path_in(people, "certs/%s.pem", row->name, path, sizeof(path)), pki, TESTPKI_CERT);
}

static void write_anchors(const struct people *people)
{
	const struct testpki *both[] = { people->root, people->ca };
	struct bundle_entry entries[2] = {
		{ .cert = testpki_cert(people->root) }, { .cert = testpki_cert(people->ca) }
	};
	struct buf bytes;
	char path[256];

	buf_init(&bytes, 0);
	for (size_t i = 0; i < 2; i++)
		testpki_pem(both[i], TESTPKI_CERT, &bytes);
	testpki_write(path_in(people, "roots.pem", "", path, sizeof(path)), &bytes, 0644);
	buf_reset(&bytes);
	need(bundle_write_sst(entries, 2, &bytes, NULL) == 0, "SST");
	testpki_write(path_in(people, "roots.sst", "", path, sizeof(path)), &bytes, 0644);
	buf_clear(&bytes);
	cert_free(entries[0].cert);
	cert_free(entries[1].cert);
	testpki_write_pem(path_in(people, "stranger.pem", "", path, sizeof(path)), people->stranger_root, TESTPKI_CERT);
}

#define HOUR_S ((time_t)3600)

static void write_crl(const struct people *people, const char *name, struct buf *bytes)
{
	char path[256];

	testpki_write(path_in(people, "%s", name, path, sizeof(path)), bytes, 0644);
	buf_clear(bytes);
}

/* Of the issuing CA's name and a stranger's key. */
static void forge_crl(const struct people *people, time_t this_update, struct buf *bytes)
{
	struct testpki forger = { .x509 = people->ca->x509, .pkey = people->stranger_root->pkey };

	testpki_crl(&forger, NULL, 0, this_update, 0, true, bytes);
}

static void write_crls(const struct people *people)
{
	const struct testpki *revoked = people_find(people, "revoked");
	const time_t now = time(NULL);
	struct buf bytes;

	buf_init(&bytes, 0);
	testpki_crl(people->ca, &revoked, 1, 0, 0, true, &bytes);
	testpki_crl(people->root, NULL, 0, 0, 0, true, &bytes);
	write_crl(people, "crl.pem", &bytes);
	testpki_crl(people->ca, NULL, 0, now - 48 * HOUR_S, now + 96 * HOUR_S, true, &bytes);
	testpki_crl(people->root, NULL, 0, now - 48 * HOUR_S, now + 96 * HOUR_S, true, &bytes);
	write_crl(people, "crl-old.pem", &bytes);
	testpki_crl(people->ca, NULL, 0, now - 24 * HOUR_S, now - HOUR_S, true, &bytes);
	testpki_crl(people->root, NULL, 0, 0, 0, true, &bytes);
	write_crl(people, "crl-late.pem", &bytes);
	testpki_crl(people->root, NULL, 0, 0, 0, true, &bytes);
	forge_crl(people, now - HOUR_S, &bytes);
	write_crl(people, "crl-forged.pem", &bytes);
	for (int i = 0; i < 7; i++)
		forge_crl(people, now - i, &bytes);
	testpki_crl(people->ca, &revoked, 1, 0, 0, true, &bytes);
	write_crl(people, "crl-junk.pem", &bytes);
}

static void make_directories(struct people *people)
{
	static const char *const names[] = { "keys", "certs", "state", "empty", "revoked" };
	const char *base = getenv("TMPDIR");
	char path[256];

	snprintf(people->dir, sizeof(people->dir), "%s/smime-people.XXXXXX",
		 base != NULL && strlen(base) < 32 ? base : "/tmp");
	need(mkdtemp(people->dir) != NULL, "mkdtemp");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		need(mkdir(path_in(people, "%s", names[i], path, sizeof(path)), 0700) == 0, "mkdir");
}

struct people *people_new(bool only_ec)
{
	struct people *people = calloc(1, sizeof(*people));

	need(people != NULL, "memory");
	make_directories(people);
	people->root = testpki_root("Golden Root");
	people->ca = testpki_sub(people->root, "Golden Issuing CA");
	people->stranger_root = testpki_root("Stranger Root");
	people->entries = calloc(ROW_COUNT, sizeof(*people->entries));
	need(people->entries != NULL, "memory");
	for (size_t i = 0; i < ROW_COUNT; i++) {
		people->entries[i].name = rows[i].name;
		people->entries[i].pki = make_person(people, &rows[i], only_ec);
		people->n++;
		write_person(people, &rows[i], people->entries[i].pki);
	}
	write_anchors(people);
	write_crls(people);
	return people;
}

/* A directory made by this program, two levels deep at most. */
static void remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry = NULL;
	char inner[512];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (unlink(inner) != 0)
			remove_tree(inner);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
}

void people_free(struct people *people)
{
	if (people == NULL)
		return;
	for (size_t i = 0; i < people->n; i++)
		testpki_free(people->entries[i].pki);
	free(people->entries);
	testpki_free(people->ca);
	testpki_free(people->root);
	testpki_free(people->stranger_root);
	remove_tree(people->dir);
	free(people);
}

const struct testpki *people_find(const struct people *people, const char *name)
{
	for (size_t i = 0; i < people->n; i++)
		if (strcmp(people->entries[i].name, name) == 0)
			return people->entries[i].pki;
	return NULL;
}
