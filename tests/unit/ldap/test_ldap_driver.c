/* test_ldap_driver.c - the driver against real slapds on loopback (skipped where there is none), and its settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ldap/ldap_driver.h"
#include "ldap/query.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define BASE "base = \"dc=example,dc=com\";"
#define LATE_MS 3000	/* no deadline below is so far away; leaves room for a busy machine */
#define MANY 101	/* entries with one address: more than a search may give */

struct server {
	char *dir;
	int port;		/* ldaps: the next one */
	pid_t pid;
};

struct state {
	char *scratch;
	struct server open, closed, plain;	/* closed: only who binds may read, certificate with another name */
	struct testdir dir;
	struct arena *arena;
};

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *format, ...)
{
	char command[2048];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_free(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return is;
}

/* Two free ports in a row. */
static int free_ports(void)
{
	static int next;

	if (next == 0)
		next = 20000 + (int)(getpid() % 5000) * 8;
	for (next += 2; next < 65000; next += 2) {
		if (is_free(next) && is_free(next + 1))
			return next;
	}
	fail_msg("no free port");
	return 0;
}

static void read_pid(struct server *server)
{
	char *path = testdir_path(server->dir, "slapd.pid");
	FILE *file = fopen(path, "r");
	int pid = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	free(path);
	server->pid = pid;
}

static void start(struct state *s, struct server *server, const char *name, const char *environment)
{
	server->dir = testdir_path(s->scratch, name);
	server->port = free_ports();
	assert_int_equal(run("mkdir %s && %s tests/support/slapd.sh start %s %d %s/people.ldif", server->dir,
			     environment, server->dir, server->port, s->scratch),
			 0);
	read_pid(server);
}

static void write_bytes(struct state *s, const char *name, struct buf *bytes)
{
	char *path = testdir_path(s->scratch, name);

	testpki_write(path, bytes, 0600);
	free(path);
	buf_clear(bytes);
}

static void write_text(struct state *s, const char *name, const char *text)
{
	struct buf bytes;

	buf_init(&bytes, 0);
	assert_int_equal(buf_append_text(&bytes, text), 0);
	write_bytes(s, name, &bytes);
}

static void write_tls(struct state *s, const struct testpki *ca, const char *name, const char *san)
{
	const struct testpki_spec spec = { .cn = "slapd", .san = san, .eku = "serverAuth" };
	struct testpki *pki = testpki_make(ca, &spec);
	char *path = testdir_path(s->scratch, name);

	testpki_write_pem(path, pki, TESTPKI_CERT | TESTPKI_KEY);
	free(path);
	testpki_free(pki);
}

/* Their certificate is alice's. */
static const char owners_ldif[] =
	"dn: cn=o1,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nobjectClass: extensibleObject\nsn: o\ncn: o1\n"
	"mail: olga@example.com\nmail: olga.o@example.com\nproxyAddresses: smtp:o1@example.com\n"
	"proxyAddresses: X500:/o=Example/cn=o1\nproxyAddresses: SMTP:olga.owner@example.com\n"
	"proxyAddresses: sip:o1@sip.example.com\nproxyAddresses: SMTP:late@example.com\n"
	"userCertificate;binary:< file:alice.der\n\n"
	"dn: cn=o2,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nobjectClass: extensibleObject\nsn: o\ncn: o2\n"
	"proxyAddresses: smtp:o2@example.com\nmail: otto@example.com\nmail: no address\n"
	"userCertificate;binary:< file:alice.der\nuserSMIMECertificate:< file:bob.p7b\n\n"
	"dn: cn=o3,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: oscar\nsn: o\ncn: o3\n"
	"userCertificate;binary:< file:alice.der\n\n";

static void write_people(struct state *s, const struct testpki *root)
{
	struct testpki *alice = testpki_leaf(root, "alice@example.com"), *bob = testpki_leaf(root, "bob@example.com");
	const struct testpki *both[2] = { bob, root };
	struct buf bytes;

	buf_init(&bytes, 0);
	testpki_der(alice, &bytes);
	write_bytes(s, "alice.der", &bytes);
	testpki_p7b(both, 2, false, &bytes);
	write_bytes(s, "bob.p7b", &bytes);
	write_text(s, "garbage", "not a certificate");
	write_text(s, "owners.ldif", owners_ldif);
	assert_int_equal(run("cd %s && T=$OLDPWD/tests/support/slapd.sh && { $T top; "
			     "$T person alice@example.com 'userCertificate;binary' alice.der "
			     "userSMIMECertificate alice.der; "
			     "$T person bob@example.com userSMIMECertificate bob.p7b userSMIMECertificate garbage; "
			     "$T person dora@example.com; "
			     "$T person shared@example.com userSMIMECertificate alice.der; "
			     "$T person shared@example.com userSMIMECertificate bob.p7b | sed '1s/cn=/cn=second /'; "
			     "sed \"s,< file:,< file://$PWD/,\" owners.ldif; "
			     "for i in $(seq 1 %d); do $T person many@example.com | sed \"1s/cn=/cn=$i /\"; done; "
			     "} | sed 's/^dn: cn=\\(.*\\) many@example.com,/dn: cn=\\1,/; "
			     "s/^dn: cn=second shared@example.com,/dn: cn=second,/' > people.ldif", s->scratch, MANY),
			 0);
	testpki_free(alice);
	testpki_free(bob);
}

static int group_setup(void **state)
{
	static struct state s;
	char environment[1024], *ca;
	struct testpki *root = testpki_root("Root");

	*state = &s;
	s.scratch = testdir_scratch();
	write_people(&s, root);
	write_tls(&s, root, "good.pem", "IP:127.0.0.1,DNS:localhost");
	write_tls(&s, root, "other.pem", "DNS:other.example");
	ca = testdir_path(s.scratch, "ca.pem");
	testpki_write_pem(ca, root, TESTPKI_CERT);
	free(ca);
	testpki_free(root);
	write_text(&s, "secret", "secret\n");
	write_text(&s, "wrong", "wr0ng-s3cret");
	write_text(&s, "empty", "\n");
	snprintf(environment, sizeof(environment), "SLAPD_TLS_CERT=%s/good.pem SLAPD_TLS_KEY=%s/good.pem", s.scratch,
		 s.scratch);
	start(&s, &s.open, "open", environment);
	snprintf(environment, sizeof(environment),
		 "SLAPD_TLS_CERT=%s/other.pem SLAPD_TLS_KEY=%s/other.pem SLAPD_ACCESS='by users read by * none'",
		 s.scratch, s.scratch);
	start(&s, &s.closed, "closed", environment);
	start(&s, &s.plain, "plain", "SLAPD_SIZELIMIT='size.soft=20 size.hard=20 size.pr=30 size.prtotal=unlimited'");
	return 0;
}

static int group_teardown(void **state)
{
	struct state *s = *state;
	struct server *servers[] = { &s->open, &s->closed, &s->plain };

	for (size_t i = 0; i < 3; i++) {
		run("tests/support/slapd.sh stop %s", servers[i]->dir);
		free(servers[i]->dir);
	}
	testdir_remove(s->scratch);
	return 0;
}

static int setup(void **state)
{
	struct state *s = *state;

	s->arena = arena_new(0);
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	kill(s->open.pid, SIGCONT);	/* also when a test ended early */
	testdir_close(&s->dir);
	arena_free(s->arena);
	return 0;
}

/* Without cache, so that each question reaches the server. */
static int open_dir(struct state *s, struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int open_dir(struct state *s, struct err *err, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return testdir_open(&s->dir, &ldap_directory_driver, &clock_system, err,
			    "type = \"ldap\"; cache_s = 0; negative_cache_s = 0; %s", text);
}

static void must_open(struct state *s, const char *uri, const char *more)
{
	struct err err = { .text = "" };

	if (open_dir(s, &err, BASE "uri = \"%s\"; %s", uri, more) != 0)
		fail_msg("%s", err.text);
}

static const char *uri_of(struct state *s, const char *scheme, int port)
{
	return arena_printf(s->arena, "%s://127.0.0.1:%d", scheme, port);
}

static struct directory_answer find(struct state *s, const char *address)
{
	return testdir_find(&s->dir.directory, s->arena, address);
}

/* Asserts that nobody could be asked, within most_ms, and returns why. */
static const char *fails(struct state *s, int64_t least_ms, int64_t most_ms)
{
	int64_t start_ms = clock_monotonic_ms(&clock_system), took_ms;
	struct directory_answer answer = find(s, "alice@example.com");

	took_ms = clock_monotonic_ms(&clock_system) - start_ms;
	assert_int_equal(answer.status, DIRECTORY_FAILED);
	assert_int_equal(answer.n, 0);
	assert_non_null(answer.failure);
	if (took_ms < least_ms || took_ms > most_ms)
		fail_msg("took %d ms: %s", (int)took_ms, answer.failure);
	return answer.failure;
}

static void found(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;
	struct err err;

	must_open(s, uri_of(s, "ldap", s->open.port), "");
	assert_string_equal(s->dir.directory.name, uri_of(s, "ldap", s->open.port));
	answer = find(s, "ALICE@Example.com");
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	assert_int_equal(answer.n, 2);
	assert_true(cert_equal(answer.entries[0].cert, answer.entries[1].cert));
	assert_string_not_equal(answer.entries[0].attribute, answer.entries[1].attribute);
	answer = find(s, "bob@example.com");
	assert_int_equal(answer.n, 1);
	assert_string_equal(answer.entries[0].attribute, "userSMIMECertificate");
	assert_int_equal(answer.chain.n, 1);
	assert_int_equal(answer.problem_count, 1);
	assert_int_equal(strncmp(answer.problems[0], "userSMIMECertificate: ", 22), 0);
	/* Several entries for one address. */
	answer = find(s, "shared@example.com");
	assert_int_equal(answer.n, 2);
	assert_int_equal(answer.chain.n, 1);
	assert_int_equal(s->dir.directory.class->probe(s->dir.directory.self, &err), 0);
}

static void assert_owner(const struct directory_owner *owner, const char *const *addresses)
{
	size_t n = 0;

	assert_non_null(owner);
	for (; addresses[n] != NULL; n++) {
		assert_true(n < owner->n);
		if (!slice_is(owner->addresses[n].text, addresses[n]))
			fail_msg("%zu: %.*s, not %s", n, SLICE_ARGS(owner->addresses[n].text), addresses[n]);
	}
	assert_int_equal(owner->n, n);
}

static void owners(void **state)
{
	static const char *const olga[] = { "olga.owner@example.com", "olga.o@example.com", "o1@example.com",
					    "olga@example.com", "late@example.com", NULL };
	static const char *const otto[] = { "otto@example.com", "o2@example.com", NULL };
	static const char *const alice[] = { "alice@example.com", NULL };
	struct state *s = *state;
	struct directory_answer answer;

	must_open(s, uri_of(s, "ldap", s->open.port), "");
	assert_true(s->dir.directory.secondary_addresses);
	answer = find(s, "O1@example.com");
	assert_int_equal(answer.n, 1);
	assert_owner(answer.entries[0].owner, olga);
	answer = find(s, "otto@example.com");
	assert_int_equal(answer.n, 2);
	assert_owner(answer.entries[0].owner, otto);
	assert_ptr_equal(answer.entries[1].owner, answer.entries[0].owner);
	assert_owner(find(s, "alice@example.com").entries[0].owner, alice);
	assert_int_equal(find(s, "o1@sip.example.com").status, DIRECTORY_NONE);
}

static void owners_as_configured(void **state)
{
	static const char *const proxies[] = { "o2@example.com", NULL };
	struct state *s = *state;
	struct directory_answer answer;

	must_open(s, uri_of(s, "ldap", s->open.port),
		  "secondary_addresses = false; address_attributes = \"proxyAddresses\"; "
		  "filter = \"(|(mail=%{address})(uid=%{local}))\";");
	assert_false(s->dir.directory.secondary_addresses);
	assert_owner(find(s, "otto@example.com").entries[0].owner, proxies);
	/* An entry without any address does not say whose it is. */
	answer = find(s, "oscar@example.com");
	assert_int_equal(answer.n, 1);
	assert_null(answer.entries[0].owner);
}

static void none(void **state)
{
	static const char *const nobody[] = {
		"dora@example.com", "nobody@example.com", "*@example.com", "a*e@example.com",
		"\"*)(mail=*\"@example.com",
		"\"alice@example.com)(cn=\"@example.com", "\"\\\\2a\"@example.com", "\xc3\xa4@example.com",
	};
	struct state *s = *state;

	must_open(s, uri_of(s, "ldap", s->open.port), "");
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		struct directory_answer answer = find(s, nobody[i]);

		if (answer.status != DIRECTORY_NONE || answer.n != 0)
			fail_msg("%s: %s", nobody[i], answer.status == DIRECTORY_FAILED ? answer.failure : "found");
	}
}

static void all_in_one_go(void **state)
{
	struct state *s = *state;
	struct directory_answer answers[150];
	struct address addresses[150];
	char text[64];
	struct err err;

	must_open(s, uri_of(s, "ldap", s->open.port), "connections = 1;");
	memset(answers, 0, sizeof(answers));
	for (size_t i = 0; i < 150; i++) {
		snprintf(text, sizeof(text), i % 10 == 3 ? "bob@example.com" : "p%zu@example.com", i);
		addresses[i] = testdir_address(s->arena, text);
	}
	assert_int_equal(s->dir.directory.class->find(s->dir.directory.self, s->arena, addresses, 150, INT64_MAX,
						      answers, &err),
			 0);
	for (size_t i = 0; i < 150; i++) {
		assert_int_equal(answers[i].status, i % 10 == 3 ? DIRECTORY_FOUND : DIRECTORY_NONE);
		assert_int_equal(answers[i].n, i % 10 == 3 ? 1 : 0);
	}
}

static void down(void **state)
{
	struct state *s = *state;
	struct err err;

	must_open(s, uri_of(s, "ldap", free_ports()), "");
	assert_non_null(strstr(fails(s, 0, LATE_MS), "cannot connect: Connection refused"));
	assert_int_equal(s->dir.directory.class->probe(s->dir.directory.self, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
}

static void deadline_of_the_caller(void **state)
{
	struct state *s = *state;
	struct address address = testdir_address(s->arena, "alice@example.com");
	struct directory_answer answer = { .status = DIRECTORY_NONE };
	struct err err;

	must_open(s, uri_of(s, "ldap", s->open.port), "");
	assert_int_equal(s->dir.directory.class->find(s->dir.directory.self, s->arena, &address, 1,
						      clock_monotonic_ms(&clock_system) - 1, &answer, &err),
			 0);
	assert_int_equal(answer.status, DIRECTORY_FAILED);
	assert_string_equal(answer.failure, "timed out");
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
}

/* The signal is under way when kill returns: until every thread stands still one may answer yet. */
static void halt(struct server *server)
{
	assert_int_equal(kill(server->pid, SIGSTOP), 0);
	assert_int_equal(run("while grep -qv ') T ' /proc/%d/task/*/stat; do sleep 0.01; done", (int)server->pid), 0);
}

/* A stopped slapd: the kernel still accepts connections for it. */
static void hangs(struct state *s, const char *scheme, int port, const char *more)
{
	must_open(s, uri_of(s, scheme, port), more);
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
	halt(&s->open);
	/* Over the connection that is there, and over a new one. */
	assert_non_null(strstr(fails(s, 280, LATE_MS), "timed out"));
	assert_non_null(strstr(fails(s, 280, LATE_MS), "timed out"));
	assert_int_equal(kill(s->open.pid, SIGCONT), 0);
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
}

static void hang(void **state)
{
	struct state *s = *state;

	hangs(s, "ldap", s->open.port, "timeout_ms = 300;");
}

static void hang_in_tls(void **state)
{
	struct state *s = *state;

	hangs(s, "ldaps", s->open.port + 1,
	      arena_printf(s->arena, "timeout_ms = 300; tls_ca_file = \"%s/ca.pem\";", s->scratch));
}

static void hang_in_starttls(void **state)
{
	struct state *s = *state;

	hangs(s, "ldap", s->open.port,
	      arena_printf(s->arena, "timeout_ms = 300; starttls = true; tls_ca_file = \"%s/ca.pem\";", s->scratch));
}

/* A server that answers every request with the bytes given, and nothing more. */
struct odd_server {
	int fd, port;
	const void *bytes;
	size_t n;
	pthread_t thread;
};

static void *odd_run(void *arg)
{
	struct odd_server *odd = arg;
	char request[4096];
	int fd;

	while ((fd = accept(odd->fd, NULL, NULL)) >= 0) {
		while (recv(fd, request, sizeof(request), 0) > 0)
			send(fd, odd->bytes, odd->n, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static void odd_start(struct odd_server *odd, const void *bytes, size_t n)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	*odd = (struct odd_server){ .port = free_ports(), .bytes = bytes, .n = n };
	odd->fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_port = htons((uint16_t)odd->port);
	assert_int_equal(bind(odd->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(odd->fd, 5), 0);
	assert_int_equal(pthread_create(&odd->thread, NULL, odd_run, odd), 0);
}

static void odd_stop(struct odd_server *odd)
{
	shutdown(odd->fd, SHUT_RDWR);
	assert_int_equal(pthread_join(odd->thread, NULL), 0);
	close(odd->fd);
}

static void servers_that_talk_nonsense(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int64_t least_ms;
	} rows[] = {
		{ "0\x84\x00\x00", 4, 180 },			/* stops in the middle of a length */
		{ "0\x50\x02\x01\x02\x64\x4b", 7, 180 },	/* and of an entry */
		{ "0\x84\x7f\xff\xff\xf0zzzzzzzz", 14, 0 },	/* two gigabytes to come */
		{ "HTTP/1.1 400 Bad Request\r\n", 26, 0 },
		{ "0\x03\x02\x01\x02", 5, 0 },			/* a message without an operation */
		/* a search that succeeds, and an entry whose attributes cannot be decoded: not "none" */
		{ "\x30\x12\x02\x01\x01\x64\x0d\x04\x04" "dc=x" "\x30\x05\x30\x03\x04\x7f\x41"
		  "\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00", 34, 0 },
	};
	struct state *s = *state;
	struct odd_server odd;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		odd_start(&odd, rows[i].bytes, rows[i].n);
		must_open(s, uri_of(s, "ldap", odd.port), "timeout_ms = 200;");
		fails(s, rows[i].least_ms, LATE_MS);
		testdir_close(&s->dir);
		odd_stop(&odd);
	}
}

static void failover_when_refused(void **state)
{
	struct state *s = *state;

	must_open(s, arena_printf(s->arena, "%s %s", uri_of(s, "ldap", free_ports()),
				  uri_of(s, "ldap", s->open.port)), "");
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
}

static void failover_when_hanging(void **state)
{
	struct state *s = *state;
	int64_t start_ms;

	must_open(s, arena_printf(s->arena, "%s %s", uri_of(s, "ldap", s->open.port), uri_of(s, "ldap", s->plain.port)),
		  "timeout_ms = 3000; connections = 2;");
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
	halt(&s->open);
	start_ms = clock_monotonic_ms(&clock_system);
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
	assert_true(clock_monotonic_ms(&clock_system) - start_ms < 3000);
	/* The server that hangs is spared. */
	start_ms = clock_monotonic_ms(&clock_system);
	assert_int_equal(find(s, "nobody@example.com").status, DIRECTORY_NONE);
	assert_true(clock_monotonic_ms(&clock_system) - start_ms < 1400);
}

static void failure_names_each_server(void **state)
{
	struct state *s = *state;
	const char *first = uri_of(s, "ldap", free_ports()), *second = uri_of(s, "ldap", free_ports()), *why;

	must_open(s, arena_printf(s->arena, "%s %s", first, second), "");
	why = fails(s, 0, LATE_MS);
	assert_non_null(strstr(why, first));
	assert_non_null(strstr(why, second));
}

static void restarted(struct state *s, struct server *server)
{
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
	assert_int_equal(run("tests/support/slapd.sh stop %s", server->dir), 0);
	assert_int_equal(run("tests/support/slapd.sh again %s", server->dir), 0);
	read_pid(server);
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
}

static void restart_between_questions(void **state)
{
	struct state *s = *state;

	must_open(s, uri_of(s, "ldap", s->open.port), "");
	restarted(s, &s->open);
}

static void restart_under_tls(void **state)
{
	struct state *s = *state;

	must_open(s, uri_of(s, "ldaps", s->open.port + 1),
		  arena_printf(s->arena, "tls_ca_file = \"%s/ca.pem\";", s->scratch));
	restarted(s, &s->open);
}

static void wrong_base(void **state)
{
	struct state *s = *state;
	struct err err = { .text = "" };

	assert_int_equal(open_dir(s, &err, "uri = \"%s\"; base = \"dc=elsewhere\";",
				  uri_of(s, "ldap", s->open.port)),
			 0);
	assert_non_null(strstr(fails(s, 0, LATE_MS), "No such object: base \"dc=elsewhere\""));
	assert_int_equal(s->dir.directory.class->probe(s->dir.directory.self, &err), -1);
	assert_non_null(strstr(err.text, "dc=elsewhere"));
}

static void too_many_entries(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	must_open(s, uri_of(s, "ldap", s->open.port), "");
	answer = find(s, "many@example.com");
	assert_int_equal(answer.status, DIRECTORY_FAILED);
	assert_non_null(strstr(answer.failure, "Size limit"));
}

/* What a search for everybody with one address comes to, so many entries at once. */
static struct query_item search_many(struct state *s, ber_int_t page_entries, struct directory_answer *answer)
{
	static const char *const no_names[] = { NULL };
	struct resolver *resolver = resolver_new(&resolver_system, &clock_system, NULL);
	const struct connection_settings settings = { .timeout_ms = 5000, .clock = &clock_system,
						      .resolver = resolver };
	const struct query query = { .base = "dc=example,dc=com", .scope = LDAP_SCOPE_SUBTREE, .names = no_names,
				     .address_names = no_names,
				     .page_entries = page_entries };
	struct query_item item = { .filter = "(mail=many@example.com)", .answer = answer };
	const struct search search = { .query = &query, .arena = s->arena, .items = &item, .n = 1 };
	int64_t deadline_ms = clock_monotonic_ms(&clock_system) + 5000;
	struct connection connection;
	struct err err = { .text = "" };

	assert_int_equal(connection_open(&settings, uri_of(s, "ldap", s->plain.port), deadline_ms, &connection, &err),
			 OUTCOME_DONE);
	if (query_run(&search, &connection, deadline_ms, &err) != OUTCOME_DONE)
		fail_msg("%s", err.text);
	connection_close(&connection);
	resolver_free(resolver);
	assert_true(item.done);
	return item;
}

/* The server gives 20 at a time, and 30 to who asks for pages. */
static void pages(void **state)
{
	static const ber_int_t sizes[] = { 1, 7, 30 };
	struct state *s = *state;
	struct directory_answer answer;

	search_many(s, 0, &answer);
	assert_int_equal(answer.status, DIRECTORY_FAILED);
	assert_non_null(strstr(answer.failure, "Size limit"));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t entries = search_many(s, sizes[i], &answer).entries;

		if (answer.status != DIRECTORY_NONE)
			fail_msg("pages of %d: %s", (int)sizes[i], answer.failure);
		assert_int_equal(entries, MANY);
	}
	/* Never a part of them. */
	search_many(s, 31, &answer);
	assert_int_equal(answer.status, DIRECTORY_FAILED);
}

static const char *credentials(struct state *s, const char *file)
{
	return arena_printf(s->arena, "bind_dn = \"cn=admin,dc=example,dc=com\"; bind_password_file = \"%s/%s\";",
			    s->scratch, file);
}

static void binds(void **state)
{
	struct state *s = *state;
	const char *why;

	must_open(s, uri_of(s, "ldap", s->closed.port), credentials(s, "secret"));
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
	assert_non_null(strstr(s->dir.log, "unencrypted"));
	testdir_close(&s->dir);
	must_open(s, uri_of(s, "ldap", s->closed.port), credentials(s, "wrong"));
	why = fails(s, 0, LATE_MS);
	assert_non_null(strstr(why, "bind: Invalid credentials"));
	assert_null(strstr(why, "wr0ng"));
	testdir_close(&s->dir);
	/* Who may see nothing has not been told "none". */
	must_open(s, uri_of(s, "ldap", s->closed.port), "");
	fails(s, 0, LATE_MS);
}

static void tls_with_own_ca(void **state)
{
	struct state *s = *state;
	const char *ca = arena_printf(s->arena, "tls_ca_file = \"%s/ca.pem\";", s->scratch);

	must_open(s, uri_of(s, "ldaps", s->open.port + 1), ca);
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
	testdir_close(&s->dir);
	must_open(s, uri_of(s, "ldap", s->open.port), arena_printf(s->arena, "starttls = true; %s", ca));
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
}

static void tls_refusals(void **state)
{
	struct state *s = *state;
	const char *ca = arena_printf(s->arena, "tls_ca_file = \"%s/ca.pem\";", s->scratch);

	/* Another name in the certificate. */
	must_open(s, uri_of(s, "ldaps", s->closed.port + 1), ca);
	fails(s, 0, LATE_MS);
	testdir_close(&s->dir);
	must_open(s, uri_of(s, "ldap", s->closed.port), arena_printf(s->arena, "starttls = true; %s", ca));
	assert_non_null(strstr(fails(s, 0, LATE_MS), "StartTLS"));
	testdir_close(&s->dir);
	/* Nobody we know vouches for it. */
	must_open(s, uri_of(s, "ldaps", s->open.port + 1), "");
	fails(s, 0, LATE_MS);
	testdir_close(&s->dir);
	/* No TLS at all: nothing is asked without it. */
	must_open(s, uri_of(s, "ldap", s->plain.port), arena_printf(s->arena, "starttls = true; %s", ca));
	assert_non_null(strstr(fails(s, 0, LATE_MS), "StartTLS"));
}

static void *hammer(void *arg)
{
	struct state *s = arg;

	for (unsigned i = 0; i < 50; i++) {
		struct arena *arena = arena_new(0);
		struct directory_answer answer = testdir_find(&s->dir.directory, arena, "bob@example.com");

		if (answer.status != DIRECTORY_FOUND || answer.n != 1)
			return arg;
		arena_free(arena);
	}
	return NULL;
}

static void threads_share_few_connections(void **state)
{
	struct state *s = *state;
	pthread_t threads[6];
	void *bad;

	must_open(s, uri_of(s, "ldap", s->open.port), "connections = 2; timeout_ms = 5000;");
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, s), 0);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
}

static void settings_that_are_wrong(void **state)
{
	struct state *s = *state;
	const char *const wrong[][2] = {
		{ BASE, "uri" },
		{ BASE "uri = \"\";", "uri: is empty" },
		{ BASE "uri = \"http://x\";", "no ldap://" },
		{ BASE "uri = \"ldap://a ldap://b/dc=x\";", "nothing may follow the host" },
		{ BASE "uri = \"ldap://me:pw@a\";", "user name" },
		{ BASE "uri = \"ldaps://a\"; starttls = true;", "has TLS already" },
		{ BASE "uri = \"ldap://a\"; filter = \"(mail=*)\";", "filter: has no %{address}" },
		{ BASE "uri = \"ldap://a\"; filter = \"(mail=%{address}\";", "filter: parentheses" },
		{ BASE "uri = \"ldap://a\"; filter = \"(&(=%{address}))\";", "filter: RFC 4515" },
		{ BASE "uri = \"ldap://a\"; attributes = [ ];", "attributes: is empty" },
		{ BASE "uri = \"ldap://a\"; attributes = [ \"user Certificate\" ];", "no attribute" },
		{ BASE "uri = \"ldap://a\"; attributes = [ \"*\" ];", "no attribute" },
		{ BASE "uri = \"ldap://a\"; bind_dn = \"cn=x\";", "go together" },
		{ BASE "uri = \"ldap://a\"; bind_password_file = \"/dev/null\";", "go together" },
		{ BASE "uri = \"ldap:///cn=x\";", "no domain's DN" },
		{ BASE "uri = \"ldap://a\"; bind = \"magic\";", "bind" },
		{ BASE "uri = \"ldap://a\"; bind = \"external\"; bind_dn = \"cn=x\";", "there is no bind_dn" },
		{ BASE "uri = \"ldap://a\"; bind = \"gssapi\"; bind_password_file = \"/dev/null\";",
		  "there is no bind_dn" },
		{ BASE "uri = \"ldaps://a\"; tls_cert_file = \"/dev/null\";", "go together" },
		{ BASE "uri = \"ldaps://a\"; tls_cert_file = \"/dev/null\"; tls_key_file = \"/dev/null/x\";",
		  "tls_key_file: " },
		{ BASE "uri = \"ldap://a\"; timeout_ms = 0;", "timeout_ms" },
		{ BASE "uri = \"ldap://a\"; connections = 0;", "connections" },
		{ BASE "uri = \"ldap://a\"; address_attributes = [ \"mail\", \"e mail\" ];", "address_attributes" },
		{ BASE "uri = \"ldap://a\"; timeout_m = 3;", "timeout_ms" },
		{ BASE "uri = \"ldaps://a\"; tls_ca_file = \"/dev/null/x\";", "with these files" },
	};
	struct err err;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(open_dir(s, &err, "%s", wrong[i][0]), -1);
		if (err.class != ERR_CONFIG || strstr(s->dir.findings, wrong[i][1]) == NULL ||
		    strstr(s->dir.findings, ":1: ") == NULL)
			fail_msg("%s: %s", wrong[i][0], s->dir.findings);
		testdir_close(&s->dir);
	}
}

