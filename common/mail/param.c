/* param.c - structured field values: comments, tokens, quoted strings, and parameters with RFC 2231 continuations.
 *
 * Reads leniently what real mailers write (unquoted '=' or '/' in a boundary) and says so in `malformed`. Addresses are
 * not read here (address.c). Called by mime.c, authres.c, encode.c and whoever reads Content-* fields. RFC 2045 5.1,
 * RFC 2231, RFC 5322 3.2.
 */
#include "mail/param.h"

#include <string.h>

/* More than this many parameters in one field are nobody's need: the rest is skipped. */
#define PARAMS_MAX 200

/* One parameter as written, before sections are joined. */
struct section {
	struct slice name;	/* lower case, without '*' marks */
	struct slice value;
	int number;		/* -1: not continued */
	bool extended;
};

static bool is_token(char c)
{
	unsigned char u = (unsigned char)c;

	return u > ' ' && u != 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* Length of the comment at the start of rest, 0 if it is not closed. */
static size_t comment_length(struct slice rest)
{
	size_t depth = 0;

	for (size_t i = 0; i < rest.n; i++) {
		if (rest.p[i] == '\\')
			i++;
		else if (rest.p[i] == '(')
			depth++;
		else if (rest.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return 0;
}

bool cfws_skip(struct slice *rest)
{
	size_t n = 0;

	while (rest->n > 0) {
		if (ascii_is_blank(rest->p[0]))
			n = 1;
		else if (rest->p[0] == '(')
			n = comment_length(*rest);
		else
			break;
		if (n == 0)
			return false;
		*rest = slice_from(*rest, n);
	}
	return true;
}

/* Length of the quoted string at the start of rest, both quotes included; 0 if it is not closed. */
static size_t quoted_length(struct slice rest)
{
	for (size_t i = 1; i < rest.n; i++) {
		if (rest.p[i] == '\\')
			i++;
		else if (rest.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* The content of quotes: escapes resolved, line breaks of folds removed. p == NULL: arena exhausted. */
static struct slice unquote(struct arena *arena, struct slice inside)
{
	char *out = arena_alloc(arena, inside.n + 1);
	size_t n = 0;

	if (out == NULL)
		return slice_make(NULL, 0);
	for (size_t i = 0; i < inside.n; i++) {
		if (inside.p[i] == '\r' || inside.p[i] == '\n')
			continue;
		if (inside.p[i] == '\\' && i + 1 < inside.n)
			i++;
		out[n++] = inside.p[i];
	}
	return slice_make(out, n);
}

bool word_take(struct arena *arena, struct slice *rest, struct slice *word)
{
	size_t n = 0;

	if (rest->n > 0 && rest->p[0] == '"') {
		n = quoted_length(*rest);
		if (n == 0)
			return false;
		*word = unquote(arena, slice_make(rest->p + 1, n - 2));
		*rest = slice_from(*rest, n);
		return word->p != NULL;
	}
	while (n < rest->n && is_token(rest->p[n]))
		n++;
	*word = slice_first(*rest, n);
	*rest = slice_from(*rest, n);
	return n > 0;
}

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] > 0x7f)
			return false;
	}
	return true;
}

static bool all_token(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (!is_token(text.p[i]))
			return false;
	}
	return text.n > 0 && is_ascii(text);
}

char *word_quote(struct arena *arena, struct slice text)
{
	char *out = NULL;
	size_t n = 0;

	if (all_token(text))
		return arena_string(arena, text);
	out = arena_alloc(arena, 2 * text.n + 3);
	if (out == NULL)
		return NULL;
	out[n++] = '"';
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c == '"' || c == '\\')
			out[n++] = '\\';
		out[n++] = c < ' ' || c == 0x7f ? '?' : text.p[i];
	}
	out[n++] = '"';
	return out;
}

/* Length up to the next ';' outside quotes and comments, or to the end. What is not closed goes to the end. */
static size_t until_semicolon(struct slice rest)
{
	size_t i = 0, n = 0;

	while (i < rest.n && rest.p[i] != ';') {
		n = 1;
		if (rest.p[i] == '"')
			n = quoted_length(slice_from(rest, i));
		else if (rest.p[i] == '(')
			n = comment_length(slice_from(rest, i));
		if (n == 0)
			return rest.n;
		i += n;
	}
	return i;
}

