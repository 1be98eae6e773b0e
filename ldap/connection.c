/* connection.c - one connection to one LDAP server (RFC 4511, RFC 4513). How many there are is pool.c's business, the
 * socket dial.c's, who we say we are bind.c's, what is asked query.c's. Every wait ends at a deadline: operations are
 * started asynchronously and collected with the time that is left, below them stands deadline.c. Called by
 * ldap_driver.c and query.c. Nothing here is shared between threads.
 */
#include "ldap/connection.h"

#include <openldap.h>
#include <string.h>
#include <unistd.h>

#include "ldap/bind.h"
#include "ldap/dial.h"

/* What Debian's ldap.conf names; GnuTLS in libldap has no CAs of its own. */
#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"
#define MESSAGE_MAX_BYTES ((ber_len_t)16 * 1024 * 1024)

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
	case LDAP_TIMELIMIT_EXCEEDED:
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
	case LDAP_UNWILLING_TO_PERFORM:
	case LDAP_OTHER:
		return OUTCOME_ELSEWHERE;
	default:
		return code < 0 ? OUTCOME_ELSEWHERE : OUTCOME_REFUSED;
	}
}

enum outcome connection_failed(const struct connection *connection, struct err *err)
{
	LDAP *ld = connection->ld;
	enum outcome outcome;
	char *diagnostic = NULL;
	int code = LDAP_OTHER;

	if (connection->deadline.missed)
		return connection_timed_out(err);
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
	ber_len_t largest = MESSAGE_MAX_BYTES;
	Sockbuf *sockbuf = NULL;

	if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sockbuf) != LDAP_OPT_SUCCESS || sockbuf == NULL ||
	    ber_sockbuf_ctrl(sockbuf, LBER_SB_OPT_SET_MAX_INCOMING, &largest) != 1)
		return false;
	return set_int(ld, LDAP_OPT_PROTOCOL_VERSION, LDAP_VERSION3) && set_int(ld, LDAP_OPT_DEREF, LDAP_DEREF_NEVER) &&
	       set_int(ld, LDAP_OPT_TIMELIMIT, (int)((timeout_ms + 999) / 1000)) &&
	       ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON) == LDAP_OPT_SUCCESS &&
	       /* A server's Kerberos name is the one that was configured, not what DNS makes of its address. */
	       ldap_set_option(ld, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON) == LDAP_OPT_SUCCESS &&
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

static bool set_own_certificate(LDAP *ld, const struct connection_settings *settings)
{
	return settings->tls_cert_file == NULL ||
	       (ldap_set_option(ld, LDAP_OPT_X_TLS_CERTFILE, settings->tls_cert_file) == LDAP_OPT_SUCCESS &&
		ldap_set_option(ld, LDAP_OPT_X_TLS_KEYFILE, settings->tls_key_file) == LDAP_OPT_SUCCESS);
}

/* The context is made last, from the options before it. */
static bool set_tls(LDAP *ld, const struct connection_settings *settings)
{
	return set_int(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, LDAP_OPT_X_TLS_HARD) &&
	       set_int(ld, LDAP_OPT_X_TLS_REQUIRE_SAN, LDAP_OPT_X_TLS_TRY) &&
	       set_int(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, LDAP_OPT_X_TLS_PROTOCOL_TLS1_2) &&
	       set_ca(ld, settings->tls_ca_file) && set_own_certificate(ld, settings) &&
	       set_int(ld, LDAP_OPT_X_TLS_NEWCTX, 0);
}

static bool is_local(const char *uri)
{
	return slice_starts_nocase(slice_of(uri), "ldapi:");
}

static bool uses_tls(const struct connection_settings *settings, const char *uri)
{
	return slice_starts_nocase(slice_of(uri), "ldaps:") || (settings->starttls && !is_local(uri));
}

/* A handle, for the socket if there is one. */
static int make(const char *uri, int fd, LDAP **ld)
{
	if (fd < 0)
		return ldap_initialize(ld, uri);
	return ldap_init_fd((ber_socket_t)fd, is_local(uri) ? LDAP_PROTO_IPC : LDAP_PROTO_TCP, uri, ld);
}

/* A handle with its options; owns the socket (-1: none) when it is made. */
static int prepare(const struct connection_settings *settings, const char *uri, int fd, struct connection *connection,
		   struct err *err)
{
	bool own_files = settings->tls_ca_file != NULL || settings->tls_cert_file != NULL;
	int code = make(uri, fd, &connection->ld);

