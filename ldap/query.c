/* query.c - filters (RFC 4515) and searches (RFC 4511 4.5), in pages where that is wanted (RFC 2696). All searches are
 * sent before the first answer is awaited, in windows, so that a message's recipients cost one round trip. What lies in
 * entries is entry.c's and owner.c's. Called by ldap_driver.c.
 */
#include "ldap/query.h"

#include <ctype.h>
#include <errno.h>
#include <openldap.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ldap/entry.h"
#include "ldap/owner.h"
#include "pki/directory_driver.h"

#define SIZE_LIMIT 100		/* entries for one address */
#define PAGED_LIMIT 10000	/* entries in all pages of one search */
#define WINDOW 32		/* searches under way: servers end a connection that has too many (slapd: 100) */

struct placeholder {
	const char *name;
	struct slice (*value)(const struct address *address);
};

static struct slice address_text(const struct address *address)
{
	return address->text;
}

static struct slice address_local(const struct address *address)
{
	return address->local;
}

static struct slice address_domain(const struct address *address)
{
	return address->domain;
}

static const struct placeholder placeholders[] = {
	{ "%{address}", address_text }, { "%{local}", address_local }, { "%{domain}", address_domain },
};

/* The placeholder that text begins with, or NULL. */
static const struct placeholder *placeholder_at(const char *text)
{
	for (size_t i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++) {
		if (strncmp(text, placeholders[i].name, strlen(placeholders[i].name)) == 0)
			return &placeholders[i];
	}
	return NULL;
}

/* Harmless in every place of an assertion value. Everything else may be written as \XX, so this is a list of what is
 * certainly good, not of what is bad. */
static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("@.-_+!#$%'/?^`{}~&=,:;", c) != NULL);
}

int query_escape(struct buf *out, struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		int rc = is_plain(c) ? buf_append_char(out, (char)c) : buf_printf(out, "\\%02x", (unsigned int)c);

		if (rc != 0)
			return -1;
	}
	return 0;
}

static const char *fill_in(struct arena *arena, const char *text, const struct address *address)
{
	const char *filter = NULL;
	struct buf out;
	int rc = 0;

	buf_init(&out, 0);
	while (*text != '\0' && rc == 0) {
		const struct placeholder *placeholder = placeholder_at(text);

		if (placeholder == NULL) {
			rc = buf_append_char(&out, *text++);
			continue;
		}
		rc = query_escape(&out, placeholder->value(address));
		text += strlen(placeholder->name);
	}
	if (rc == 0)
		filter = arena_string(arena, buf_slice(&out));
	buf_clear(&out);
	return filter;
}

const char *query_filter(struct arena *arena, const char *text, const struct address *address)
{
	const char *filter = fill_in(arena, text, address), *other = NULL;
	struct address unicode;

	if (filter == NULL || address_unicode(arena, address, &unicode) != 0)
		return NULL;
	if (slice_equal(unicode.domain, address->domain))
		return filter;
	other = fill_in(arena, text, &unicode);
	return other != NULL ? arena_printf(arena, "(|%s%s)", filter, other) : NULL;
}

static int check_placeholders(const char *text, struct err *err)
{
	size_t found = 0;

	for (const char *at = strstr(text, "%{"); at != NULL; at = strstr(at + 1, "%{")) {
		if (placeholder_at(at) == NULL)
			return err_set(err, ERR_CONFIG, "unknown placeholder at \"%.20s\" (known: %%{address}, "
				       "%%{local}, %%{domain})", at);
		found++;
	}
	/* Such a filter would find the same entries for everybody. */
	if (found == 0)
		return err_set(err, ERR_CONFIG, "has no %%{address}, %%{local} or %%{domain}");
	return 0;
}

/* A placeholder must not become part of an escape. */
static int check_escapes(const char *text, struct err *err)
{
	for (const char *at = strchr(text, '\\'); at != NULL; at = strchr(at + 1, '\\')) {
		if (!isxdigit((unsigned char)at[1]) || !isxdigit((unsigned char)at[2]))
			return err_set(err, ERR_CONFIG, "two hexadecimal digits must follow at \"%.20s\"", at);
	}
	return 0;
}

