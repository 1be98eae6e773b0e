/* connection.c - one connection to one LDAP server (RFC 4511, RFC 4513). How many there are is pool.c's business, what is
 * asked over them query.c's. Every wait ends at a deadline: operations are started asynchronously and collected with the
 * time that is left. Called by ldap_driver.c and query.c. Nothing here is shared between threads.
 */
#include "ldap/connection.h"

#include <unistd.h>

/* What Debian's ldap.conf names; GnuTLS in libldap has no CAs of its own. */
#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"
#define MESSAGE_MAX_BYTES ((ber_len_t)16 * 1024 * 1024)

bool connection_time_left(const struct clock *clock, int64_t deadline_ms, struct timeval *left)
{
	int64_t ms = deadline_ms - clock_monotonic_ms(clock);

	if (ms <= 0)
		return false;
	left->tv_sec = (time_t)(ms / 1000);
	left->tv_usec = (suseconds_t)(ms % 1000 * 1000);
	return true;
}

enum outcome connection_timed_out(struct err *err)
{
	err_set(err, ERR_TEMP, "timed out");
	return OUTCOME_ELSEWHERE;
}

enum outcome connection_outcome(int code, const char *diagnostic, struct err *err)
{
	if (diagnostic != NULL && diagnostic[0] != '\0')
		err_set(err, ERR_TEMP, "%s (%s)", ldap_err2string(code), diagnostic);
	else
		err_set(err, ERR_TEMP, "%s", ldap_err2string(code));
	switch (code) {
	case LDAP_SUCCESS:
		return OUTCOME_DONE;
	case LDAP_SERVER_DOWN:
		return OUTCOME_LOST;
	case LDAP_TIMEOUT:
		return connection_timed_out(err);
	case LDAP_NO_MEMORY:
		return OUTCOME_EXHAUSTED;
	case LDAP_OPERATIONS_ERROR:
	case LDAP_PROTOCOL_ERROR:
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
	case LDAP_UNWILLING_TO_PERFORM:
	case LDAP_OTHER:
		return OUTCOME_ELSEWHERE;
	default:
		return code < 0 ? OUTCOME_ELSEWHERE : OUTCOME_REFUSED;
	}
}

enum outcome connection_failed(LDAP *ld, struct err *err)
{
	enum outcome outcome;
	char *diagnostic = NULL;
	int code = LDAP_OTHER;

	ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code);
	ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &diagnostic);
	outcome = connection_outcome(code == LDAP_SUCCESS ? LDAP_OTHER : code, diagnostic, err);
	ldap_memfree(diagnostic);
	return outcome;
}

static bool set_int(LDAP *ld, int option, int value)
{
	return ldap_set_option(ld, option, &value) == LDAP_OPT_SUCCESS;
}

/* ldap.conf(5) and the environment may have set anything: what matters is set here for each connection. */
static bool set_options(LDAP *ld, const struct connection_settings *settings)
{
	int64_t timeout_ms = settings->timeout_ms;
	struct timeval timeout = { .tv_sec = (time_t)(timeout_ms / 1000), .tv_usec = timeout_ms % 1000 * 1000 };
	unsigned int user_timeout_ms = (unsigned int)timeout_ms;
	ber_len_t largest = MESSAGE_MAX_BYTES;
	Sockbuf *sockbuf = NULL;

	if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sockbuf) != LDAP_OPT_SUCCESS || sockbuf == NULL ||
	    ber_sockbuf_ctrl(sockbuf, LBER_SB_OPT_SET_MAX_INCOMING, &largest) != 1)
		return false;
	/* Where the system knows no TCP user timeout nothing is lost: the waits have deadlines. */
	ldap_set_option(ld, LDAP_OPT_TCP_USER_TIMEOUT, &user_timeout_ms);
	return set_int(ld, LDAP_OPT_PROTOCOL_VERSION, LDAP_VERSION3) && set_int(ld, LDAP_OPT_DEREF, LDAP_DEREF_NEVER) &&
	       set_int(ld, LDAP_OPT_TIMELIMIT, (int)((timeout_ms + 999) / 1000)) &&
	       ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &timeout) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_TIMEOUT, &timeout) == LDAP_OPT_SUCCESS;
}

static bool has_text(LDAP *ld, int option)
{
	char *text = NULL;
	bool has = ldap_get_option(ld, option, &text) == LDAP_OPT_SUCCESS && text != NULL && text[0] != '\0';

	ldap_memfree(text);
	return has;
}

static bool set_ca(LDAP *ld, const char *ca_file)
{
	/* An own CA replaces the system's: nobody else may vouch for the server then. */
	if (ca_file != NULL)
		return ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, ca_file) == LDAP_OPT_SUCCESS &&
		       ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTDIR, NULL) == LDAP_OPT_SUCCESS;
	if (has_text(ld, LDAP_OPT_X_TLS_CACERTFILE) || has_text(ld, LDAP_OPT_X_TLS_CACERTDIR) ||
	    access(SYSTEM_CA_FILE, R_OK) != 0)
		return true;
	return ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, SYSTEM_CA_FILE) == LDAP_OPT_SUCCESS;
}

/* The context is made last, from the options before it. */
static bool set_tls(LDAP *ld, const struct connection_settings *settings)
{
	return set_int(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, LDAP_OPT_X_TLS_HARD) &&
	       set_int(ld, LDAP_OPT_X_TLS_REQUIRE_SAN, LDAP_OPT_X_TLS_TRY) &&
	       set_int(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, LDAP_OPT_X_TLS_PROTOCOL_TLS1_2) &&
	       set_ca(ld, settings->tls_ca_file) && set_int(ld, LDAP_OPT_X_TLS_NEWCTX, 0);
}

