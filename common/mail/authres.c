/* authres.c - Authentication-Results fields: ours are written, forged ones cleaned. Which fields to clean and what to
 * say is the gate's. RFC 8601 2.2, 2.3, 5.
 *
 * Reading is strict where a field bears our name: what is not understood is not kept. Of other servers' fields only
 * the beginning is read, and that comments and quotes are closed.
 */
#include "mail/authres.h"

#include <string.h>

#include "base/buf.h"
#include "mail/address.h"
#include "mail/param.h"

#define VALUE_MAX 255
#define LINE_MAX_CHARACTERS 78
#define NAME_RESERVE 24		/* of the first line, for "Authentication-Results:" and its like */

/* A field taken apart. The slices point into the unfolded value. */
struct parsed {
	struct slice id;	/* unquoted */
	struct slice head;	/* everything before the first ';' */
	struct slice rest;	/* from the first ';' on */
	bool version_known;
};

static bool all_digits(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	}
	return text.n > 0;
}

/* Length of text up to the next ';' outside quotes and comments. False: one of them is not closed. */
static bool segment_length(struct arena *arena, struct slice text, size_t *length)
{
	struct slice rest = text, word = { NULL, 0 };

	while (rest.n > 0 && rest.p[0] != ';') {
		if (rest.p[0] == '(') {
			if (!cfws_skip(&rest))
				return false;
		} else if (rest.p[0] == '"') {
			if (!word_take(arena, &rest, &word))
				return false;
		} else {
			rest = slice_from(rest, 1);
		}
	}
	*length = text.n - rest.n;
	return true;
}

/* authserv-id [version], then ';' or the end. */
static bool head_parse(struct arena *arena, struct slice value, struct parsed *parsed)
{
	struct slice rest = value, version = { NULL, 0 };

	parsed->version_known = true;
	if (!cfws_skip(&rest) || !word_take(arena, &rest, &parsed->id) || !cfws_skip(&rest))
		return false;
	if (rest.n > 0 && rest.p[0] != ';') {
		if (!word_take(arena, &rest, &version) || !all_digits(version) || !cfws_skip(&rest))
			return false;
		parsed->version_known = slice_is(version, "1");
	}
	parsed->head = slice_first(value, value.n - rest.n);
	parsed->rest = rest;
	return rest.n == 0 || rest.p[0] == ';';
}