/* libldap reads a filter when it sends it: to nobody, here. */
static int check_grammar(const char *text, struct err *err)
{
	int fds[2], code, message_id = 0;
	LDAP *ld = NULL;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return err_set(err, ERR_TEMP, "socketpair: %s", strerror(errno));
	code = ldap_init_fd(fds[0], LDAP_PROTO_IPC, "ldapi://", &ld);
	if (code == LDAP_SUCCESS)
		code = ldap_search_ext(ld, "", LDAP_SCOPE_BASE, text, NULL, 0, NULL, NULL, NULL, 0, &message_id);
	if (ld != NULL)
		ldap_destroy(ld);
	else
		close(fds[0]);
	close(fds[1]);
	if (code == LDAP_SUCCESS)
		return 0;
	return err_set(err, ERR_CONFIG, "RFC 4515: not a filter");
}

int query_check_filter(const char *text, struct err *err)
{
	size_t n = strlen(text);
	int open = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '(')
			open++;
		else if (text[i] == ')')
			open--;
		if (open < 0 || (open == 0 && i + 1 < n))
			return err_set(err, ERR_CONFIG, "parentheses do not match at \"%.20s\"", text + i);
	}
	if (n == 0 || open != 0)
		return err_set(err, ERR_CONFIG, "parentheses do not match");
	if (check_escapes(text, err) != 0 || check_placeholders(text, err) != 0)
		return -1;
	return check_grammar(text, err);
}

/* For the next page. A server that knows no pages may send all at once: not critical. */
static int page_control(const struct search *search, const struct connection *connection,
			const struct query_item *item, LDAPControl **control)
{
	struct berval cookie = { .bv_len = item->cookie.n, .bv_val = (char *)item->cookie.p };

	return ldap_create_page_control(connection->ld, search->query->page_entries, &cookie, 0, control);
}

static const char *base_of(const struct search *search, const struct query_item *item)
{
	return item->base != NULL ? item->base : search->query->base;
}

static enum outcome send_search(const struct search *search, const struct connection *connection,
				struct query_item *item, struct err *err)
{
	const struct query *query = search->query;
	LDAPControl *controls[] = { NULL, NULL };
	struct timeval left;
	int code = LDAP_SUCCESS;

	if (!deadline_left(&connection->deadline, &left))
		return connection_timed_out(err);
	if (query->page_entries > 0)
		code = page_control(search, connection, item, &controls[0]);
	/* The limit of a request would end all pages together: receive counts them. */
	if (code == LDAP_SUCCESS)
		code = ldap_search_ext(connection->ld, base_of(search, item), query->scope, item->filter, query->attributes, 0,
				       controls, NULL, &left, query->page_entries > 0 ? 0 : SIZE_LIMIT,
				       &item->message_id);
	ldap_control_free(controls[0]);
	if (code == LDAP_FILTER_ERROR) {
		err_set(err, ERR_CONFIG, "RFC 4515: not a filter: %s", item->filter);
		return OUTCOME_REFUSED;
	}
	if (code != LDAP_SUCCESS)
		return connection_failed(connection, err);
	item->sent = true;
	return OUTCOME_DONE;
}

static struct query_item *item_of(const struct search *search, int message_id)
{
	for (size_t i = 0; i < search->n; i++) {
		if (search->items[i].sent && search->items[i].message_id == message_id)
			return &search->items[i];
	}
	return NULL;
}

/* What the end of a page says about the next: an empty cookie, or no such control, that there is none. One that cannot
 * be read does not. */