static bool uses_tls(const struct connection_settings *settings, const char *uri)
{
	return settings->starttls || slice_starts_nocase(slice_of(uri), "ldaps:");
}

/* A handle with its options, not connected yet. */
static int prepare(const struct connection_settings *settings, const char *uri, LDAP **ld, struct err *err)
{
	LDAP *made = NULL;
	int code = ldap_initialize(&made, uri);

	if (code != LDAP_SUCCESS)
		return err_set(err, ERR_CONFIG, "%s", ldap_err2string(code));
	if (!set_options(made, settings)) {
		err_set(err, ERR_BUG, "libldap refuses an option");
		goto out;
	}
	if (uses_tls(settings, uri) && !set_tls(made, settings)) {
		err_set(err, ERR_CONFIG, "TLS cannot be set up%s%s", settings->tls_ca_file == NULL ? "" : " with ",
			settings->tls_ca_file == NULL ? "" : settings->tls_ca_file);
		goto out;
	}
	*ld = made;
	return 0;
out:
	connection_close(made);
	return -1;
}

int connection_check(const struct connection_settings *settings, const char *uri, struct err *err)
{
	LDAP *ld = NULL;

	if (prepare(settings, uri, &ld, err) != 0)
		return -1;
	connection_close(ld);
	return 0;
}

/* The result of the one operation under way: its code is the outcome. */
static enum outcome collect(LDAP *ld, int message_id, const struct clock *clock, int64_t deadline_ms, struct err *err)
{
	LDAPMessage *message = NULL;
	struct timeval left;
	char *diagnostic = NULL;
	enum outcome outcome;
	int got, code = LDAP_OTHER;

	if (!connection_time_left(clock, deadline_ms, &left))
		return connection_timed_out(err);
	got = ldap_result(ld, message_id, LDAP_MSG_ALL, &left, &message);
	if (got == 0)
		return connection_timed_out(err);
	if (got < 0)
		return connection_failed(ld, err);
	if (ldap_parse_result(ld, message, &code, NULL, &diagnostic, NULL, NULL, 1) != LDAP_SUCCESS)
		return connection_failed(ld, err);
	outcome = connection_outcome(code, diagnostic, err);
	ldap_memfree(diagnostic);
	return outcome;
}

static enum outcome start_tls(LDAP *ld, const struct clock *clock, int64_t deadline_ms, struct err *err)
{
	enum outcome outcome = OUTCOME_ELSEWHERE;
	int message_id = 0;

	if (ldap_start_tls(ld, NULL, NULL, &message_id) != LDAP_SUCCESS)
		outcome = connection_failed(ld, err);
	else
		outcome = collect(ld, message_id, clock, deadline_ms, err);
	if (outcome == OUTCOME_DONE && ldap_install_tls(ld) != LDAP_SUCCESS)
		outcome = connection_failed(ld, err);
	if (outcome != OUTCOME_DONE)
		err_prefix(err, "StartTLS");
	return outcome;
}

static enum outcome bind_simply(LDAP *ld, const struct connection_settings *settings, int64_t deadline_ms,
				struct err *err)
{
	struct berval password = { .bv_len = settings->password.n, .bv_val = (char *)settings->password.p };
	enum outcome outcome;
	int message_id = 0;

	if (ldap_sasl_bind(ld, settings->bind_dn, LDAP_SASL_SIMPLE, &password, NULL, NULL, &message_id) !=
	    LDAP_SUCCESS)
		outcome = connection_failed(ld, err);
	else
		outcome = collect(ld, message_id, settings->clock, deadline_ms, err);
	if (outcome != OUTCOME_DONE)
		err_prefix(err, "bind");
	return outcome;
}

/* TCP and, for ldaps, the handshake. */
static enum outcome connect_to(LDAP *ld, const struct clock *clock, int64_t deadline_ms, struct err *err)
{
	struct timeval left;
	enum outcome outcome;

	if (!connection_time_left(clock, deadline_ms, &left) ||
	    ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &left) != LDAP_OPT_SUCCESS)
		return connection_timed_out(err);
	if (ldap_connect(ld) == LDAP_SUCCESS)
		return OUTCOME_DONE;
	outcome = connection_failed(ld, err);
	/* libldap calls that unreachable, too. */
	return connection_time_left(clock, deadline_ms, &left) ? outcome : connection_timed_out(err);
}

enum outcome connection_open(const struct connection_settings *settings, const char *uri, int64_t deadline_ms, LDAP **ld,
			     struct err *err)
{
	enum outcome outcome;

	*ld = NULL;
	if (prepare(settings, uri, ld, err) != 0)
		return OUTCOME_ELSEWHERE;
	outcome = connect_to(*ld, settings->clock, deadline_ms, err);
	if (outcome == OUTCOME_DONE && settings->starttls && !slice_starts_nocase(slice_of(uri), "ldapi:"))
		outcome = start_tls(*ld, settings->clock, deadline_ms, err);
	if (outcome == OUTCOME_DONE && settings->bind_dn != NULL)
		outcome = bind_simply(*ld, settings, deadline_ms, err);
	if (outcome == OUTCOME_DONE)
		return OUTCOME_DONE;
	connection_close(*ld);
	*ld = NULL;
	return outcome == OUTCOME_LOST ? OUTCOME_ELSEWHERE : outcome;
}

void connection_close(LDAP *ld)
{
	if (ld != NULL)
		ldap_unbind_ext(ld, NULL, NULL);
}
