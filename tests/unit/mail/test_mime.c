/* test_mime.c - the skeleton: delimiters, offsets, traits, however the bytes arrive and whatever is wrong with them. */
#include "unit/mail/mail_test.h"

#include "mail/mime.h"

#define MIXED(boundary) "Content-Type: multipart/mixed; boundary=" boundary "\r\n\r\n"

static struct mime parsed(struct arena *arena, const struct message *message)
{
	struct mime mime;
	struct err err = { ERR_NONE, "" };

	if (mime_parse(arena, message, NULL, &mime, &err) < 0)
		fail_msg("%s", err.text);
	return mime;
}

static const struct mime_part *nth_child(const struct mime_part *part, unsigned n)
{
	const struct mime_part *child = part->child;

	while (child != NULL && child->number < n)
		child = child->next;
	assert_non_null(child);
	return child;
}

/* Type and body of each leaf, container types around theirs: "multipart/mixed(text/plain[x]text/html[y])". */
static char *describe(struct arena *arena, const struct message *message, const struct mime_part *part)
{
	char *text = NULL;

	if (part->child == NULL)
		return arena_printf(arena, "%.*s[%s]", SLICE_ARGS(part->type.value),
				    body_text(arena, mime_body(arena, message, part)));
	text = arena_printf(arena, "%.*s(", SLICE_ARGS(part->type.value));
	for (const struct mime_part *child = part->child; child != NULL; child = child->next)
		text = arena_printf(arena, "%s%s", text, describe(arena, message, child));
	return arena_printf(arena, "%s)", text);
}

struct shape_case {
	const char *text;
	const char *shape;
	unsigned facts;
};