/* "multipart / signed (x)" as "multipart/signed", into out, which has room for all of rest. */
static size_t head_take(struct slice *rest, char *out, bool *malformed)
{
	size_t n = 0;
	bool word = false;	/* the last thing taken was a word: only '/' may follow */

	while (cfws_skip(rest) && rest->n > 0 && rest->p[0] != ';') {
		size_t length = 0;

		while (length < rest->n && is_token(rest->p[length]))
			length++;
		if (length == 0 && rest->p[0] == '/')
			length = 1;
		else if (length == 0 || word)
			break;
		word = rest->p[0] != '/';
		memcpy(out + n, rest->p, length);
		n += length;
		*rest = slice_from(*rest, length);
	}
	*malformed = rest->n > 0 && rest->p[0] != ';';
	return n;
}

/* Takes what stands before the first ';', lower case. */
static int value_take(struct arena *arena, struct slice *rest, struct param_list *list, struct err *err)
{
	char *out = arena_alloc(arena, rest->n + 1);
	size_t n = 0;

	if (out == NULL)
		return err_memory(err);
	n = head_take(rest, out, &list->malformed);
	list->skipped = list->malformed;
	ascii_lower(out, n);
	list->value = slice_make(out, n);
	list->malformed |= !is_ascii(list->value);
	*rest = slice_from(*rest, until_semicolon(*rest));
	return 0;
}

/* "name*3*" into name, number and extended. */
static bool name_split(struct slice word, struct section *section)
{
	long star = 0;
	struct slice digits = { NULL, 0 };
	int number = 0;

	section->extended = word.n > 0 && word.p[word.n - 1] == '*';
	section->number = -1;
	section->name = section->extended ? slice_first(word, word.n - 1) : word;
	star = slice_find(section->name, '*');
	if (star < 0)
		return section->name.n > 0;
	digits = slice_from(section->name, (size_t)star + 1);
	section->name = slice_first(section->name, (size_t)star);
	if (digits.n == 0 || digits.n > 3 || (digits.n > 1 && digits.p[0] == '0'))
		return false;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return false;
		number = 10 * number + digits.p[i] - '0';
	}
	section->number = number;
	return section->name.n > 0;
}

/* An unquoted value as written by careless mailers: everything up to a blank, comment or ';'. */
static struct slice careless_take(struct slice *rest)
{
	size_t n = 0;
	struct slice taken = { NULL, 0 };

	while (n < rest->n && rest->p[n] != ';' && rest->p[n] != '(' && !ascii_is_blank(rest->p[n]))
		n++;
	taken = slice_first(*rest, n);
	*rest = slice_from(*rest, n);
	return taken;
}

static bool section_value(struct arena *arena, struct slice *rest, struct section *section, bool *malformed)
{
	if (!cfws_skip(rest) || rest->n == 0)
		return false;
	if (rest->p[0] == '"')
		return word_take(arena, rest, &section->value);
	section->value = careless_take(rest);
	if (!all_token(section->value))
		*malformed = true;
	return section->value.n > 0;
}

/* Takes "name = value" off rest up to the next ';' (left standing). False: skipped. */
static bool section_take(struct arena *arena, struct slice *rest, struct section *section, struct param_list *list)
{
	struct slice word = { NULL, 0 };
	char *name = NULL;
	bool good = false;

	if (cfws_skip(rest) && rest->n > 0 && rest->p[0] != '"' && word_take(arena, rest, &word))
		name = arena_string(arena, word);
	if (name != NULL) {
		ascii_lower(name, word.n);
		good = name_split(slice_make(name, word.n), section) && cfws_skip(rest) && rest->n > 0 &&
		       rest->p[0] == '=';
	}
	if (good) {
		*rest = slice_from(*rest, 1);
		good = section_value(arena, rest, section, &list->malformed);
	}
	if (!cfws_skip(rest) || (rest->n > 0 && rest->p[0] != ';') || !good)
		list->malformed = list->skipped = true;
	*rest = slice_from(*rest, until_semicolon(*rest));
	return good;
}

static bool only_cfws(struct slice rest)
{
	struct slice copy = rest;

	return cfws_skip(&copy) && (copy.n == 0 || copy.p[0] == ';');
}

/* How many parameters there can be, by the ';' in rest. */
static size_t sections_count(struct slice rest)
{
	size_t n = 0;

	for (size_t i = 0; i < rest.n && n < PARAMS_MAX; i++)
		n += rest.p[i] == ';' ? 1 : 0;
	return n;
}

/* All parameters as written, at most max. */
static size_t sections_take(struct arena *arena, struct slice rest, struct section *sections, size_t max,
			    struct param_list *list)
{
	size_t n = 0;