static bool has_control(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

/* All of rest is closed comments, closed quotes and ordinary characters. */
static bool rest_is_sound(struct arena *arena, struct slice rest)
{
	size_t n = 0;

	while (rest.n > 0) {
		rest = slice_from(rest, 1);
		if (!segment_length(arena, rest, &n))
			return false;
		rest = slice_from(rest, n);
	}
	return true;
}

/* Compared as domains where both are; otherwise by ASCII case alone. */
static bool same_server(struct arena *arena, struct slice id, const char *authserv_id)
{
	struct slice ours = slice_of(authserv_id);
	struct slice a = domain_ascii(arena, id), b = domain_ascii(arena, ours);

	if (a.p != NULL && b.p != NULL)
		return slice_equal(a, b);
	return slice_equal_nocase(id, ours);
}

/* Takes an unquoted token. */
static bool token_take(struct slice *rest, struct slice *token)
{
	return rest->n > 0 && rest->p[0] != '"' && word_take(NULL, rest, token);
}

static bool equals_take(struct slice *rest)
{
	if (!cfws_skip(rest) || rest->n == 0 || rest->p[0] != '=')
		return false;
	*rest = slice_from(*rest, 1);
	return cfws_skip(rest);
}

/* A value as found in the wild: quoted, or anything up to a blank, quote or comment. */
static bool pvalue_take(struct arena *arena, struct slice *rest)
{
	struct slice word = { NULL, 0 };
	size_t n = 0;

	if (rest->n > 0 && rest->p[0] == '"')
		return word_take(arena, rest, &word);
	while (n < rest->n && strchr(" \t\"()", rest->p[n]) == NULL)
		n++;
	*rest = slice_from(*rest, n);
	return true;
}

/* Methods "method [/version] = result", taken off rest. */
static bool method_take(struct slice *rest, struct slice *method)
{
	struct slice word = { NULL, 0 };

	if (!cfws_skip(rest) || !token_take(rest, method) || !cfws_skip(rest))
		return false;
	if (rest->n > 0 && rest->p[0] == '/') {
		*rest = slice_from(*rest, 1);
		if (!cfws_skip(rest) || !token_take(rest, &word) || !all_digits(word))
			return false;
	}
	return equals_take(rest) && token_take(rest, &word);
}

bool authres_mentions(struct slice text, const char *method)
{
	for (size_t i = 0; i < text.n; i++) {
		struct slice rest = slice_from(text, i);

		if (!slice_starts_nocase(rest, method))
			continue;
		rest = slice_trim(slice_from(rest, strlen(method)));
		if (rest.n > 0 && rest.p[0] == '=')
			return true;
	}
	return false;
}

/* One result: its method, and that nothing in it is a second result of `method` in disguise. */
static bool result_parse(struct arena *arena, struct slice text, const char *method, struct slice *found)
{
	struct slice rest = text, key = { NULL, 0 };

	if (!method_take(&rest, found))
		return false;
	for (;;) {
		if (!cfws_skip(&rest))
			return false;
		if (rest.n == 0)
			return true;
		if (!token_take(&rest, &key) || slice_is_nocase(key, method) || !equals_take(&rest) ||
		    !pvalue_take(arena, &rest))
			return false;
	}
}

static bool is_none(struct slice text)
{
	struct slice rest = text, word = { NULL, 0 };

	return cfws_skip(&rest) && token_take(&rest, &word) && slice_is_nocase(word, "none") && cfws_skip(&rest) &&
	       rest.n == 0;
}

static bool is_empty(struct slice text)
{
	struct slice rest = text;

	return cfws_skip(&rest) && rest.n == 0;
}

/* Copies the results but those of `method` to out. *cut: how many were left out, *kept: how many not. False: not
 * understood, or out of memory: the field goes. */
static bool results_copy(struct arena *arena, struct slice rest, const char *method, struct buf *out, size_t *cut,
			 size_t *kept)
{
	struct slice segment = { NULL, 0 }, found = { NULL, 0 };
	size_t n = 0;

	while (rest.n > 0) {
		rest = slice_from(rest, 1);
		if (!segment_length(arena, rest, &n))
			return false;
		segment = slice_trim(slice_first(rest, n));
		rest = slice_from(rest, n);
		if (is_empty(segment))
			continue;
		if (!is_none(segment) && !result_parse(arena, segment, method, &found))
			return false;
		if (!is_none(segment) && (slice_is_nocase(found, method) || authres_mentions(segment, method))) {
			(*cut)++;
			continue;
		}
		(*kept)++;
		if (buf_append_text(out, "; ") < 0 || buf_append_slice(out, segment) < 0)
			return false;
	}
	return true;
}

/* The field that stays when results have been cut. */
static int make_replacement(struct arena *arena, const struct field *field, struct slice head, struct buf *results,
			    struct field *replacement, struct err *err)
{
	char *kept = buf_string(results);
	char *text = kept == NULL ? NULL : arena_printf(arena, "%.*s%s", SLICE_ARGS(slice_trim(head)), kept);
	char *folded = text == NULL ? NULL : authres_fold(arena, text);

	if (folded == NULL)
		return err_memory(err);
	*replacement = field_make(arena, field->name, slice_of(folded));
	return replacement->raw.p == NULL ? err_memory(err) : 0;
}

/* A field that bears our name. */
static int clean_ours(struct arena *arena, const struct field *field, const struct parsed *parsed, const char *method,
		      enum authres_verdict *verdict, struct field *replacement, struct err *err)
{
	struct buf results = { NULL, 0, 0, 0 };
	size_t cut = 0, kept = 0;
	int result = 0;

	*verdict = AUTHRES_DELETE;
	buf_init(&results, 0);
	if (!parsed->version_known || !results_copy(arena, parsed->rest, method, &results, &cut, &kept) || kept == 0)
		goto out;
	if (cut == 0) {
		*verdict = AUTHRES_KEEP;
		goto out;
	}
	result = make_replacement(arena, field, parsed->head, &results, replacement, err);
	if (result == 0)
		*verdict = AUTHRES_REPLACE;
out:
	buf_clear(&results);
	return result;
}

int authres_clean(struct arena *arena, const struct field *field, const char *authserv_id, const char *method, bool all,
		  enum authres_verdict *verdict, struct field *replacement, struct err *err)
{
	struct slice value = field_unfold(arena, field);
	struct parsed parsed = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, false };

	*verdict = AUTHRES_DELETE;
	*replacement = *field;
	if (value.p == NULL)
		return err_memory(err);
	if (has_control(value) || !head_parse(arena, value, &parsed) || !rest_is_sound(arena, parsed.rest))
		return 0;
	if (!same_server(arena, parsed.id, authserv_id)) {
		*verdict = AUTHRES_KEEP;
		return 0;
	}
	if (all)
		return 0;
	return clean_ours(arena, field, &parsed, method, verdict, replacement, err);
}

/* ---- writing ---- */