static const struct shape_case shapes[] = {
	{ "A: b\r\n\r\nhello\r\n", "text/plain[hello\r\n]", 0 },
	{ "A: b\r\n\r\n", "text/plain[]", 0 },
	{ MIXED("b") "pre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--b--\r\nepi\r\n",
	  "multipart/mixed(text/plain[one]text/html[two\r\n])", 0 },
	/* transport's blanks; a delimiter at the very start and the very end */
	{ MIXED("b") "--b \t\r\n\r\none\r\n--b--  ", "multipart/mixed(text/plain[one])", 0 },
	/* a boundary that begins another line is no delimiter */
	{ MIXED("b") "--b\r\n\r\none\r\n--bc\r\n--b-\r\n--b--x\r\n--b---\r\n -- b\r\n --b\r\n-- b\r\n--b--\r\n",
	  "multipart/mixed(text/plain[one\r\n--bc\r\n--b-\r\n--b--x\r\n--b---\r\n -- b\r\n --b\r\n-- b])", 0 },
	/* not at the start of a line */
	{ MIXED("b") "--b\r\n\r\none --b\r\n--b--\r\n", "multipart/mixed(text/plain[one --b])", 0 },
	{ MIXED("b") "--b\r\n\r\none\r--b\r\n--b--\r\n", "multipart/mixed(text/plain[one\r--b])", 0 },
	/* empty parts, parts without header, header without empty line */
	{ MIXED("b") "--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n",
	  "multipart/mixed(text/plain[]text/plain[]text/plain[])", 0 },
	{ MIXED("b") "--b\r\nContent-Type: text/html\r\n--b\r\nContent-Type: text/css\r\n\r\n--b--\r\n",
	  "multipart/mixed(text/html[]text/css[])", 0 },
	{ MIXED("b") "--b\r\nno header\r\n\r\nmore\r\n--b--\r\n", "multipart/mixed(text/plain[no header\r\n\r\nmore])",
	  MIME_MALFORMED },
	{ MIXED("b") "--b\r\nContent-Type: text/html\r\nbody at once\r\n--b--\r\n",
	  "multipart/mixed(text/html[body at once])", MIME_MALFORMED },
	{ MIXED("b") "--b\r\n fold: x\r\n--b--\r\n", "multipart/mixed(text/plain[ fold: x])", MIME_MALFORMED },
	/* LF alone ends lines too */
	{ MIXED("b") "--b\n\none\n--b\n\ntwo\r\n\n--b--\n", "multipart/mixed(text/plain[one]text/plain[two\r\n])", 0 },
	/* missing ends */
	{ MIXED("b") "--b\r\n\r\none\r\n", "multipart/mixed(text/plain[one\r\n])", MIME_MALFORMED },
	{ MIXED("b") "--b", "multipart/mixed(text/plain[])", MIME_MALFORMED },
	{ MIXED("b") "--b\r\nContent-Type: text/html", "multipart/mixed(text/html[])", MIME_MALFORMED },
	{ MIXED("b") "no delimiter\r\n", "multipart/mixed[no delimiter\r\n]", MIME_MALFORMED },
	{ MIXED("b") "", "multipart/mixed[]", MIME_MALFORMED },
	{ MIXED("b") "--b--\r\n", "multipart/mixed[--b--\r\n]", MIME_MALFORMED },
	/* nested: the parent's delimiter ends a child; the close line's CRLF is the parent's delimiter's */
	{ MIXED("a") "--a\r\n" MIXED("b") "--b\r\n\r\none\r\n--b--\r\n--a\r\n\r\ntwo\r\n--a--\r\n",
	  "multipart/mixed(multipart/mixed(text/plain[one])text/plain[two])", 0 },
	{ MIXED("a") "--a\r\n" MIXED("b") "--b\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a--\r\n",
	  "multipart/mixed(multipart/mixed(text/plain[one])text/plain[two])", MIME_MALFORMED },
	{ MIXED("a") "--a\r\n" MIXED("b") "--b\r\n\r\none\r\n--a--\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
	  "multipart/mixed(multipart/mixed(text/plain[one]))", MIME_MALFORMED },
	{ MIXED("a") "--a\r\n" MIXED("ab") "--ab\r\n\r\none\r\n--ab--\r\n--a--\r\n",
	  "multipart/mixed(multipart/mixed(text/plain[one]))", 0 },
	{ MIXED("ab") "--ab\r\n" MIXED("a") "--a\r\n\r\none\r\n--a--\r\n--ab--\r\n",
	  "multipart/mixed(multipart/mixed(text/plain[one]))", 0 },
	/* after its end a multipart's delimiters are text of the epilogue */
	{ MIXED("b") "--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\ntwo\r\n--b--\r\n", "multipart/mixed(text/plain[one])", 0 },
	{ MIXED("b") "--b\r\n" MIXED("b") "--b\r\n\r\none\r\n--b--\r\n--b--\r\n",
	  "multipart/mixed(multipart/mixed(text/plain[one]))", MIME_MALFORMED },
	/* messages in messages */
	{ MIXED("b") "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\nContent-Type: text/html\r\n\r\none\r\n"
	  "--b--\r\n",
	  "multipart/mixed(message/rfc822(text/html[one]))", 0 },
	{ "Content-Type: message/rfc822\r\n\r\n" MIXED("b") "--b\r\n\r\none\r\n--b--\r\n",
	  "message/rfc822(multipart/mixed(text/plain[one]))", 0 },
	{ MIXED("b") "--b\r\nContent-Type: message/rfc822\r\n\r\n--b--\r\n",
	  "multipart/mixed(message/rfc822(text/plain[]))", 0 },
	{ MIXED("b") "--b\r\nContent-Type: message/rfc822\r\nbroken\r\n--b--\r\n",
	  "multipart/mixed(message/rfc822(text/plain[broken]))", MIME_MALFORMED },
	{ MIXED("b") "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==\r\n"
	  "--b--\r\n",
	  "multipart/mixed(message/rfc822[QQ==])", 0 },
	{ "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\none\r\n"
	  "--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\n",
	  "multipart/digest(message/rfc822(text/plain[one])text/html[two])", 0 },
	/* a Content-Type that is none */
	{ "Content-Type: nonsense\r\n\r\none", "text/plain[one]", 0 },
	{ "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
	  "multipart/mixed[--b\r\n\r\none\r\n--b--\r\n]", MIME_MALFORMED },
	{ "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\none\r\n----\r\n",
	  "multipart/mixed[--\r\n\r\none\r\n----\r\n]", MIME_MALFORMED },
	{ "Content-Type: multipart/mixed; boundary=b; boundary=c\r\n\r\n--b\r\n\r\n--c\r\n--b--\r\n",
	  "multipart/mixed(text/plain[--c])", MIME_MALFORMED },
	{ "Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
	  "multipart/mixed(text/plain[one])", MIME_MALFORMED },
	{ "Content-Type: multipart/mixed; boundary=b\r\nContent-Type: text/plain\r\n\r\n--b\r\n\r\none\r\n--b--",
	  "multipart/mixed(text/plain[one])", MIME_DUPLICATE },
	{ MIXED("b") "--b\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\none\r\n--b--",
	  "multipart/mixed(text/plain[one])", MIME_DUPLICATE },
	{ "Content-Transfer-Encoding: base64\r\n" MIXED("b") "--b\r\n\r\none\r\n--b--\r\n",
	  "multipart/mixed(text/plain[one])", MIME_MALFORMED },
};