static enum outcome read_cookie(const struct search *search, const struct connection *connection,
				LDAPControl **controls, struct query_item *item, struct err *err)
{
	LDAPControl *control = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
	struct berval cookie = { .bv_val = NULL };
	ber_int_t estimate = 0;
	enum outcome outcome = OUTCOME_DONE;

	item->cookie = slice_make(NULL, 0);
	if (control == NULL)
		return OUTCOME_DONE;
	if (ldap_parse_pageresponse_control(connection->ld, control, &estimate, &cookie) != LDAP_SUCCESS)
		return connection_failed(connection, err);
	if (cookie.bv_len > 0) {
		item->cookie = arena_copy(search->arena, slice_make(cookie.bv_val, cookie.bv_len));
		outcome = item->cookie.p == NULL ? OUTCOME_EXHAUSTED : OUTCOME_DONE;
	}
	ldap_memfree(cookie.bv_val);
	return outcome;
}

/* The item's answer is that it could not be asked. */
static enum outcome refuse(const struct search *search, struct query_item *item, const char *why)
{
	item->done = true;
	return directory_answer_fail(search->arena, item->answer, why) == 0 ? OUTCOME_DONE : OUTCOME_EXHAUSTED;
}

static enum outcome next_page(const struct search *search, const struct connection *connection,
			      struct query_item *item, struct err *err)
{
	if (item->entries <= PAGED_LIMIT)
		return send_search(search, connection, item, err);
	err_set(err, ERR_TEMP, "more than %d entries", PAGED_LIMIT);
	return refuse(search, item, err->text);
}

/* The end of one search, or of a page of it. A refusal of this search is this address's answer; a server that cannot
 * serve at all is the connection's outcome. */
static enum outcome finish(const struct search *search, const struct connection *connection, LDAPMessage *message,
			   struct query_item *item, struct err *err)
{
	LDAPControl **controls = NULL;
	char *diagnostic = NULL;
	enum outcome outcome;
	int code = LDAP_OTHER;

	if (ldap_parse_result(connection->ld, message, &code, NULL, &diagnostic, NULL, &controls, 0) != LDAP_SUCCESS)
		return connection_failed(connection, err);
	outcome = connection_outcome(code, diagnostic, err);
	ldap_memfree(diagnostic);
	if (outcome == OUTCOME_DONE)
		outcome = read_cookie(search, connection, controls, item, err);
	ldap_controls_free(controls);
	if (outcome != OUTCOME_DONE && outcome != OUTCOME_REFUSED)
		return outcome;
	item->sent = false;
	if (outcome == OUTCOME_DONE && item->cookie.n > 0)
		return next_page(search, connection, item, err);
	item->absent = code == LDAP_NO_SUCH_OBJECT;
	if (item->absent)
		err_set(err, ERR_TEMP, "%s: base \"%s\"", ldap_err2string(code), base_of(search, item));
	if (outcome == OUTCOME_REFUSED)
		return refuse(search, item, err->text);
	if (item->part)
		return refuse(search, item, "an attribute has more values than the server gave (a range of them)");
	item->done = true;
	return OUTCOME_DONE;
}

static int read_dn(const struct search *search, const struct connection *connection, LDAPMessage *message,
		   struct query_entry *entry)
{
	char *dn = ldap_get_dn(connection->ld, message);

	if (dn == NULL)
		return ENTRY_UNDECODABLE;
	entry->dn = arena_strdup(search->arena, dn);
	ldap_memfree(dn);
	return entry->dn != NULL ? 0 : -1;
}

/* As entry_walk. */
static int keep_entry(const struct search *search, const struct connection *connection, LDAPMessage *message,
		      struct query_item *item, struct query_entry *entry)
{
	int rc = read_dn(search, connection, message, entry);

	if (rc == 0)
		rc = group_read(search->arena, connection->ld, message, &entry->group);
	if (item->last != NULL)
		item->last->next = entry;
	else
		item->found = entry;
	item->last = entry;
	return rc;
}

static int read_entry(const struct search *search, const struct connection *connection, LDAPMessage *message,
		      struct query_item *item)
{
	const struct query *query = search->query;
	struct query_entry *entry = arena_alloc(search->arena, sizeof(*entry));
	int rc;