static void password_files_that_are_wrong(void **state)
{
	struct state *s = *state;
	const char *start = BASE "uri = \"ldap://127.0.0.1\";";
	struct err err;

	assert_int_equal(open_dir(s, &err, "%s%s", start, credentials(s, "empty")), -1);
	assert_non_null(strstr(s->dir.findings, "is empty"));
	testdir_close(&s->dir);
	assert_int_equal(open_dir(s, &err, "%s%s", start, credentials(s, "absent")), -1);
	testdir_close(&s->dir);
	assert_int_equal(run("cp %s/secret %s/public && chmod 644 %s/public", s->scratch, s->scratch, s->scratch), 0);
	assert_int_equal(open_dir(s, &err, "%s%s", start, credentials(s, "public")), -1);
	assert_non_null(strstr(s->dir.findings, "bind_password_file"));
	testdir_close(&s->dir);
	/* The example of the manual opens, too. */
	assert_int_equal(open_dir(s, &err,
				  "uri = \"ldaps://dc1.example.com ldaps://dc2.example.com\";"
				  "base = \"dc=example,dc=com\"; %s starttls = false;"
				  "filter = \"(|(mail=%%{address})(proxyAddresses=smtp:%%{address}))\";"
				  "attributes = [ \"userSMIMECertificate\", \"userCertificate\" ]; domains = [ \"*\" ];"
				  "timeout_ms = 2000; connections = 8; stale_s = 3600; expand_groups = true;"
				  "expand_ms = 500;",
				  credentials(s, "secret")),
			 0);
	assert_string_equal(s->dir.directory.name, "ldaps://dc1.example.com");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(settings_that_are_wrong), TEST(password_files_that_are_wrong), TEST(found),
		TEST(owners), TEST(owners_as_configured), TEST(none),
		TEST(all_in_one_go), TEST(down), TEST(deadline_of_the_caller), TEST(hang), TEST(hang_in_tls),
		TEST(hang_in_starttls), TEST(servers_that_talk_nonsense), TEST(failover_when_refused),
		TEST(failover_when_hanging),
		TEST(failure_names_each_server), TEST(restart_between_questions), TEST(restart_under_tls),
		TEST(wrong_base), TEST(too_many_entries), TEST(pages), TEST(binds),
		TEST(tls_with_own_ca), TEST(tls_refusals), TEST(threads_share_few_connections),
	};

	const char *top = getenv("TOP_SRCDIR");

	if (top != NULL && chdir(top) != 0)
		return 99;
	if (run("{ PATH=$PATH:/usr/sbin:/usr/libexec command -v slapd && command -v ldapsearch; } > /dev/null") != 0) {
		fprintf(stderr, "no slapd here: skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