static void test_shapes(void **state)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct message message = message_of(*state, shapes[i].text);
		struct mime mime = parsed(*state, &message);
		char *shape = describe(*state, &message, mime.root);

		if (strcmp(shape, shapes[i].shape) != 0 || mime.facts != shapes[i].facts)
			fail_msg("case %zu: %s\ngot %s, facts %u", i, shapes[i].text, shape, mime.facts);
	}
}

/* The same whatever the chunks are: every case, cut everywhere. */
static void test_chunks(void **state)
{
	static const size_t chunks[] = { 1, 2, 3, 5, 7, 11 };

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct message message = message_of(*state, shapes[i].text), dribbling = message;
		struct mime whole = parsed(*state, &message);
		char *body = body_text(*state, message.body);

		for (size_t c = 0; c < sizeof(chunks) / sizeof(chunks[0]); c++) {
			struct mime mime;

			dribbling.body = dribble_body(*state, slice_of(body), chunks[c]);
			mime = parsed(*state, &dribbling);
			assert_string_equal(describe(*state, &dribbling, mime.root), shapes[i].shape);
			assert_int_equal(mime.facts, whole.facts);
			assert_int_equal(mime.root->traits, whole.root->traits);
			assert_int_equal(mime.root->content_end, whole.root->content_end);
		}
	}
}

static const char nested[] =
	MIXED("a") "pre\r\n--a\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n"
		"\r\none\r\n"
	"--b\r\n\r\n\r\n--b--\r\nepi\r\n--a\r\nX: y\r\n\r\ntwo\r\n--a--\r\nend";

static void test_offsets(void **state)
{
	struct message message = message_of(*state, nested);
	struct mime mime = parsed(*state, &message);
	const char *body = body_text(*state, message.body);
	const struct mime_part *inner = nth_child(mime.root, 1), *leaf = nth_child(inner, 1);

	assert_int_equal(mime.parts, 5);
	assert_int_equal(mime.root->body_end, strlen(body));
	assert_int_equal(mime.root->content_start, strstr(body, "--a") - body);
	assert_int_equal(mime.root->content_end, strstr(body, "end") - body);
	assert_int_equal(inner->start, strstr(body, "Content-Type: multipart/signed") - body);
	assert_int_equal(inner->body_start, strstr(body, "--b\r\nContent") - body);
	assert_int_equal(inner->content_start, inner->body_start);
	assert_int_equal(inner->content_end, strstr(body, "epi") - body);
	assert_int_equal(inner->body_end, strstr(body, "\r\n--a\r\nX") - body);
	assert_true(inner->closed);
	assert_int_equal(leaf->depth, 2);
	assert_int_equal(nth_child(inner, 2)->number, 2);
	assert_string_equal(body_text(*state, mime_entity(*state, &message, leaf)),
		"Content-Type: text/html\r\n\r\none");
	assert_string_equal(body_text(*state, mime_entity(*state, &message, nth_child(inner, 2))), "\r\n");
	assert_string_equal(body_text(*state, mime_entity(*state, &message, nth_child(mime.root, 2))),
		"X: y\r\n\r\ntwo");
	assert_string_equal(body_text(*state, mime_entity(*state, &message, mime.root)), nested);
	assert_int_equal(mime_entity(*state, &message, mime.root)->size_bytes, strlen(nested));
	assert_slice(leaf->header.fields[0].raw, "Content-Type: text/html\r\n");
	assert_true(mime_is(inner, "multipart/signed"));
	assert_true(mime_is(inner, "multipart/"));
	assert_false(mime_is(inner, "multipart/sign"));
}

