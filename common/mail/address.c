/* address.c - mailboxes: one as configured or from the envelope, a list, and strictly the one of From.
 *
 * A value is cut into tokens first. address_single answers SINGLE only where every reader would find the same mailbox;
 * whatever is merely legal (a comment inside an address, a blank beside '@') is AMBIGUOUS. Called by policy, pki,
 * smime, gate. RFC 5322 3.2.3, 3.4; RFC 6532; RFC 5321 4.1.2.
 */
#include "mail/address.h"

#include <string.h>

#include "mail/encoded_word.h"
#include "mail/idn.h"

/* One mailbox is never so long; tokens take a multiple of it. */
#define SINGLE_BYTES 16384

enum token_kind {
	TOKEN_ATOM,
	TOKEN_DOT,
	TOKEN_QUOTED,	/* text: what is inside, unescaped by address_of_tokens */
	TOKEN_LITERAL,	/* [1.2.3.4], brackets included */
	TOKEN_COMMENT,	/* text: what is inside */
	TOKEN_SPECIAL,	/* < > @ , ; : */
	TOKEN_BAD	/* control character, or something that is not closed */
};

struct token {
	enum token_kind kind;
	struct slice text;
	bool spaced;	/* a blank or comment stands before it */
};

struct tokens {
	struct token *items;
	size_t n;
};

/* What the tokens of a From field are, beside the mailbox found. */
struct shape {
	size_t elements;	/* with an address, between commas */
	bool odd;		/* something that readers resolve differently */
};

static bool is_atom(char c)
{
	unsigned char u = (unsigned char)c;

	return u > ' ' && u != 0x7f && strchr("()<>[]:;@\\,.\"", c) == NULL;
}

