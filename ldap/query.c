/* query.c - filters (RFC 4515) and searches (RFC 4511 4.5). All searches are sent before the first answer is awaited,
 * in windows, so that a message's recipients cost one round trip. What lies in entries is entry.c's. Called by
 * ldap_driver.c.
 */
#include "ldap/query.h"

#include <string.h>

#include "base/buf.h"
#include "ldap/entry.h"
#include "pki/directory_driver.h"

#define SIZE_LIMIT 100		/* entries for one address */
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

static int escape_into(struct buf *out, struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		int rc = is_plain(c) ? buf_append_char(out, (char)c) : buf_printf(out, "\\%02x", (unsigned int)c);

		if (rc != 0)
			return -1;
	}
	return 0;
}

const char *query_filter(struct arena *arena, const char *text, const struct address *address)
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
		rc = escape_into(&out, placeholder->value(address));
		text += strlen(placeholder->name);
	}
	if (rc == 0)
		filter = arena_string(arena, buf_slice(&out));
	buf_clear(&out);
	return filter;
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
	return check_placeholders(text, err);
}

static enum outcome send_search(const struct search *search, const struct connection *connection,
				struct query_item *item, struct err *err)
{
	const struct query *query = search->query;
	struct timeval left;
	int code;

	if (!deadline_left(&connection->deadline, &left))
		return connection_timed_out(err);
	*item->answer = (struct directory_answer){ .status = DIRECTORY_NONE };
	code = ldap_search_ext(connection->ld, query->base, query->scope, item->filter, query->attributes, 0, NULL,
			       NULL, &left, SIZE_LIMIT, &item->message_id);
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

/* The end of one search. A refusal of this search is this address's answer; a server that cannot serve at all is the
 * connection's outcome. */
static enum outcome finish(const struct search *search, const struct connection *connection, LDAPMessage *message,
			   struct query_item *item, struct err *err)
{
	char *diagnostic = NULL;
	enum outcome outcome;
	int code = LDAP_OTHER;

	if (ldap_parse_result(connection->ld, message, &code, NULL, &diagnostic, NULL, NULL, 0) != LDAP_SUCCESS)
		return connection_failed(connection, err);
	outcome = connection_outcome(code, diagnostic, err);
	ldap_memfree(diagnostic);
	if (outcome != OUTCOME_DONE && outcome != OUTCOME_REFUSED)
		return outcome;
	item->sent = false;
	item->done = true;
	if (outcome == OUTCOME_DONE)
		return OUTCOME_DONE;
	if (code == LDAP_NO_SUCH_OBJECT)
		err_set(err, ERR_TEMP, "%s: base \"%s\"", ldap_err2string(code), search->query->base);
	return directory_answer_fail(search->arena, item->answer, err->text) == 0 ? OUTCOME_DONE : OUTCOME_EXHAUSTED;
}

static enum outcome take_message(const struct search *search, const struct connection *connection,
				 LDAPMessage *message, struct err *err)
{
	struct query_item *item = item_of(search, ldap_msgid(message));
	int rc;

	/* References to other servers are not followed: Active Directory adds some to every search. */
	if (item == NULL || ldap_msgtype(message) == LDAP_RES_SEARCH_REFERENCE)
		return OUTCOME_DONE;
	if (ldap_msgtype(message) == LDAP_RES_SEARCH_RESULT)
		return finish(search, connection, message, item, err);
	if (ldap_msgtype(message) != LDAP_RES_SEARCH_ENTRY)
		return OUTCOME_DONE;
	rc = entry_read(search->arena, connection->ld, message, search->query->names, item->answer);
	if (rc > 0)
		return connection_failed(connection, err);
	return rc == 0 ? OUTCOME_DONE : OUTCOME_EXHAUSTED;
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

static enum outcome run_window(const struct search *search, const struct connection *connection, struct err *err)
{
	enum outcome outcome = OUTCOME_DONE;

	for (size_t i = 0; i < search->n && outcome == OUTCOME_DONE; i++) {
		search->items[i].sent = false;
		if (!search->items[i].done)
			outcome = send_search(search, connection, &search->items[i], err);
	}
	while (outcome == OUTCOME_DONE && is_any_under_way(search))
		outcome = receive(search, connection, err);
	return outcome;
}

enum outcome query_run(const struct search *search, struct connection *connection, int64_t deadline_ms,
		       struct err *err)
{
	enum outcome outcome = OUTCOME_DONE;

	connection->deadline.at_ms = deadline_ms;
	for (size_t start = 0; start < search->n && outcome == OUTCOME_DONE; start += WINDOW) {
		struct search window = *search;

		window.items += start;
		window.n = search->n - start < WINDOW ? search->n - start : WINDOW;
		outcome = run_window(&window, connection, err);
	}
	return outcome;
}
