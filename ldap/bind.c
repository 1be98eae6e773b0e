/* bind.c - simple binds and SASL ones (RFC 4513 5; EXTERNAL is RFC 4422 appendix A, GSSAPI RFC 4752). Called by
 * connection.c. libsasl is known to this file alone; its GSSAPI is a plugin that has to be installed. */
#include "ldap/bind.h"

#include <sasl/sasl.h>
#include <string.h>

static enum outcome bind_plainly(const struct connection *connection, const char *dn, const char *mechanism,
				 struct slice secret, struct err *err)
{
	struct berval credentials = { .bv_len = secret.n, .bv_val = (char *)secret.p };
	int message_id = 0;

	if (ldap_sasl_bind(connection->ld, dn, mechanism, &credentials, NULL, NULL, &message_id) != LDAP_SUCCESS)
		return connection_failed(connection, err);
	return connection_collect(connection, message_id, err);
}

/* Kerberos knows who we are: whatever libsasl would ask a person for is left empty. */
static int answer_nothing(LDAP *ld, unsigned flags, void *defaults, void *asked)
{
	(void)ld;
	(void)flags;
	(void)defaults;
	for (sasl_interact_t *one = asked; one->id != SASL_CB_LIST_END; one++) {
		one->result = "";
		one->len = 0;
	}
	return LDAP_SUCCESS;
}

/* Active Directory refuses a second layer inside TLS. Without TLS nobody may take the layer away. */
static bool set_strength(LDAP *ld)
{
	const char *properties = ldap_tls_inplace(ld) ? "noanonymous,noplain,minssf=0,maxssf=0"
						      : "noanonymous,noplain,minssf=1";

	return ldap_set_option(ld, LDAP_OPT_X_SASL_SECPROPS, properties) == LDAP_OPT_SUCCESS;
}

/* Takes the server's next answer. False, and *outcome: there is none. */
static bool await_step(const struct connection *connection, int message_id, LDAPMessage **message,
		       enum outcome *outcome, struct err *err)
{
	struct timeval left;
	int got;

	if (!deadline_left(&connection->deadline, &left)) {
		*outcome = connection_timed_out(err);
		return false;
	}
	got = ldap_result(connection->ld, message_id, LDAP_MSG_ALL, &left, message);
	if (got == 0)
		*outcome = connection_timed_out(err);
	else if (got < 0)
		*outcome = connection_failed(connection, err);
	return got > 0;
}

/* Step by step, as often as mechanism and server want. */
static enum outcome bind_gssapi(const struct connection *connection, struct err *err)
{
	enum outcome outcome = OUTCOME_ELSEWHERE;
	const char *mechanism = NULL;
	LDAPMessage *message = NULL;
	int code = LDAP_SASL_BIND_IN_PROGRESS, message_id = 0;

	if (!set_strength(connection->ld)) {
		err_set(err, ERR_BUG, "libldap refuses an option");
		return OUTCOME_ELSEWHERE;
	}
	while (code == LDAP_SASL_BIND_IN_PROGRESS) {
		code = ldap_sasl_interactive_bind(connection->ld, NULL, "GSSAPI", NULL, NULL, LDAP_SASL_QUIET,
						  answer_nothing, NULL, message, &mechanism, &message_id);
		ldap_msgfree(message);
		message = NULL;
		if (code == LDAP_SASL_BIND_IN_PROGRESS &&
		    !await_step(connection, message_id, &message, &outcome, err))
			return outcome;
	}
	return code == LDAP_SUCCESS ? OUTCOME_DONE : connection_failed(connection, err);
}

enum outcome bind_connection(const struct connection *connection, const struct connection_settings *settings,
			     struct err *err)
{
	enum outcome outcome = OUTCOME_DONE;

	if (settings->bind == BIND_EXTERNAL)
		outcome = bind_plainly(connection, NULL, "EXTERNAL", slice_make("", 0), err);
	else if (settings->bind == BIND_GSSAPI)
		outcome = bind_gssapi(connection, err);
	else if (settings->bind_dn != NULL)
		outcome = bind_plainly(connection, settings->bind_dn, LDAP_SASL_SIMPLE, settings->password, err);
	if (outcome != OUTCOME_DONE)
		err_prefix(err, "bind");
	return outcome;
}