/* Length of the blank, or of the fold with its blank, at the start of rest. */
static size_t blank_length(struct slice rest)
{
	size_t n = 0;

	if (rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'))
		return 1;
	if (n < rest.n && rest.p[n] == '\r')
		n++;
	if (n >= rest.n || rest.p[n] != '\n')
		return 0;
	n++;
	return n < rest.n && (rest.p[n] == ' ' || rest.p[n] == '\t') ? n + 1 : 0;
}

/* Length of a quoted string, literal or comment at the start of rest, marks included; 0: not closed, or a character
 * inside that is none of its kind. */
static size_t enclosed_length(struct slice rest, char close)
{
	char open = rest.p[0];
	size_t depth = 0, i = 0, blank = 0;

	while (i < rest.n) {
		unsigned char c = (unsigned char)rest.p[i];

		blank = blank_length(slice_from(rest, i));
		if (blank == 0 && (c < ' ' || c == 0x7f))
			return 0;
		if (c == '\\' && i + 1 < rest.n && (unsigned char)rest.p[i + 1] >= ' ' && rest.p[i + 1] != 0x7f)
			i++;
		else if (open == '(' && c == '(')
			depth++;
		else if (c == (unsigned char)close && i > 0 && (open != '(' || --depth == 0))
			return i + 1;
		i += blank > 0 ? blank : 1;
	}
	return 0;
}

static enum token_kind kind_of(char c)
{
	switch (c) {
	case '.': return TOKEN_DOT;
	case '"': return TOKEN_QUOTED;
	case '[': return TOKEN_LITERAL;
	case '(': return TOKEN_COMMENT;
	case '<': case '>': case '@': case ',': case ';': case ':': return TOKEN_SPECIAL;
	default: return is_atom(c) ? TOKEN_ATOM : TOKEN_BAD;
	}
}

/* Takes a quoted string, literal or comment; one that is not closed takes all the rest and is bad. */
static void enclosed_take(struct slice *rest, struct token *token, char close)
{
	size_t n = enclosed_length(*rest, close);

	if (n == 0) {
		token->kind = TOKEN_BAD;
		n = rest->n;
	} else if (token->kind == TOKEN_LITERAL) {
		token->text = slice_first(*rest, n);
	} else {
		token->text = slice_make(rest->p + 1, n - 2);
	}
	*rest = slice_from(*rest, n);
}

static bool token_take(struct slice *rest, struct token *token)
{
	size_t n = 0;

	token->spaced = false;
	while ((n = blank_length(*rest)) > 0) {
		token->spaced = true;
		*rest = slice_from(*rest, n);
	}
	if (rest->n == 0)
		return false;
	token->kind = kind_of(rest->p[0]);
	token->text = slice_first(*rest, 1);
	if (token->kind == TOKEN_QUOTED)
		enclosed_take(rest, token, '"');
	else if (token->kind == TOKEN_LITERAL)
		enclosed_take(rest, token, ']');
	else if (token->kind == TOKEN_COMMENT)
		enclosed_take(rest, token, ')');
	else {
		for (n = 1; token->kind == TOKEN_ATOM && n < rest->n && is_atom(rest->p[n]); n++)
			;
		token->text = slice_first(*rest, n);
		*rest = slice_from(*rest, n);
	}
	return true;
}

/* All tokens of text. -1: arena exhausted. */
static int tokenise(struct arena *arena, struct slice text, struct tokens *tokens)
{
	struct slice rest = text;
	struct token token = { TOKEN_BAD, { NULL, 0 }, false };

	*tokens = (struct tokens){ NULL, 0 };
	while (token_take(&rest, &token))
		tokens->n++;
	tokens->items = arena_array(arena, tokens->n + 1, sizeof(*tokens->items));
	if (tokens->items == NULL)
		return -1;
	rest = text;
	for (size_t i = 0; i < tokens->n; i++)
		token_take(&rest, &tokens->items[i]);
	return 0;
}

static bool is_special(const struct token *token, char c)
{
	return token->kind == TOKEN_SPECIAL && token->text.p[0] == c;
}

static struct tokens tokens_slice(struct tokens tokens, size_t from, size_t to)
{
	return (struct tokens){ tokens.items + from, to - from };
}

/* Index of the first c, or tokens.n. */
static size_t token_find(struct tokens tokens, char c)
{
	size_t i = 0;

	while (i < tokens.n && !is_special(&tokens.items[i], c))
		i++;
	return i;
}

/* Length of the UTF-8 sequence that c begins, 0 if none does. */
static size_t utf8_length(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static bool utf8_valid(struct slice text)
{
	size_t i = 0;

	while (i < text.n) {
		size_t n = utf8_length((unsigned char)text.p[i]);

		if (n == 0 || n > text.n - i)
			return false;
		for (size_t k = 1; k < n; k++) {
			if (((unsigned char)text.p[i + k] & 0xc0) != 0x80)
				return false;
		}
		i += n;
	}
	return true;
}

/* The text of the tokens one after the other, quotes resolved. False: a token that may not stand there; p == NULL then
 * or when the arena is exhausted. */
static struct slice tokens_join(struct arena *arena, struct tokens tokens, bool domain)
{
	size_t room = 1, n = 0;
	char *out = NULL;

	for (size_t i = 0; i < tokens.n; i++)
		room += tokens.items[i].text.n;
	out = arena_alloc(arena, room);
	for (size_t i = 0; out != NULL && i < tokens.n; i++) {
		const struct token *token = &tokens.items[i];
		struct slice text = token->text;
		bool fits = token->kind == TOKEN_ATOM || token->kind == TOKEN_DOT ||
			    token->kind == (domain ? TOKEN_LITERAL : TOKEN_QUOTED);

		if (token->kind == TOKEN_COMMENT)
			continue;
		if (!fits)
			return slice_make(NULL, 0);
		for (size_t k = 0; k < text.n; k++) {
			if (token->kind == TOKEN_QUOTED && text.p[k] == '\\' && k + 1 < text.n)
				k++;
			if (text.p[k] != '\r' && text.p[k] != '\n')
				out[n++] = text.p[k];
		}
	}
	return slice_make(out, n);
}

static bool is_dot_atom(struct slice local)
{
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] != '.' && !is_atom(local.p[i]))
			return false;
	}
	return local.n > 0;
}

/* local, quoted where it must be, and "@domain" where there is one. p == NULL: arena exhausted. */
static struct slice address_text(struct arena *arena, struct slice local, struct slice domain)
{
	bool quote = !is_dot_atom(local);
	size_t n = 0;
	char *out = arena_alloc(arena, 2 * local.n + domain.n + 4);

	if (out == NULL)
		return slice_make(NULL, 0);
	if (quote)
		out[n++] = '"';
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			out[n++] = '\\';
		out[n++] = local.p[i];
	}
	if (quote)
		out[n++] = '"';
	if (domain.n > 0) {
		out[n++] = '@';
		memcpy(out + n, domain.p, domain.n);
		n += domain.n;
	}
	return slice_make(out, n);
}

static const struct address no_address = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };

