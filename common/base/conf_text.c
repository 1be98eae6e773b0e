/* conf_text.c - reads a configuration's files into one text and scans it, following libconfig's lexical rules: names,
 * numbers, strings with escapes, three kinds of comments, include directives at the start of a line. Whether the whole
 * makes sense is libconfig's and conf.c's matter. Called by conf.c only. */
#include "base/conf_text.h"

#include <string.h>

#include "base/file.h"

#define LIMIT_BYTES ((size_t)16 * 1024 * 1024)
#define INCLUDE_DEPTH 10

/* One file being scanned. */
struct scan {
	struct conf_text *text;
	const char *file;
	struct slice directory;		/* with its slash; empty: the current one */
	struct slice in;
	size_t at;			/* in `in` */
	unsigned long line;		/* of the file, from 1 */
	int depth;
};

void conf_text_init(struct conf_text *text, struct arena *arena)
{
	*text = (struct conf_text){ .arena = arena };
	buf_init(&text->text, LIMIT_BYTES);
	buf_init(&text->places, 0);
	buf_init(&text->tokens, 0);
}

void conf_text_clear(struct conf_text *text)
{
	buf_clear(&text->text);
	buf_clear(&text->places);
	buf_clear(&text->tokens);
}

size_t conf_text_token_count(const struct conf_text *text)
{
	return text->tokens.n / sizeof(struct conf_token);
}

const struct conf_token *conf_text_token(const struct conf_text *text, size_t index)
{
	return (const struct conf_token *)(const void *)text->tokens.p + index;
}

static size_t line_count(const struct conf_text *text)
{
	return text->places.n / sizeof(const char *);
}

struct slice conf_text_of(const struct conf_text *text, const struct conf_token *token)
{
	return slice_make(text->text.p + token->offset, token->n);
}

const char *conf_text_place(const struct conf_text *text, size_t line)
{
	const char *const *places = (const char *const *)(const void *)text->places.p;

	return places[line < line_count(text) ? line : line_count(text) - 1];
}

static bool is_key(const struct conf_text *text, const struct conf_token *token)
{
	size_t at = token->offset + token->n;

	while (at < text->text.n && strchr(" \t\r\n", text->text.p[at]) != NULL)
		at++;
	return token->kind == CONF_TOKEN_NAME && at < text->text.n &&
	       (text->text.p[at] == '=' || text->text.p[at] == ':');
}

struct slice conf_text_key(const struct conf_text *text, size_t line)
{
	const struct conf_token *found = NULL;

	for (size_t i = 0; i < conf_text_token_count(text); i++) {
		const struct conf_token *token = conf_text_token(text, i);

		if (token->line != line || !is_key(text, token))
			continue;
		if (found != NULL)
			return slice_of(NULL);
		found = token;
	}
	return found == NULL ? slice_of(NULL) : conf_text_of(text, found);
}

/* Notes that a new line of the text begins, and where it comes from. */
static int add_place(struct scan *scan, struct err *err)
{
	const char *place = arena_printf(scan->text->arena, "%s:%lu", scan->file, scan->line);

	if (place == NULL || buf_append(&scan->text->places, &place, sizeof(place)) != 0)
		return err_memory(err);
	return 0;
}

static int refuse(struct scan *scan, struct err *err, unsigned long line, const char *what)
{
	return err_set(err, ERR_CONFIG, "%s:%lu: %s", scan->file, line, what);
}

static int add_text(struct scan *scan, const char *p, size_t n, struct err *err)
{
	if (buf_append(&scan->text->text, p, n) == 0)
		return 0;
	return refuse(scan, err, scan->line, "the configuration is too large");
}

/* Takes the next n bytes over. */
static int copy(struct scan *scan, size_t n, struct err *err)
{
	const char *p = scan->in.p + scan->at;

	if (add_text(scan, p, n, err) != 0)
		return -1;
	scan->at += n;
	for (size_t i = 0; i < n; i++) {
		if (p[i] != '\n')
			continue;
		scan->line++;
		if (add_place(scan, err) != 0)
			return -1;
	}
	return 0;
}

static int add_token(struct scan *scan, enum conf_token_kind kind, size_t n, bool nul, struct err *err)
{
	struct conf_token token = { .kind = kind, .offset = scan->text->text.n, .n = n, .nul = nul,
				    .line = line_count(scan->text) - 1 };

	scan->text->in_text = kind == CONF_TOKEN_TEXT;
	return buf_append(&scan->text->tokens, &token, sizeof(token)) == 0 ? 0 : err_memory(err);
}

static int peek(const struct scan *scan, size_t ahead)
{
	return scan->at + ahead < scan->in.n ? (unsigned char)scan->in.p[scan->at + ahead] : -1;
}

static bool is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static int scan_name(struct scan *scan, struct err *err)
{
	size_t n = 1;

	while (is_letter(peek(scan, n)) || is_digit(peek(scan, n)) || peek(scan, n) == '-' || peek(scan, n) == '_')
		n++;
	return add_token(scan, CONF_TOKEN_NAME, n, false, err) != 0 ? -1 : copy(scan, n, err);
}

static int scan_number(struct scan *scan, struct err *err)
{
	size_t n = 1;

	while (is_letter(peek(scan, n)) || is_digit(peek(scan, n)) || peek(scan, n) == '.' || peek(scan, n) == '-' ||
	       peek(scan, n) == '+')
		n++;
	return add_token(scan, CONF_TOKEN_NUMBER, n, false, err) != 0 ? -1 : copy(scan, n, err);
}