	while (rest.n > 0) {
		rest = slice_from(rest, 1);
		if (only_cfws(rest)) {
			rest = slice_from(rest, until_semicolon(rest));
			continue;
		}
		if (n == max) {
			list->malformed = list->skipped = true;
			break;
		}
		if (section_take(arena, &rest, &sections[n], list))
			n++;
	}
	return n;
}

static size_t percent_decode(struct slice text, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int high = -1, low = -1;

		if (text.p[i] == '%' && i + 2 < text.n) {
			high = ascii_hex_value(text.p[i + 1]);
			low = ascii_hex_value(text.p[i + 2]);
		}
		if (high >= 0 && low >= 0)
			i += 2;
		out[n++] = high >= 0 && low >= 0 ? (char)(16 * high + low) : text.p[i];
	}
	return n;
}

/* Behind "charset'language'", where that stands. */
static struct slice charset_drop(struct slice text)
{
	long first = slice_find(text, '\'');
	long second = first < 0 ? -1 : slice_find(slice_from(text, (size_t)first + 1), '\'');

	return second < 0 ? text : slice_from(text, (size_t)(first + second) + 2);
}

/* "charset'language'" is missing where it belongs. */
static bool lacks_charset(const struct section *section)
{
	return section->extended && section->number <= 0 && charset_drop(section->value).n == section->value.n;
}

static size_t section_write(const struct section *section, char *out)
{
	if (!section->extended) {
		memcpy(out, section->value.p, section->value.n);
		return section->value.n;
	}
	return percent_decode(section->number > 0 ? section->value : charset_drop(section->value), out);
}

static const struct section *section_find(const struct section *sections, size_t n, struct slice name, int number)
{
	for (size_t i = 0; i < n; i++) {
		if (sections[i].number == number && slice_equal(sections[i].name, name))
			return &sections[i];
	}
	return NULL;
}

/* The value of a parameter: first (number -1 or 0) and the sections that continue it. p == NULL: arena exhausted. */
static struct slice sections_join(struct arena *arena, const struct section *sections, size_t n,
				  const struct section *first)
{
	size_t room = 1, used = 0;
	char *out = NULL;
	const struct section *section = first;

	for (int i = 1; section != NULL; i++) {
		room += section->value.n;
		section = first->number < 0 ? NULL : section_find(sections, n, first->name, i);
	}
	out = arena_alloc(arena, room);
	if (out == NULL)
		return slice_make(NULL, 0);
	section = first;
	for (int i = 1; section != NULL; i++) {
		used += section_write(section, out + used);
		section = first->number < 0 ? NULL : section_find(sections, n, first->name, i);
	}
	return slice_make(out, used);
}

static int params_make(struct arena *arena, const struct section *sections, size_t n, struct param_list *list,
		       struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct slice value = { NULL, 0 };

		if (sections[i].number > 0) {
			list->malformed |= section_find(sections, n, sections[i].name, sections[i].number - 1) == NULL;
			continue;
		}
		list->malformed |= lacks_charset(&sections[i]);
		if (param_get(list, arena_string(arena, sections[i].name)).p != NULL) {
			list->duplicate = true;
			continue;
		}
		value = sections_join(arena, sections, n, &sections[i]);
		if (value.p == NULL)
			return err_memory(err);
		list->params[list->n++] = (struct param){ sections[i].name, value };
	}
	return 0;
}

/* Two sections of one name and number contradict each other as two parameters do. */
static bool sections_repeat(const struct section *sections, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (section_find(sections, n, sections[i].name, sections[i].number) != &sections[i])
			return true;
	}
	return false;
}

int param_parse(struct arena *arena, struct slice value, struct param_list *list, struct err *err)
{
	struct slice rest = value;
	struct section *sections = NULL;
	size_t max = 0, n = 0;

	*list = (struct param_list){ .n = 0 };
	if (value_take(arena, &rest, list, err) < 0)
		return -1;
	max = sections_count(rest);
	sections = arena_array(arena, max + 1, sizeof(*sections));
	if (sections == NULL)
		return err_memory(err);
	n = sections_take(arena, rest, sections, max, list);
	list->params = arena_array(arena, n + 1, sizeof(*list->params));
	if (list->params == NULL)
		return err_memory(err);
	list->duplicate = sections_repeat(sections, n);
	return params_make(arena, sections, n, list, err);
}

struct slice param_get(const struct param_list *list, const char *name)
{
	for (size_t i = 0; name != NULL && i < list->n; i++) {
		if (slice_is(list->params[i].name, name))
			return list->params[i].value;
	}
	return slice_make(NULL, 0);
}
