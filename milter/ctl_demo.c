/* ctl_demo.c - smimectl demo-ca: a directory with everything that a first run needs. The keys come from pki/demo_ca.c;
 * files and the configuration's text are written here.
 */
#include "milter/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "pki/bundle.h"
#include "pki/demo_ca.h"

#define MARK ".smime-milter-demo"

struct place {			/* the directory that is being filled */
	struct arena *arena;
	char *path;		/* absolute, without symbolic links */
};

struct person {
	struct demo_user user;
	const char *file;	/* in certs/ and in keys */
	const char *keys;	/* the directory of the private key */
};

/* RSA and elliptic curves on both sides. */
static const struct person people[] = {
	{ { "Alice", "alice@example.com", DEMO_RSA_2048, 365 }, "alice.pem", "keys" },
	{ { "Bob", "bob@example.com", DEMO_EC_P256, 365 }, "bob.pem", "keys" },
	{ { "Carol", "carol@partner.example", DEMO_RSA_2048, 365 }, "carol.pem", "partner-keys" },
	{ { "Dave", "dave@partner.example", DEMO_EC_P256, 365 }, "dave.pem", "partner-keys" },
};

static const struct { const char *name; mode_t mode; } directories[] = {
	{ "ca", 0700 }, { "certs", 0755 }, { "keys", 0700 }, { "partner-keys", 0700 }, { "run", 0755 }, { "state", 0700 },
};

static const char config_text[] =
"# Made by smimectl demo-ca, for trying things out. The comments of /etc/smime-milter/smime-milter.conf and\n"
"# smime-milter.conf(5) say what else there is.\n"
"socket         = \"local:^run/milter.sock\";\n"
"socket_mode    = \"0666\";                  # any process on this machine: for a demonstration only\n"
"user           = \"%\";\n"
"state_dir      = \"^state\";\n"
"authserv_id    = \"mx.example.com\";\n"
"local_domains  = [ \"example.com\" ];\n"
"\n"
"# Here both sides live on one machine: mail is ours by its login or by its listener, never by its client's address.\n"
"internal_hosts = [ ];\n"
"originating    = [ \"ORIGINATING\" ];\n"
"\n"
"collections = ( { name = \"demo\"; files = [ \"^roots.sst\" ]; } );\n"
"directories = ( { type = \"files\"; path = \"^certs\"; } );\n"
"keystores   = ( { type = \"pem\"; path = \"^keys\"; } );\n"
"\n"
"rules = (\n"
"  { id = \"inbound\";  direction = \"inbound\";  verify = \"mark\"; collection = \"demo\"; },\n"
"  { id = \"internal\"; direction = \"internal\"; sign = \"if-key\"; },\n"
"  { id = \"partner\";  direction = \"outbound\"; recipient = [ \"*@partner.example\" ];\n"
"    sign = \"require\"; encrypt = \"require\"; },\n"
"  { id = \"default\";  direction = \"outbound\"; sign = \"if-key\"; encrypt = \"if-possible\"; }\n"
");\n";

static const char *path_of(const struct place *place, const char *name, struct err *err)
{
	const char *path = arena_printf(place->arena, "%s/%s", place->path, name);

	if (path == NULL)
		err_memory(err);
	return path;
}

static int failed(const char *path, struct err *err)
{
	return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
}

/* A new file in place of an old one: its mode is right from the first byte on. */
static int write_file(const struct place *place, const char *name, mode_t mode, struct slice bytes, struct err *err)
{
	const char *path = path_of(place, name, err);
	int fd = -1, rc = -1;

	if (path == NULL)
		return -1;
	if (unlink(path) != 0 && errno != ENOENT)
		return failed(path, err);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return failed(path, err);
	rc = fchmod(fd, mode) == 0 && file_write_all(fd, bytes) == 0 ? 0 : failed(path, err);
	if (close(fd) != 0 && rc == 0)
		rc = failed(path, err);
	return rc;
}

/* -1: cannot be read. */
static int is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry = NULL;
	int empty = 1;

	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			empty = 0;
	closedir(dir);
	return empty;
}

static void free_text(void *text)
{
	free(text);
}

/* libconfig strings and Postfix parameters both dislike what is refused here. */
static int check_path(const char *path, struct err *err)
{
	const unsigned char *p = NULL;

	for (p = (const unsigned char *)path; *p != '\0'; p++)
		if (*p < 0x21 || *p == 0x7f || *p == '"' || *p == '\\')
			return err_set(err, ERR_CONFIG, "%s: a path with blanks, quotes or backslashes", path);
	return 0;
}