	if (entry == NULL)
		return -1;
	*entry = (struct query_entry){ .answer.status = DIRECTORY_NONE };
	rc = owner_read(search->arena, connection->ld, message, query->address_names, &entry->owner);
	if (rc == 0)
		rc = entry_read(search->arena, connection->ld, message, query->names, entry->owner,
				query->apart ? &entry->answer : item->answer);
	if (rc == 0 && query->groups)
		rc = keep_entry(search, connection, message, item, entry);
	return rc;
}

static enum outcome take_entry(const struct search *search, const struct connection *connection, LDAPMessage *message,
			       struct query_item *item, struct err *err)
{
	int rc = read_entry(search, connection, message, item);

	if (rc == ENTRY_UNDECODABLE)
		return connection_failed(connection, err);
	if (rc == ENTRY_PART)
		item->part = true;
	return rc >= 0 ? OUTCOME_DONE : OUTCOME_EXHAUSTED;
}

static enum outcome take_message(const struct search *search, const struct connection *connection,
				 LDAPMessage *message, struct err *err)
{
	struct query_item *item = item_of(search, ldap_msgid(message));

	/* References to other servers are not followed: Active Directory adds some to every search. */
	if (item == NULL || ldap_msgtype(message) == LDAP_RES_SEARCH_REFERENCE)
		return OUTCOME_DONE;
	if (ldap_msgtype(message) == LDAP_RES_SEARCH_RESULT)
		return finish(search, connection, message, item, err);
	if (ldap_msgtype(message) != LDAP_RES_SEARCH_ENTRY)
		return OUTCOME_DONE;
	item->entries++;
	return take_entry(search, connection, message, item, err);
}

/* Waits for one message and takes it. */
static enum outcome receive(const struct search *search, const struct connection *connection, struct err *err)
{
	LDAPMessage *message = NULL;
	struct timeval left;
	enum outcome outcome;
	int got;

	if (!deadline_left(&connection->deadline, &left))
		return connection_timed_out(err);
	got = ldap_result(connection->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &left, &message);
	if (got == 0)
		return connection_timed_out(err);
	if (got < 0)
		return connection_failed(connection, err);
	outcome = take_message(search, connection, message, err);
	ldap_msgfree(message);
	return outcome;
}

static bool is_any_under_way(const struct search *search)
{
	for (size_t i = 0; i < search->n; i++) {
		if (search->items[i].sent)
			return true;
	}
	return false;
}

/* From the first page, also when another connection broke at a later one: cookies are the connection's. */
static enum outcome begin(const struct search *search, const struct connection *connection, struct query_item *item,
			  struct err *err)
{
	item->cookie = slice_make(NULL, 0);
	item->entries = 0;
	item->part = item->absent = false;
	item->found = item->last = NULL;
	*item->answer = (struct directory_answer){ .status = DIRECTORY_NONE };
	return send_search(search, connection, item, err);
}

static enum outcome run_window(const struct search *search, const struct connection *connection, struct err *err)
{
	enum outcome outcome = OUTCOME_DONE;

	for (size_t i = 0; i < search->n; i++)
		search->items[i].sent = false;
	for (size_t i = 0; i < search->n && outcome == OUTCOME_DONE; i++) {
		if (!search->items[i].done)
			outcome = begin(search, connection, &search->items[i], err);
	}
	while (outcome == OUTCOME_DONE && is_any_under_way(search))
		outcome = receive(search, connection, err);
	return outcome;
}

enum outcome query_run(const struct search *search, struct connection *connection, int64_t deadline_ms,
		       struct err *err)
{
	/* slapd keeps one place in pages for a connection. */
	size_t most = search->query->page_entries > 0 ? 1 : WINDOW;
	enum outcome outcome = OUTCOME_DONE;

	connection->deadline.at_ms = deadline_ms;
	for (size_t start = 0; start < search->n && outcome == OUTCOME_DONE; start += most) {
		struct search window = *search;

		window.items += start;
		window.n = search->n - start < most ? search->n - start : most;
		outcome = run_window(&window, connection, err);
	}
	return outcome;
}
