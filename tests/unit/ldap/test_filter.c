/* test_filter.c - random addresses in random filters: what libldap sends is the filter that was written, with the
 * address's bytes, all of them and nothing else, in the place of each placeholder. The reader of what is sent is this
 * file's own.
 *
 *     SEED=n tests/unit/ldap/test_filter [NUMBER OF FILTERS]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ldap.h>
#include <openldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "ldap/query.h"

#define FILTERS 20000
#define A_HANDLE 200		/* searches: it remembers all that nobody answered */
#define A_TEMPLATE 20		/* addresses */

#define CONSTRUCTED 0x20
#define TAG_SEARCH 0x63		/* RFC 4511 4.5.1 */

static uint64_t filters = FILTERS, seed;

static uint64_t next_random(void)	/* splitmix64 */
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t below(size_t n)
{
	return (size_t)(next_random() % n);
}

struct tlv {
	unsigned char tag;
	const unsigned char *p;
	size_t n;
};

/* Takes one value off the front; ends the test where there is none. */
static struct tlv take(const unsigned char **at, const unsigned char *end)
{
	struct tlv tlv = { .tag = 0 };
	size_t bytes;

	assert_true(end - *at >= 2);
	tlv.tag = *(*at)++;
	tlv.n = *(*at)++;
	if (tlv.n >= 0x80) {
		bytes = tlv.n - 0x80;
		assert_true(bytes <= 4 && (size_t)(end - *at) >= bytes);
		for (tlv.n = 0; bytes > 0; bytes--)
			tlv.n = tlv.n << 8 | *(*at)++;
	}
	assert_true((size_t)(end - *at) >= tlv.n);
	tlv.p = *at;
	*at += tlv.n;
	return tlv;
}

/* Where filters are sent to, and read from. */
struct line {
	LDAP *ld;
	int fd;
	unsigned sent;
	unsigned char bytes[65536];
};

static void line_open(struct line *line)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(ldap_init_fd(fds[0], LDAP_PROTO_IPC, "ldapi://", &line->ld), LDAP_SUCCESS);
	line->fd = fds[1];
	line->sent = 0;
}

static void line_close(struct line *line)
{
	ldap_destroy(line->ld);
	close(line->fd);
}

/* The filter of the request that came. */
static struct tlv filter_of(const unsigned char *p, size_t n)
{
	const unsigned char *at = p, *end = p + n;
	struct tlv tlv = take(&at, end);

	assert_true(tlv.tag == 0x30 && at == end);
	at = tlv.p;
	end = tlv.p + tlv.n;
	take(&at, end);
	tlv = take(&at, end);
	assert_int_equal(tlv.tag, TAG_SEARCH);
	at = tlv.p;
	end = tlv.p + tlv.n;
	for (unsigned i = 0; i < 6; i++)	/* base to typesOnly */
		take(&at, end);
	tlv = take(&at, end);
	take(&at, end);				/* attributes */
	assert_true(at == end);
	return tlv;
}

/* As it is sent; n == 0: libldap takes it for no filter. */
static struct tlv encode(struct line *line, const char *filter)
{
	int code, message_id = 0;
	ssize_t n;

	if (++line->sent > A_HANDLE) {
		line_close(line);
		line_open(line);
	}
	code = ldap_search_ext(line->ld, "", LDAP_SCOPE_BASE, filter, NULL, 0, NULL, NULL, NULL, 0, &message_id);
	if (code == LDAP_FILTER_ERROR)
		return (struct tlv){ .n = 0 };
	assert_int_equal(code, LDAP_SUCCESS);
	n = recv(line->fd, line->bytes, sizeof(line->bytes), 0);
	assert_true(n > 0);
	return filter_of(line->bytes, (size_t)n);
}

/* The bytes with each placeholder replaced. */
static void replace(const struct tlv *from, const struct address *address, struct buf *out)
{
	const struct { const char *name; struct slice value; } rows[] = {
		{ "%{address}", address->text }, { "%{local}", address->local }, { "%{domain}", address->domain },
	};
	size_t i = 0, row;

	buf_reset(out);
	while (i < from->n) {
		for (row = 0; row < 3; row++) {
			size_t n = strlen(rows[row].name);

			if (from->n - i >= n && memcmp(from->p + i, rows[row].name, n) == 0)
				break;
		}
		if (row == 3) {
			assert_int_equal(buf_append_char(out, (char)from->p[i++]), 0);
			continue;
		}
		assert_int_equal(buf_append_slice(out, rows[row].value), 0);
		i += strlen(rows[row].name);
	}
}

static bool is_same(const struct tlv *expected, const struct tlv *got, const struct address *address, struct buf *room)
{
	const unsigned char *a = expected->p, *b = got->p;

	if (expected->tag != got->tag)
		return false;
	if ((expected->tag & CONSTRUCTED) == 0) {
		replace(expected, address, room);
		return room->n == got->n && memcmp(room->p, got->p, got->n) == 0;
	}
	while (a < expected->p + expected->n && b < got->p + got->n) {
		struct tlv x = take(&a, expected->p + expected->n), y = take(&b, got->p + got->n);

		if (!is_same(&x, &y, address, room))
			return false;
	}
	return a == expected->p + expected->n && b == got->p + got->n;
}