/* RFC 5321 4.1.2 has no control character in a local part, not even a tab in quotes, where a display name may have one. */
static bool is_free_of_controls(struct slice local)
{
	for (size_t i = 0; i < local.n; i++) {
		if ((unsigned char)local.p[i] < ' ' || local.p[i] == 0x7f)
			return false;
	}
	return true;
}

/* local [@domain] made of all the tokens. False: they are none, or the arena is exhausted. */
static bool address_of_tokens(struct arena *arena, struct tokens tokens, struct address *address)
{
	size_t at = token_find(tokens, '@');
	struct address found = no_address;

	found.local = tokens_join(arena, tokens_slice(tokens, 0, at), false);
	if (found.local.p == NULL || at == 0 || !utf8_valid(found.local) || !is_free_of_controls(found.local))
		return false;
	if (at < tokens.n) {
		found.domain = tokens_join(arena, tokens_slice(tokens, at + 1, tokens.n), true);
		if (found.domain.p != NULL)
			found.domain = domain_ascii(arena, found.domain);
		if (found.domain.p == NULL)
			return false;
	}
	found.text = address_text(arena, found.local, found.domain);
	if (found.text.p == NULL)
		return false;
	*address = found;
	return true;
}

/* The tokens behind a source route "@a,@b:", which RFC 5321 (appendix C) has us ignore. */
static struct tokens route_skip(struct tokens tokens)
{
	size_t colon = token_find(tokens, ':');

	if (tokens.n > 0 && is_special(&tokens.items[0], '@') && colon < tokens.n)
		return tokens_slice(tokens, colon + 1, tokens.n);
	return tokens;
}

static bool any_comment_or_blank(struct tokens tokens)
{
	for (size_t i = 0; i < tokens.n; i++) {
		if (tokens.items[i].kind == TOKEN_COMMENT || (i > 0 && tokens.items[i].spaced))
			return true;
	}
	return false;
}

int address_parse(struct arena *arena, struct slice text, struct address *address, struct err *err)
{
	struct slice trimmed = slice_trim(text);
	struct tokens tokens = { NULL, 0 };
	bool angle = false;

	*address = no_address;
	if (tokenise(arena, trimmed, &tokens) < 0)
		return err_memory(err);
	if (tokens.n > 1 && is_special(&tokens.items[0], '<') && is_special(&tokens.items[tokens.n - 1], '>')) {
		tokens = tokens_slice(tokens, 1, tokens.n - 1);
		angle = true;
	}
	if (angle && tokens.n == 0)
		return 0;
	tokens = route_skip(tokens);
	if (any_comment_or_blank(tokens) || !address_of_tokens(arena, tokens, address))
		return err_set(err, ERR_MESSAGE, "no mail address: %.*s", (int)(trimmed.n < 256 ? trimmed.n : 256),
			       trimmed.n > 0 ? trimmed.p : "");
	return 0;
}

/* Index of the first ',' or ';' outside angle brackets, or tokens.n. */
static size_t element_end(struct tokens tokens)
{
	bool angle = false;
	size_t i = 0;

	for (i = 0; i < tokens.n; i++) {
		const struct token *token = &tokens.items[i];

		if (is_special(token, '<'))
			angle = true;
		else if (is_special(token, '>'))
			angle = false;
		else if (!angle && (is_special(token, ',') || is_special(token, ';')))
			break;
	}
	return i;
}

/* The mailbox of one list element, as most readers would find it. False: none. */
static bool element_address(struct arena *arena, struct tokens element, struct address *address)
{
	size_t open = token_find(element, '<');
	struct tokens inside = element;

	for (size_t i = open; i > 0 && open == element.n; i--) {	/* behind the name of a group */
		if (!is_special(&element.items[i - 1], ':'))
			continue;
		inside = tokens_slice(element, i, element.n);
		break;
	}
	if (open < element.n) {
		inside = tokens_slice(element, open + 1, element.n);
		inside = route_skip(tokens_slice(inside, 0, token_find(inside, '>')));
	}
	return token_find(inside, '@') < inside.n && address_of_tokens(arena, inside, address);
}