static int scan_string(struct scan *scan, struct err *err)
{
	size_t n = 1;
	bool nul = false;

	for (; peek(scan, n) != '"'; n++) {
		if (peek(scan, n) < 0)
			return refuse(scan, err, scan->line, "a string without an end begins here");
		if (peek(scan, n) != '\\' || peek(scan, n + 1) < 0)
			continue;
		n++;
		if (peek(scan, n) == 'x' && peek(scan, n + 1) == '0' && peek(scan, n + 2) == '0')
			nul = true;
	}
	n++;
	if (scan->text->in_text) {
		struct conf_token *last = (struct conf_token *)(void *)scan->text->tokens.p +
					  conf_text_token_count(scan->text) - 1;

		last->nul |= nul;
		return copy(scan, n, err);
	}
	return add_token(scan, CONF_TOKEN_TEXT, n, nul, err) != 0 ? -1 : copy(scan, n, err);
}

static int scan_comment(struct scan *scan, struct err *err)
{
	size_t n = 2;

	if (peek(scan, 0) == '#' || peek(scan, 1) == '/') {
		for (n = 1; peek(scan, n) >= 0 && peek(scan, n) != '\n'; n++)
			;
		return copy(scan, n, err);
	}
	for (; peek(scan, n) != '*' || peek(scan, n + 1) != '/'; n++)
		if (peek(scan, n) < 0)
			return refuse(scan, err, scan->line, "a comment without an end begins here");
	return copy(scan, n + 2, err);
}

static int scan_file(struct conf_text *text, const char *file, struct slice directory, int depth, struct err *err);

/* The length of an include directive up to and with its opening quote, 0: there is none. */
static size_t directive(const struct scan *scan)
{
	static const char word[] = "@include";
	size_t n = 0, blanks = 0;

	if (scan->at > 0 && scan->in.p[scan->at - 1] != '\n')
		return 0;
	while (peek(scan, n) == ' ' || peek(scan, n) == '\t')
		n++;
	if (!slice_is(slice_first(slice_from(scan->in, scan->at + n), strlen(word)), word))
		return 0;
	n += strlen(word);
	for (; peek(scan, n) == ' ' || peek(scan, n) == '\t'; n++)
		blanks++;
	return blanks > 0 && peek(scan, n) == '"' ? n + 1 : 0;
}

/* Reads the file name from the directive, leaving the scan behind it. NULL: *err. */
static const char *included_name(struct scan *scan, struct err *err)
{
	const char *name = NULL;
	struct buf buf;
	int c;

	buf_init(&buf, 4096);
	while ((c = peek(scan, 0)) != '"') {
		if (c == '\\' && (peek(scan, 1) == '"' || peek(scan, 1) == '\\')) {
			scan->at++;
			c = peek(scan, 0);
		}
		if (c < 0x20 || c == 0x7f || buf_append_char(&buf, (char)c) != 0) {
			refuse(scan, err, scan->line, "@include needs a file name in quotes");
			goto out;
		}
		scan->at++;
	}
	scan->at++;
	if (buf.n > 0 && buf.p[0] == '/')
		name = arena_string(scan->text->arena, buf_slice(&buf));
	else
		name = arena_printf(scan->text->arena, "%.*s%.*s", SLICE_ARGS(scan->directory), (int)buf.n,
				    buf.n > 0 ? (const char *)buf.p : "");
	if (name == NULL)
		err_memory(err);
out:
	buf_clear(&buf);
	return name;
}

/* The included text gets lines of its own, so that each line comes from one place. */
static int scan_include(struct scan *scan, size_t directive_bytes, struct err *err)
{
	const char *name;

	scan->at += directive_bytes;
	name = included_name(scan, err);
	if (name == NULL)
		return -1;
	if (scan->depth == INCLUDE_DEPTH)
		return refuse(scan, err, scan->line, "@include: files nest too deep");
	if (add_text(scan, "\n", 1, err) != 0 ||
	    scan_file(scan->text, name, scan->directory, scan->depth + 1, err) != 0)
		return -1;
	return add_text(scan, "\n", 1, err) != 0 ? -1 : add_place(scan, err);
}

static int scan_one(struct scan *scan, struct err *err)
{
	int c = peek(scan, 0);
	size_t n = directive(scan);

	if (n > 0)
		return scan_include(scan, n, err);
	if (is_letter(c))
		return scan_name(scan, err);
	if (is_digit(c) || c == '-' || c == '+' || c == '.')
		return scan_number(scan, err);
	if (c == '"')
		return scan_string(scan, err);
	if (c == '#' || (c == '/' && (peek(scan, 1) == '/' || peek(scan, 1) == '*')))
		return scan_comment(scan, err);
	if (c == '\0')
		return refuse(scan, err, scan->line, "a NUL byte");
	if (strchr(" \t\r\n\f", c) == NULL)
		scan->text->in_text = false;
	return copy(scan, 1, err);
}

static int scan_file(struct conf_text *text, const char *file, struct slice directory, int depth, struct err *err)
{
	const char *from = depth > 0 ? conf_text_place(text, line_count(text) - 1) : NULL;
	struct scan scan = { .text = text, .file = file, .directory = directory, .line = 1, .depth = depth };
	struct buf content;
	int rc = -1;

	buf_init(&content, 0);
	if (file_read_trusted(file, LIMIT_BYTES, &content, err) != 0) {
		if (from != NULL)
			err_prefix(err, "%s: @include", from);
		goto out;
	}
	scan.in = buf_slice(&content);
	if (add_place(&scan, err) != 0)
		goto out;
	while (scan.at < scan.in.n)
		if (scan_one(&scan, err) != 0)
			goto out;
	rc = 0;
out:
	buf_clear(&content);
	return rc;
}

int conf_text_read(struct conf_text *text, const char *path, struct err *err)
{
	struct slice directory = slice_of(path);

	directory = slice_first(directory, (size_t)(slice_find_last(directory, '/') + 1));
	return scan_file(text, path, directory, 0, err);
}