/* Filters: what somebody may write, and what nobody should. */

static const char *const leaves[] = {
	"(mail=%{address})", "(proxyAddresses=smtp:%{address})", "(mail=*%{local}*)", "(uid=%{local}*%{domain})",
	"(mail~=%{address})", "(uid>=%{local})", "(cn:caseExactMatch:=%{local})", "(cn:dn:=%{domain})",
	"(objectClass=*)", "(cn=\\2a%{local}\\00)", "(cn=a b%{domain})", "(2.5.4.3=%{local})", "(cn;lang-de=%{local})",
	"(:caseIgnoreMatch:=%{address})", "(mail= %{address} )",
	/* none of these may pass */
	"(%{local}=x)", "(cn:%{local}:=x)", "(cn;%{local}=x)", "(%{address})", "(mail=\\%{local})", "(mail=\\2%{domain})",
	"(=%{local})", "(!)", "(mail=%{address}",
};

static void write_filter(struct buf *out, unsigned depth)
{
	size_t n;

	if (depth == 0 || below(3) == 0) {
		assert_int_equal(buf_append_text(out, leaves[below(sizeof(leaves) / sizeof(leaves[0]))]), 0);
		return;
	}
	n = below(4);
	assert_int_equal(buf_append_char(out, '('), 0);
	assert_int_equal(buf_append_char(out, "&|!"[below(3)]), 0);
	for (size_t i = 0; i < n; i++)
		write_filter(out, depth - 1);
	assert_int_equal(buf_append_char(out, ')'), 0);
}

/* Any bytes, more often those that mean something. */
static struct slice write_part(char *room, size_t most)
{
	static const char special[] = "*()\\&|!=<>~:; %{}\"\0ab2aA@";
	size_t n = 1 + below(most);

	for (size_t i = 0; i < n; i++)
		room[i] = below(2) == 0 ? special[below(sizeof(special))] : (char)below(256);
	/* Placeholders in an address are bytes like others. */
	if (below(8) == 0 && n >= 8)
		memcpy(room + below(n - 7), "%{local}", 8);
	return slice_make(room, n);
}

static void write_address(struct address *address, char *room)
{
	address->local = write_part(room, 40);
	room[address->local.n] = '@';
	address->domain = write_part(room + address->local.n + 1, 30);
	address->text = slice_make(room, address->local.n + 1 + address->domain.n);
}

static void print_bytes(const char *what, struct slice bytes)
{
	fprintf(stderr, "%s: ", what);
	for (size_t i = 0; i < bytes.n; i++)
		fprintf(stderr, bytes.p[i] > 0x20 && bytes.p[i] < 0x7f ? "%c" : "\\x%02x", (unsigned char)bytes.p[i]);
	fprintf(stderr, "\n");
}

static void compare(struct line *line, const char *template, const struct tlv *expected, struct buf *room)
{
	struct arena *arena = arena_new(0);
	struct address address;
	char text[128];
	struct tlv got;

	write_address(&address, text);
	got = encode(line, query_filter(arena, template, &address));
	if (got.n == 0 || !is_same(expected, &got, &address, room)) {
		print_bytes("address", address.text);
		fail_msg("seed %llu: %s: another filter", (unsigned long long)seed, template);
	}
	arena_free(arena);
}

/* Writes filters until one passes; its encoding as it stands, in copy. */
static struct tlv write_good(struct line *line, struct buf *template, unsigned char *copy)
{
	struct tlv tlv;
	struct err err;

	do {
		buf_reset(template);
		write_filter(template, 3);
	} while (query_check_filter(buf_string(template), &err) != 0);
	tlv = encode(line, buf_string(template));
	if (tlv.n == 0)
		fail_msg("%s passes, and is no filter", buf_string(template));
	memcpy(copy, tlv.p, tlv.n);
	tlv.p = copy;
	return tlv;
}

static void no_address_changes_a_filter(void **state)
{
	static struct line line;
	static unsigned char copy[65536];
	struct buf template, room;

	(void)state;
	buf_init(&template, 0);
	buf_init(&room, 0);
	line_open(&line);
	for (uint64_t i = 0; i < filters; i += A_TEMPLATE) {
		struct tlv expected = write_good(&line, &template, copy);

		for (unsigned j = 0; j < A_TEMPLATE; j++)
			compare(&line, buf_string(&template), &expected, &room);
	}
	line_close(&line);
	buf_clear(&template);
	buf_clear(&room);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_address_changes_a_filter) };

	if (argc > 1)
		filters = strtoull(argv[1], NULL, 10);
	if (getenv("SEED") != NULL)
		seed = strtoull(getenv("SEED"), NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