/* Nothing that was not made here is touched. */
static int open_place(struct place *place, const char *dir, struct err *err)
{
	const char *mark = NULL;
	int empty;

	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return failed(dir, err);
	place->path = realpath(dir, NULL);
	if (place->path == NULL)
		return failed(dir, err);
	if (arena_defer(place->arena, free_text, place->path) != 0)
		return err_memory(err);
	mark = path_of(place, MARK, err);
	if (mark == NULL || check_path(place->path, err) != 0)
		return -1;
	empty = is_empty(place->path);
	if (empty < 0)
		return failed(dir, err);
	if (empty == 0 && access(mark, F_OK) != 0)
		return err_set(err, ERR_CONFIG, "%s: not empty, and not made by demo-ca: left alone", dir);
	return write_file(place, MARK, 0644, slice_of(""), err);
}

static int make_directories(const struct place *place, struct err *err)
{
	const char *path = NULL;
	size_t i;

	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		path = path_of(place, directories[i].name, err);
		if (path == NULL)
			return -1;
		if ((mkdir(path, directories[i].mode) != 0 && errno != EEXIST) ||
		    chmod(path, directories[i].mode) != 0)
			return failed(path, err);
	}
	return 0;
}

static int write_root(const struct place *place, const struct demo_ca *ca, struct err *err)
{
	const struct bundle_entry entry = { .cert = demo_ca_cert(ca), .friendly_name = "Demo Root" };
	struct buf pem, sst, key;
	int rc = -1;

	buf_init(&pem, 0);
	buf_init(&sst, 0);
	buf_init(&key, 0);
	if (demo_cert_pem(demo_ca_cert(ca), &pem, err) != 0 || bundle_write_sst(&entry, 1, &sst, err) != 0 ||
	    demo_ca_key(ca, &key, err) != 0 ||
	    write_file(place, "ca/root.key", 0600, buf_slice(&key), err) != 0 ||
	    write_file(place, "ca/root.pem", 0644, buf_slice(&pem), err) != 0 ||
	    write_file(place, "roots.pem", 0644, buf_slice(&pem), err) != 0 ||
	    write_file(place, "roots.sst", 0644, buf_slice(&sst), err) != 0)
		goto out;
	rc = 0;
out:
	buf_clear(&pem);
	buf_clear(&sst);
	buf_clear(&key);
	return rc;
}

static int write_person(const struct place *place, const struct demo_ca *ca, const struct person *person,
			struct err *err)
{
	const char *cert_file = arena_printf(place->arena, "certs/%s", person->file);
	const char *key_file = arena_printf(place->arena, "%s/%s", person->keys, person->file);
	struct buf cert, key;
	int rc = -1;

	buf_init(&cert, 0);
	buf_init(&key, 0);
	if (cert_file == NULL || key_file == NULL)
		err_memory(err);
	else if (demo_ca_issue(ca, &person->user, &cert, &key, err) == 0 &&
		 write_file(place, cert_file, 0644, buf_slice(&cert), err) == 0 &&
		 write_file(place, key_file, 0600, buf_slice(&key), err) == 0)
		rc = 0;
	buf_clear(&cert);
	buf_clear(&key);
	return rc;
}

static const char *own_name(void)
{
	const struct passwd *entry = getpwuid(geteuid());

	return entry != NULL ? entry->pw_name : "";
}

/* "^" stands for the directory, "%" for the user that this runs as. */
static int write_config(const struct place *place, struct err *err)
{
	struct buf text;
	const char *p = NULL;
	int bad = 0, rc = -1;

	buf_init(&text, 0);
	for (p = config_text; *p != '\0'; p++) {
		if (*p == '^')
			bad |= buf_printf(&text, "%s/", place->path);
		else if (*p == '%')
			bad |= buf_append_text(&text, own_name());
		else
			bad |= buf_append_char(&text, *p);
	}
	rc = bad == 0 ? write_file(place, "smime-milter.conf", 0644, buf_slice(&text), err) : err_memory(err);
	buf_clear(&text);
	return rc;
}

static int fill(const struct place *place, struct err *err)
{
	struct demo_ca *ca = demo_ca_new("Demo Root", err);
	size_t i;
	int rc = -1;

	if (ca == NULL || make_directories(place, err) != 0 || write_root(place, ca, err) != 0)
		goto out;
	for (i = 0; i < sizeof(people) / sizeof(people[0]); i++)
		if (write_person(place, ca, &people[i], err) != 0)
			goto out;
	rc = write_config(place, err);
out:
	demo_ca_free(ca);
	return rc;
}

int ctl_demo_ca(struct ctl *ctl, struct err *err)
{
	struct place place = { ctl->arena, NULL };

	if (open_place(&place, ctl->args.operands.items[0], err) != 0 || fill(&place, err) != 0)
		return -1;
	printf("%s/smime-milter.conf\n", place.path);
	fprintf(stderr, "Made: roots.pem and roots.sst (what may vouch), certs/ (a directory of certificates),\n"
			"keys/ (alice and bob @example.com), partner-keys/ (carol and dave @partner.example), ca/.\n");
	return CTL_DONE;
}