/* What a signer digests ends before the CRLF that precedes the delimiter (RFC 2046 5.1.1). */
static void test_entity_of_odd_parts(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" }, { "\r\n", "" }, { "\r\n\r\n", "\r\n" }, { "A: b\r\n", "A: b" }, { "A: b\r\n\r\n",
		  "A: b\r\n" },
		{ "A: b\r\n\r\n\r\n", "A: b\r\n\r\n" }, { "A: b\n\nx\n", "A: b\n\nx" }, { "\r\nx\r\r\n", "\r\nx\r" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message message = message_of(*state, arena_printf(*state, "%s--b\r\n%s--b--\r\n", MIXED("b"),
			cases[i][0]));
		struct mime mime = parsed(*state, &message);
		const struct mime_part *part = nth_child(mime.root, 1);

		assert_string_equal(body_text(*state, mime_entity(*state, &message, part)), cases[i][1]);
		assert_true(part->start <= part->body_start && part->body_start <= part->body_end);
	}
}

static unsigned traits_of(struct arena *arena, const char *body, size_t n)
{
	char *text = arena_printf(arena, "%s--b\r\n\r\n", MIXED("b"));
	struct message message = message_of(arena, text);
	struct buf buf;
	struct mime mime;

	buf_init(&buf, 0);
	assert_int_equal(buf_append_text(&buf, "--b\r\nA: b\r\n\r\n"), 0);
	assert_int_equal(buf_append(&buf, body, n), 0);
	assert_int_equal(buf_append_text(&buf, "\r\n--b--\r\n"), 0);
	message.body = body_from_slice(arena, arena_copy(arena, buf_slice(&buf)));
	buf_clear(&buf);
	mime = parsed(arena, &message);
	assert_int_equal(mime.root->traits, 0);
	return nth_child(mime.root, 1)->traits;
}

static void test_traits(void **state)
{
	char line[1100];

	assert_int_equal(traits_of(*state, "x", 1), 0);
	assert_int_equal(traits_of(*state, "\xc3\xa4", 2), MIME_8BIT);
	assert_int_equal(traits_of(*state, "a\0b", 3), MIME_NUL);
	assert_int_equal(traits_of(*state, "a\nb", 3), MIME_BARE_CR_LF);
	assert_int_equal(traits_of(*state, "a\rb", 3), MIME_BARE_CR_LF | MIME_BARE_CR);
	assert_int_equal(traits_of(*state, "a\r", 2), MIME_BARE_CR_LF | MIME_BARE_CR);
	assert_int_equal(traits_of(*state, "a\r\r\nb", 5), MIME_BARE_CR_LF | MIME_BARE_CR);
	assert_int_equal(traits_of(*state, "a \r\nb", 5), MIME_TRAILING_BLANK);
	assert_int_equal(traits_of(*state, "a\t", 2), MIME_TRAILING_BLANK);
	assert_int_equal(traits_of(*state, "From x", 6), MIME_FROM_LINE);
	assert_int_equal(traits_of(*state, "xFrom \r\nFrom", 12), MIME_TRAILING_BLANK);
	memset(line, 'x', sizeof(line));
	assert_int_equal(traits_of(*state, line, 998), 0);
	assert_int_equal(traits_of(*state, line, 999), MIME_LONG_LINE);
	assert_int_equal(traits_of(*state, line, 1100), MIME_LONG_LINE);
}

