/* login.c - the file of `sender_login` (login.h). Read once, by site.c; asked by facts.c. */
#include "gate/login.h"

#include "base/file.h"

#define LIMIT_BYTES ((size_t)16 << 20)

struct reading {
	struct arena *arena;
	const char *path;
	struct conf *conf;
	struct err *err;
	struct login *items;
	size_t n, line;
};

static int found_wrong(const struct reading *r, const char *text)
{
	const char *where = arena_printf(r->arena, "%s:%zu", r->path, r->line);

	return where != NULL ? conf_finding_at(r->conf, where, r->err, "%s", text) : err_memory(r->err);
}

/* The next word of the line; empty at its end or at a comment. */
static struct slice next_word(struct slice *line)
{
	struct slice word;
	size_t n = 0;

	while (line->n > 0 && ascii_is_blank(line->p[0]))
		*line = slice_from(*line, 1);
	if (line->n > 0 && line->p[0] == '#')
		*line = slice_make(NULL, 0);
	while (n < line->n && !ascii_is_blank(line->p[n]))
		n++;
	word = slice_first(*line, n);
	*line = slice_from(*line, n);
	return word;
}

static size_t count_words(struct slice line)
{
	size_t n = 0;

	while (next_word(&line).n > 0)
		n++;
	return n;
}

static size_t count_lines(struct slice text)
{
	size_t n = 1, i;

	for (i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	return n;
}

/* From is never the null sender: a pattern for it would be a mistake. */
static int read_pattern(const struct reading *r, struct slice word, struct pattern *pattern)
{
	char *text = arena_string(r->arena, word);
	struct err why;

	if (text == NULL)
		return err_memory(r->err);
	if (pattern_parse_address(r->arena, text, pattern, &why) != 0)
		return found_wrong(r, why.text);
	if (pattern->form == PATTERN_NULL)
		return found_wrong(r, "nothing can be From <>");
	return 0;
}

static const struct login *find(const struct login *items, size_t n, struct slice name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (slice_equal_nocase(items[i].name, name))
			return &items[i];
	return NULL;
}

static int read_login(struct reading *r, struct slice line, size_t words)
{
	struct login *login = &r->items[r->n];
	int bad = 0;

	*login = (struct login){ .name = next_word(&line), .line = r->line };
	if (find(r->items, r->n, login->name) != NULL)
		return found_wrong(r, "this login stands twice");
	if (words < 2)
		return found_wrong(r, "a login and no address: write LOGIN ADDRESS");
	login->addresses.items = arena_array(r->arena, words - 1, sizeof(*login->addresses.items));
	if (login->addresses.items == NULL)
		return err_memory(r->err);
	for (; login->addresses.n < words - 1; login->addresses.n++)
		bad |= read_pattern(r, next_word(&line), &login->addresses.items[login->addresses.n]);
	r->n++;
	return bad;
}

static int read_lines(struct reading *r, struct slice text)
{
	struct slice line;
	size_t words;
	long end;
	int bad = 0;

	r->items = arena_array(r->arena, count_lines(text), sizeof(*r->items));
	if (r->items == NULL)
		return err_memory(r->err);
	for (r->line = 1; text.n > 0; r->line++) {
		end = slice_find(text, '\n');
		line = end < 0 ? text : slice_first(text, (size_t)end);
		text = slice_from(text, line.n + 1);
		words = count_words(line);
		if (words > 0)
			bad |= read_login(r, line, words);
	}
	return bad;
}

int login_load(struct arena *arena, const char *path, struct conf *conf, const void *member, struct login_table *table,
	       struct err *err)
{
	struct reading reading = { .arena = arena, .path = path, .conf = conf, .err = err };
	struct slice text = { NULL, 0 };
	struct buf bytes;
	struct err why;
	int rc = -1;

	buf_init(&bytes, 0);
	if (file_read_own(path, LIMIT_BYTES, &bytes, &why) != 0) {
		conf_finding(conf, member, err, "%s", why.text);
		goto out;
	}
	text = arena_copy(arena, buf_slice(&bytes));
	if (text.p == NULL) {
		err_memory(err);
		goto out;
	}
	if (read_lines(&reading, text) != 0)
		goto out;
	*table = (struct login_table){ reading.items, reading.n };
	rc = 0;
out:
	buf_clear(&bytes);
	return rc;
}

bool login_may(const struct login_table *table, const char *name, const struct address *from)
{
	const struct login *login = name != NULL ? find(table->items, table->n, slice_of(name)) : NULL;

	return login != NULL && from->text.n > 0 && pattern_list_match(&login->addresses, from);
}