int address_list(struct arena *arena, struct slice value, struct address **list, size_t *count, struct err *err)
{
	struct tokens tokens = { NULL, 0 };
	size_t max = 1, end = 0;

	*list = NULL;
	*count = 0;
	if (tokenise(arena, value, &tokens) < 0)
		return err_memory(err);
	for (size_t i = 0; i < tokens.n; i++)
		max += is_special(&tokens.items[i], ',') || is_special(&tokens.items[i], ';') ? 1 : 0;
	*list = arena_array(arena, max, sizeof(**list));
	if (*list == NULL)
		return err_memory(err);
	for (; tokens.n > 0; tokens = tokens_slice(tokens, end < tokens.n ? end + 1 : end, tokens.n)) {
		end = element_end(tokens);
		if (element_address(arena, tokens_slice(tokens, 0, end), &(*list)[*count]))
			(*count)++;
	}
	return 0;
}

static bool contains_any(struct slice text, const char *characters)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '\0' && strchr(characters, text.p[i]) != NULL)
			return true;
	}
	return false;
}

static bool contains(struct slice text, const char *mark)
{
	return text.n > 0 && memmem(text.p, text.n, mark, strlen(mark)) != NULL;
}

/* Signs by which the tokens of a whole From value are odd, wherever they stand. */
static bool token_is_odd(const struct token *token)
{
	if (token->kind == TOKEN_BAD)
		return true;
	if (token->kind == TOKEN_COMMENT)	/* searched for addresses, or with quotes minded, it reads otherwise */
		return contains_any(token->text, "@<>\"\\");
	if (token->kind == TOKEN_QUOTED)
		return contains_any(token->text, "<>") ||
		       (contains(token->text, "\\\"") && contains_any(token->text, "@,:;()"));
	return is_special(token, ':') || is_special(token, ';');
}

/* RFC 5322 3.2.3: a dot stands between two atoms. Of "a..b@c" and "a.@c" some readers make no address at all. */
static bool has_stray_dot(struct tokens part)
{
	for (size_t i = 0; i < part.n; i++) {
		if (part.items[i].kind == TOKEN_DOT &&
		    (i == 0 || i + 1 == part.n || part.items[i + 1].kind == TOKEN_DOT))
			return true;
	}
	return false;
}

/* True if the tokens are one plain local@domain: no comment or blank inside, nothing quoted that looks like more. */
static bool addr_spec_is_plain(struct tokens tokens)
{
	size_t at = token_find(tokens, '@');

	if (at == 0 || at == tokens.n || any_comment_or_blank(tokens) || has_stray_dot(tokens_slice(tokens, 0, at)) ||
	    has_stray_dot(tokens_slice(tokens, at + 1, tokens.n)))
		return false;
	for (size_t i = 0; i < tokens.n; i++) {
		const struct token *token = &tokens.items[i];

		if (token->kind == TOKEN_QUOTED && (at != 1 || contains_any(token->text, "@,:;()[]\\\r\n")))
			return false;
		if (contains(token->text, "=?"))
			return false;
	}
	return true;
}

static struct tokens comments_trim(struct tokens tokens)
{
	while (tokens.n > 0 && tokens.items[0].kind == TOKEN_COMMENT)
		tokens = tokens_slice(tokens, 1, tokens.n);
	while (tokens.n > 0 && tokens.items[tokens.n - 1].kind == TOKEN_COMMENT)
		tokens.n--;
	return tokens;
}

/* True if the tokens may stand before '<': words and comments, and dots behind the first word (RFC 5322 4.1). */
static bool phrase_is_plain(struct tokens tokens)
{
	if (tokens.n > 0 && tokens.items[0].kind == TOKEN_DOT)
		return false;
	for (size_t i = 0; i < tokens.n; i++) {
		if (tokens.items[i].kind == TOKEN_SPECIAL || tokens.items[i].kind == TOKEN_LITERAL)
			return false;
	}
	return true;
}

/* True if an element between commas is one mailbox in the form that nobody misreads. */
static bool element_is_plain(struct tokens element)
{
	struct tokens rest = comments_trim(element);
	size_t open = token_find(rest, '<');
	size_t close = token_find(rest, '>');

	if (open == rest.n)
		return addr_spec_is_plain(rest);
	return close == rest.n - 1 && open < close && phrase_is_plain(tokens_slice(rest, 0, open)) &&
	       addr_spec_is_plain(tokens_slice(rest, open + 1, close));
}

/* Looks through all elements; the first address found goes to *address. */
static struct shape value_shape(struct arena *arena, struct tokens tokens, struct address *address)
{
	struct shape shape = { 0, false };
	struct address found = no_address;
	size_t end = 0;