static unsigned container_traits(struct arena *arena, const char *body)
{
	struct message message = message_of(arena, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	struct mime mime;

	message.body = body_from_slice(arena, slice_of(body));
	mime = parsed(arena, &message);
	assert_int_equal(mime.parts, 2);
	return mime.root->traits;
}

static void test_false_delimiters(void **state)
{
	assert_int_equal(container_traits(*state, "x\r\n--b\r\n\r\n--bx\r\n--b--\r\ny\r\n"), 0);
	assert_int_equal(container_traits(*state, "--bx\r\n--b\r\n\r\n--b--\r\n"), MIME_FALSE_DELIMITER);
	assert_int_equal(container_traits(*state, "--b\r\n\r\n--b--\r\n--b\r\n"), MIME_FALSE_DELIMITER);
	assert_int_equal(container_traits(*state, "--b\r\n\r\n--b--\r\n--b--"), MIME_FALSE_DELIMITER);
	assert_int_equal(container_traits(*state, "--b\r\n\r\nx\r\n--b\r\r\n\r\nshown\r\n--b--\r\n"), MIME_FALSE_DELIMITER);
	assert_int_equal(container_traits(*state, "--b\r\n\r\nx\r\n--b--\v\r\n\r\n--b--\r\n"), MIME_FALSE_DELIMITER);
	assert_int_equal(container_traits(*state, "--b\r\n\r\nx\r\n--b\rx\r\n\r\n--b--\r\n"), 0);
}

static void test_boundary_of_the_multipart_around(void **state)
{
	struct message message = message_of(*state, MIXED("b") "--b\r\n" MIXED("b") "--b\r\n\r\n--b--\r\n--b--\r\n");
	struct mime mime = parsed(*state, &message);

	assert_int_equal(mime.facts, MIME_MALFORMED);
	assert_int_equal(mime.root->traits, MIME_FALSE_DELIMITER);
	assert_int_equal(mime.root->child->traits, 0);
}

static void test_traits_of_containers(void **state)
{
	struct message message = message_of(*state,
		MIXED("b") "pr\xc3\xa4\r\n--b \r\nX: \xc3\xa4\r\n\r\none\n--b\r\nX: y\n\r\ntwo\r\n--b--\r\nFrom e\r\n");
	struct mime mime = parsed(*state, &message);

	assert_int_equal(mime.root->traits, MIME_8BIT | MIME_TRAILING_BLANK | MIME_BARE_CR_LF | MIME_FROM_LINE);
	assert_int_equal(nth_child(mime.root, 1)->traits, MIME_HEADER_8BIT);
	assert_int_equal(nth_child(mime.root, 2)->traits, MIME_HEADER_BARE);
}

static void test_long_lines_in_little_memory(void **state)
{
	size_t size = 3000000;
	char *text = malloc(size + 100);
	struct arena *small = arena_new(32768);
	struct message message = message_of(*state, MIXED("b"));
	struct mime mime;

	/* A delimiter line with three million blanks is one; with something behind them it is not. */
	assert_non_null(text);
	memcpy(text, "--b\r\n\r\n--b", 10);
	memset(text + 10, ' ', size);
	memcpy(text + 10 + size, "x\r\n--b--\r\n", 11);
	message.body = dribble_body(*state, slice_of(text), 65536);
	assert_int_equal(mime_parse(small, &message, NULL, &mime, NULL), 0);
	assert_int_equal(mime.parts, 2);
	assert_int_equal(nth_child(mime.root, 1)->traits, MIME_LONG_LINE);
	text[10 + size] = ' ';
	message.body = dribble_body(*state, slice_of(text), 65536);
	assert_int_equal(mime_parse(small, &message, NULL, &mime, NULL), 0);
	assert_int_equal(mime.parts, 3);
	for (size_t n = 1010; n < 1030; n++) {	/* around the end of what is kept of a line */
		memset(text + 10, '\t', n);
		memcpy(text + 10 + n, "\r\n--b--", 8);
		message.body = body_from_slice(*state, slice_of(text));
		assert_int_equal(parsed(*state, &message).parts, 3);
		memcpy(text + 10 + n, "\r", 2);
		message.body = body_from_slice(*state, slice_of(text));
		assert_int_equal(parsed(*state, &message).parts, 2);
	}
	arena_free(small);
	free(text);
}

static void test_limits(void **state)
{
	const struct mime_limits depth = { 2, 0, 0 }, parts = { 0, 3, 0 }, header = { 0, 0, 20 };
	struct message message = message_of(*state, nested);
	struct mime mime;
	struct err err = { ERR_NONE, "" };

	assert_int_equal(mime_parse(*state, &message, &depth, &mime, &err), 0);
	assert_int_equal(mime_parse(*state, &message, &(struct mime_limits){ 1, 0, 0 }, &mime, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_non_null(strstr(err.text, "mime_depth"));
	assert_int_equal(mime_parse(*state, &message, &parts, &mime, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_non_null(strstr(err.text, "mime_parts"));
	assert_int_equal(mime_parse(*state, &message, &header, &mime, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	message = message_of(*state, "Content-Type: message/rfc822\r\n\r\n");
	message.body = body_from_slice(*state, slice_of("Content-Type: message/rfc822\r\n\r\n"
		"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n"));
	assert_int_equal(mime_parse(*state, &message, &depth, &mime, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
}

/* Each header is within its limit, all together are not. */
static void test_headers_together(void **state)
{
	const struct mime_limits limits = { 0, 0, 64 };
	struct message message = message_of(*state, MIXED("b"));
	struct buf buf;
	struct mime mime;
	struct err err = { ERR_NONE, "" };

	buf_init(&buf, 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(buf_append_text(&buf, "--b\r\nA: 0123456789012345678\r\n\r\n\r\n"), 0);
	message.body = body_from_slice(*state, arena_copy(*state, buf_slice(&buf)));
	buf_clear(&buf);
	assert_int_equal(mime_parse(*state, &message, &limits, &mime, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_non_null(strstr(err.text, "together"));
	assert_int_equal(mime_parse(*state, &message, NULL, &mime, &err), 0);
}

static void test_decoded(void **state)
{
	struct message message = message_of(*state, MIXED("b")
		"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nZm9v\r\n--b\r\n"
		"Content-Transfer-Encoding: Quoted-Printable\r\n\r\n"
		"a=3D=\r\nb\r\n--b\r\n\r\nc=3D\r\n--b--\r\n");
	struct mime mime = parsed(*state, &message);

	assert_string_equal(body_text(*state, mime_decoded(*state, &message, nth_child(mime.root, 1))), "foo");
	assert_string_equal(body_text(*state, mime_decoded(*state, &message, nth_child(mime.root, 2))), "a=b");
	assert_string_equal(body_text(*state, mime_decoded(*state, &message, nth_child(mime.root, 3))), "c=3D");
	assert_int_equal(nth_child(mime.root, 1)->encoding, CTE_BASE64);
	assert_false(nth_child(mime.root, 1)->type_given);
}

static void test_memory_runs_out(void **state)
{
	struct message message = message_of(*state, nested);

	for (size_t size = 1; size < 12000; size += 97) {
		struct arena *small = arena_new(size);
		struct mime mime;
		struct err err = { ERR_NONE, "" };

		if (mime_parse(small, &message, NULL, &mime, &err) < 0)
			assert_int_equal(err.class, ERR_TEMP);
		else
			assert_int_equal(mime.parts, 5);
		arena_free(small);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_shapes),
		with_arena(test_chunks),
		with_arena(test_offsets),
		with_arena(test_entity_of_odd_parts),
		with_arena(test_traits),
		with_arena(test_false_delimiters),
		with_arena(test_boundary_of_the_multipart_around),
		with_arena(test_traits_of_containers),
		with_arena(test_long_lines_in_little_memory),
		with_arena(test_limits),
		with_arena(test_headers_together),
		with_arena(test_decoded),
		with_arena(test_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