static bool is_safe(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-._`{|}~^", c) != NULL);
}

/* A token, or local@domain of such characters, which RFC 8601 2.2 takes unquoted. */
static bool is_plain(const char *text)
{
	size_t at = 0, n = 0;

	for (n = 0; text[n] != '\0'; n++) {
		if (text[n] == '@' && n > 0 && text[n + 1] != '\0')
			at++;
		else if (!is_safe(text[n]))
			return false;
	}
	return n > 0 && at <= 1;
}

/* How many characters c takes in a quoted string, once written as printable ASCII. */
static size_t width(unsigned char c)
{
	return c > 0x7f ? 5 : c == '"' || c == '\\' ? 2 : 1;
}

size_t authres_fit(const char *text)
{
	size_t n = 0, total = 0;

	for (; text[n] != '\0'; n++) {
		total += width((unsigned char)text[n]);
		if (total > VALUE_MAX)
			break;
	}
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)	/* inside a character of UTF-8 */
		n--;
	return n;
}

/* Printable ASCII, at most VALUE_MAX characters also when quoted, into out. */
static void printable(const char *text, char out[VALUE_MAX + 1])
{
	static const char digits[] = "0123456789abcdef";
	const char *end = text + authres_fit(text);
	size_t n = 0;

	for (; text < end; text++) {
		unsigned char c = (unsigned char)*text;

		if (c > 0x7f) {
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = digits[c >> 4];
			out[n++] = digits[c & 15];
		} else {
			out[n++] = c < ' ' || c == 0x7f ? '?' : *text;
		}
	}
	out[n] = '\0';
}

char *authres_value(struct arena *arena, const char *text)
{
	char safe[VALUE_MAX + 1];

	printable(text, safe);
	return is_plain(safe) ? arena_strdup(arena, safe) : word_quote(arena, slice_of(safe));
}

/* Length of the piece at the start of rest that must stay on one line: up to behind ';' or to a blank outside quotes.
 * Blanks at its start belong to it. */
static size_t piece_length(struct slice rest)
{
	bool quoted = false;
	size_t n = 0;

	while (n < rest.n && rest.p[n] == ' ')
		n++;
	for (; n < rest.n; n++) {
		char c = rest.p[n];

		if (quoted && c == '\\' && n + 1 < rest.n)
			n++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && c == ';')
			return n + 1;
		else if (!quoted && c == ' ')
			return n;
	}
	return n;
}

static int append_folded(struct buf *out, struct slice rest)
{
	size_t column = NAME_RESERVE, n = 0;

	for (; rest.n > 0; rest = slice_from(rest, n)) {
		bool blank = rest.p[0] == ' ';
		bool breakable = out->n > 0 && (blank || out->p[out->n - 1] == ';');

		n = piece_length(rest);
		if (breakable && column + n > LINE_MAX_CHARACTERS) {
			if (buf_append_text(out, "\r\n") < 0)
				return -1;
			column = 0;
		}
		if (!blank && (out->n == 0 || column == 0)) {
			if (buf_append_char(out, ' ') < 0)
				return -1;
			column++;
		}
		if (buf_append_slice(out, slice_first(rest, n)) < 0)
			return -1;
		column += n;
	}
	return 0;
}

char *authres_fold(struct arena *arena, const char *text)
{
	struct buf out = { NULL, 0, 0, 0 };
	char *result = NULL;

	buf_init(&out, 0);
	if (append_folded(&out, slice_trim(slice_of(text))) == 0)
		result = arena_string(arena, buf_slice(&out));
	buf_clear(&out);
	return result;
}

static int append_result(struct arena *arena, struct buf *out, const struct authres_result *result)
{
	char *value = NULL;

	if (buf_printf(out, "; %s=%s", result->method, result->result) < 0)
		return -1;
	if (result->reason != NULL) {
		value = authres_value(arena, result->reason);
		if (value == NULL || buf_printf(out, value[0] == '"' ? " reason=%s" : " reason=\"%s\"", value) < 0)
			return -1;
	}
	for (size_t i = 0; i < result->n; i++) {
		value = authres_value(arena, result->properties[i].value);
		if (value == NULL || buf_printf(out, " %s=%s", result->properties[i].name, value) < 0)
			return -1;
	}
	return 0;
}

static int append_results(struct arena *arena, struct buf *out, const char *authserv_id,
			  const struct authres_result *results, size_t n)
{
	char *id = authres_value(arena, authserv_id);

	if (id == NULL || buf_append_text(out, id) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (append_result(arena, out, &results[i]) < 0)
			return -1;
	}
	return n == 0 ? buf_append_text(out, "; none") : 0;
}

struct field authres_make(struct arena *arena, const char *authserv_id, const struct authres_result *results, size_t n)
{
	struct field field = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	struct buf text = { NULL, 0, 0, 0 };
	char *folded = NULL;

	buf_init(&text, 0);
	if (append_results(arena, &text, authserv_id, results, n) == 0 && buf_string(&text) != NULL)
		folded = authres_fold(arena, buf_string(&text));
	buf_clear(&text);
	if (folded == NULL)
		return field;
	return field_make(arena, slice_of("Authentication-Results"), slice_of(folded));
}