	if (code != LDAP_SUCCESS) {
		if (fd >= 0)
			close(fd);
		connection->ld = NULL;
		return err_set(err, ERR_CONFIG, "%s", ldap_err2string(code));
	}
	if (!set_options(connection->ld, settings) ||
	    (fd >= 0 && deadline_attach(&connection->deadline, connection->ld) != 0))
		err_set(err, ERR_BUG, "libldap refuses an option");
	else if (uses_tls(settings, uri) && !set_tls(connection->ld, settings))
		err_set(err, ERR_CONFIG, "TLS cannot be set up%s", own_files ? " with these files" : "");
	else
		return 0;
	connection_close(connection);
	return -1;
}

int connection_check(const struct connection_settings *settings, const char *uri, struct err *err)
{
	struct connection connection = { .ld = NULL };

	if (prepare(settings, uri, -1, &connection, err) != 0)
		return -1;
	connection_close(&connection);
	return 0;
}

enum outcome connection_collect(const struct connection *connection, int message_id, struct err *err)
{
	LDAPMessage *message = NULL;
	struct timeval left;
	char *diagnostic = NULL;
	enum outcome outcome;
	int got, code = LDAP_OTHER;

	if (!deadline_left(&connection->deadline, &left))
		return connection_timed_out(err);
	got = ldap_result(connection->ld, message_id, LDAP_MSG_ALL, &left, &message);
	if (got == 0)
		return connection_timed_out(err);
	if (got < 0)
		return connection_failed(connection, err);
	if (ldap_parse_result(connection->ld, message, &code, NULL, &diagnostic, NULL, NULL, 1) != LDAP_SUCCESS)
		return connection_failed(connection, err);
	outcome = connection_outcome(code, diagnostic, err);
	ldap_memfree(diagnostic);
	return outcome;
}

/* The server's name is checked in it: see set_tls. */
static enum outcome shake_hands(const struct connection *connection, struct err *err)
{
	enum outcome outcome;
	struct timeval left;

	if (!deadline_left(&connection->deadline, &left) ||
	    ldap_set_option(connection->ld, LDAP_OPT_NETWORK_TIMEOUT, &left) != LDAP_OPT_SUCCESS)
		return connection_timed_out(err);
	if (ldap_install_tls(connection->ld) == LDAP_SUCCESS)
		return OUTCOME_DONE;
	outcome = connection_failed(connection, err);
	/* That is all that libldap says over GnuTLS when it does not like the server's certificate. */
	if (strstr(err->text, "unknown error code") != NULL)
		err_set(err, ERR_TEMP, "no certificate of the server's name by a CA that is trusted here");
	return outcome;
}

static enum outcome start_tls(const struct connection *connection, struct err *err)
{
	enum outcome outcome = OUTCOME_ELSEWHERE;
	int message_id = 0;

	if (ldap_start_tls(connection->ld, NULL, NULL, &message_id) != LDAP_SUCCESS)
		outcome = connection_failed(connection, err);
	else
		outcome = connection_collect(connection, message_id, err);
	if (outcome == OUTCOME_DONE)
		outcome = shake_hands(connection, err);
	/* Another server may have it. */
	return outcome == OUTCOME_REFUSED ? OUTCOME_ELSEWHERE : outcome;
}

/* TLS where it is wanted. A socket of this machine needs none. */
static enum outcome secure(const struct connection *connection, const struct connection_settings *settings,
			   const char *uri, struct err *err)
{
	bool is_starttls = !slice_starts_nocase(slice_of(uri), "ldaps:");
	enum outcome outcome;

	if (!uses_tls(settings, uri))
		return OUTCOME_DONE;
	outcome = is_starttls ? start_tls(connection, err) : shake_hands(connection, err);
	if (outcome != OUTCOME_DONE)
		err_prefix(err, is_starttls ? "StartTLS" : "TLS");
	return outcome;
}

enum outcome connection_open(const struct connection_settings *settings, const char *uri, int64_t deadline_ms,
			     struct connection *connection, struct err *err)
{
	enum outcome outcome;
	int fd = -1;

	*connection = (struct connection){ .deadline = { .clock = settings->clock, .at_ms = deadline_ms } };
	if (dial(settings->resolver, settings->clock, uri, deadline_ms, &fd, err) != 0 ||
	    prepare(settings, uri, fd, connection, err) != 0)
		return OUTCOME_ELSEWHERE;
	outcome = secure(connection, settings, uri, err);
	if (outcome == OUTCOME_DONE)
		outcome = bind_connection(connection, settings, err);
	if (outcome == OUTCOME_DONE)
		return OUTCOME_DONE;
	connection_close(connection);
	return outcome == OUTCOME_LOST ? OUTCOME_ELSEWHERE : outcome;
}

void connection_close(struct connection *connection)
{
	if (connection->ld != NULL)
		ldap_unbind_ext(connection->ld, NULL, NULL);
	connection->ld = NULL;
}