	for (size_t i = 0; i < tokens.n; i++)
		shape.odd |= token_is_odd(&tokens.items[i]);
	for (;;) {
		struct tokens element = tokens_slice(tokens, 0, end = element_end(tokens));

		bool has_address = element_address(arena, element, &found);

		/* Where ours finds no address another reader may: "a@b>, <c@d>". */
		shape.odd |= !has_address || !element_is_plain(element);
		if (has_address)
			shape.odd |= !idn_is_sound(arena, found.domain);
		if (has_address && shape.elements++ == 0)
			*address = found;
		if (end == tokens.n)
			break;
		tokens = tokens_slice(tokens, end + 1, tokens.n);
	}
	return shape;
}

/* True if no token could be or hide an address: words only, no encoded one. */
static bool is_name_only(struct tokens tokens)
{
	for (size_t i = 0; i < tokens.n; i++) {
		if (token_is_odd(&tokens.items[i]) || contains_any(tokens.items[i].text, "@<>,") ||
		    contains(tokens.items[i].text, "=?"))
			return false;
	}
	return true;
}

int address_single(struct arena *arena, struct slice value, struct address *address, enum mailbox_form *form,
		   struct err *err)
{
	struct tokens tokens = { NULL, 0 };
	struct shape shape = { 0, false };

	*address = no_address;
	*form = MAILBOX_AMBIGUOUS;
	if (value.n > SINGLE_BYTES)
		return 0;
	if (tokenise(arena, value, &tokens) < 0)
		return err_memory(err);
	shape = value_shape(arena, tokens, address);
	shape.odd |= encoded_word_hides(value);	/* as a whole: a '.' in an encoded word cuts tokens */
	if (shape.elements == 0 && is_name_only(tokens))
		*form = MAILBOX_NONE;
	else if (shape.elements == 1 && !shape.odd)
		*form = MAILBOX_SINGLE;
	else if (shape.elements > 1 && !shape.odd)
		*form = MAILBOX_MANY;
	return 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->text.n > 0 && b->text.n > 0 && slice_equal_nocase(a->local, b->local) &&
	       slice_equal(a->domain, b->domain);
}

int address_base(struct arena *arena, const struct address *address, const char *delimiter, struct address *base)
{
	struct slice local = address->local;
	size_t n = 1;

	*base = *address;
	if (delimiter == NULL || delimiter[0] == '\0' || !is_dot_atom(local))
		return 0;
	while (n < local.n && strchr(delimiter, local.p[n]) == NULL)
		n++;
	if (n == local.n)
		return 0;
	base->local = slice_first(local, n);
	base->text = address_text(arena, base->local, address->domain);
	return base->text.p != NULL ? 0 : -1;
}

int address_unicode(struct arena *arena, const struct address *address, struct address *unicode)
{
	struct slice domain = idn_to_unicode(arena, address->domain);

	*unicode = *address;
	if (domain.p == NULL)
		return -1;
	if (domain.n == 0)
		return 0;
	unicode->domain = domain;
	unicode->text = address_text(arena, address->local, domain);
	return unicode->text.p != NULL ? 0 : -1;
}

static bool is_domain_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Labels of letters, digits, '-' and '_' (seen in real hosts' names), none empty. */
static bool is_host_name(struct slice domain)
{
	char last = '.';

	for (size_t i = 0; i < domain.n; i++) {
		if (!is_domain_character(domain.p[i]) || (domain.p[i] == '.' && last == '.'))
			return false;
		last = domain.p[i];
	}
	return last != '.' && domain.n <= 255;
}

static bool is_literal(struct slice domain)
{
	if (domain.n < 3 || domain.n > 255 || domain.p[0] != '[' || domain.p[domain.n - 1] != ']')
		return false;
	for (size_t i = 1; i + 1 < domain.n; i++) {
		if (!is_domain_character(domain.p[i]) && domain.p[i] != ':')
			return false;
	}
	return true;
}

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] > 0x7f)
			return false;
	}
	return true;
}

struct slice domain_ascii(struct arena *arena, struct slice domain)
{
	struct slice none = { NULL, 0 }, result = { NULL, 0 };
	char *lower = NULL;

	if (!is_ascii(domain)) {
		domain = idn_to_ascii(arena, domain);
		if (domain.p == NULL)
			return none;
	}
	if (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	lower = arena_string(arena, domain);
	if (lower == NULL)
		return none;
	ascii_lower(lower, domain.n);
	result = slice_make(lower, domain.n);
	return is_host_name(result) || is_literal(result) ? result : none;
}
