/* ctl_explain.c - smimectl explain: what the gate would do with a message, and why, in words or as JSON. Goes through the
 * same door as mail, to the end of the body, and keeps nothing of it.
 */
#include <string.h>

#include "milter/ctl_passage.h"
#include "milter/dsn.h"
#include "milter/report.h"

static void print_facts(const struct ctl_passage *passage)
{
	const struct envelope *envelope = &passage->envelope;

	printf("message: %s", kind_names[passage->outcome.kind]);
	printf(", from <%.*s>", SLICE_ARGS(envelope->sender.text));
	printf(", client %s", envelope->client_ip != NULL ? envelope->client_ip : "unknown");
	if (envelope->login != NULL)
		printf(", logged in as %s", envelope->login);
	if (envelope->daemon_name[0] != '\0')
		printf(", listener %s", envelope->daemon_name);
	printf("\n");
	if (passage->outcome.encryption_asked)
		printf("a trigger in it asks for encryption: it counts as required, and the trigger is removed\n");
}

/* Where the log's reason says more than the reply. */
static void print_because(const struct outcome *outcome)
{
	const char *reason = outcome->reason != NULL ? outcome->reason : "";
	const char *reply = outcome->reply_detail != NULL ? outcome->reply_detail : "";

	if (outcome->action != ACTION_ACCEPT && reason[0] != '\0' && strcmp(reason, reply) != 0)
		printf("because: %s\n", reason);
}

/* Whether it is news is for the store to say, which is not asked. */
static void print_harvests(const struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->harvest_count; i++) {
		const struct harvest *harvest = &outcome->harvests[i];

		printf("teaches: certificate of <%.*s>, serial %s, by rule \"%s\" (harvest = \"%s\")\n",
		       SLICE_ARGS(harvest->address.text), cert_info(harvest->cert)->serial, harvest->rule,
		       harvest->at_once ? "on" : "pending");
	}
}

static void print_outcome(const struct ctl_passage *passage)
{
	const struct outcome *outcome = &passage->outcome;

	printf("outcome: %s%s%s\n", action_names[outcome->action], passage->reply_text[0] != '\0' ? ", " : "",
	       passage->reply_text);
	print_because(outcome);
	if (outcome->observed)
		printf("mode is \"observe\": nothing of what follows is done\n");
	if (outcome->verified)
		printf("verdict: %s%s%s\n", result_names[outcome->verdict.result],
		       outcome->verdict.reason[0] != '\0' ? ": " : "", outcome->verdict.reason);
	print_harvests(outcome);
}

static void print_candidate(const struct candidate *candidate)
{
	const struct cert_info *info = cert_info(candidate->cert);

	if (candidate->usable)
		printf("    %u. ", candidate->rank);
	else
		printf("    refused (%s): ", candidate->reason);
	printf("%s, serial %s, from %s\n", info->issuer, info->serial, candidate->source);
}

static void print_asked(const struct candidate_list *list)
{
	size_t i;

	for (i = 0; i < list->asked_count; i++)
		printf("  asked: %s\n", list->asked[i]);
}

static void print_candidates(const struct candidate_list *list)
{
	size_t i;

	printf("%s\n", list->n == 0 ? " none" : "");
	for (i = 0; i < list->n; i++)
		print_candidate(&list->items[i]);
	if (list->status == DIRECTORY_FAILED)
		printf("  could not ask: %s\n", list->failure);
}

static void print_member(const struct candidate_member *member)
{
	if (member->address.text.n == 0) {
		printf("  member %s\n", member->list.asked[0]);
		return;
	}
	print_asked(&member->list);
	printf("  certificates of member <%.*s>:", SLICE_ARGS(member->address.text));
	print_candidates(&member->list);
}

static void print_certificates(const struct recipient_outcome *to)
{
	const struct candidate_list *list = to->candidates;
	size_t i;

	if (list == NULL)
		return;
	print_asked(list);
	printf("  certificates");
	if (!slice_equal(to->looked_up, to->recipient->address.text))
		printf(" of <%.*s>", SLICE_ARGS(to->looked_up));
	printf(":");
	print_candidates(list);
	for (i = 0; i < list->member_count; i++)
		print_member(&list->members[i]);
}

static void print_key(const struct recipient_outcome *to)
{
	if (to->signed_by == NULL)
		return;
	printf("  signed with %s, serial %s, from %s\n", cert_info(to->signed_by)->subject,
	       cert_info(to->signed_by)->serial, to->key_source);
}

/* Everybody who will be able to read it: not always, or not only, the recipient. */
static void print_encryption(const struct recipient_outcome *to)
{
	const struct encrypted_to *whom = to->encrypted_to;

	if (to->cipher == NULL)
		return;
	printf("  encrypted with %s for", to->cipher);
	for (size_t i = 0; i < to->encrypted_count; i++)
		printf("%s <%s> (%s, serial %s)", i > 0 ? "," : "", whom[i].address, whom[i].role,
		       cert_info(whom[i].cert)->serial);
	printf("\n");
}

/* Not told of a refusal, nor of the only recipient: then there is nothing to tell apart. */
static void print_message(const struct ctl_passage *passage, const struct recipient_outcome *to)
{
	if (passage->outcome.action != ACTION_ACCEPT || passage->outcome.recipient_count < 2)
		return;
	if (to->message == OUTCOME_NONE)
		printf("  message: none; the sender %s\n", dsn_wanted(&passage->envelope, to->recipient) ?
		       "is told, by reinject.to" : "is not told");
	else if (to->message == 0)
		printf("  message: the original\n");
	else
		printf("  message: copy %zu, by reinject.to\n", to->message);
}

static void print_recipient(const struct ctl_passage *passage, const struct recipient_outcome *to)
{
	printf("\n<%.*s>: %s", SLICE_ARGS(to->recipient->address.text), direction_names[to->direction]);
	if (to->rule != NULL)
		printf(", rule \"%s\"\n", to->rule->id);
	else
		printf(", no rule matches\n");
	printf("  action: %s%s%s\n", to->action, to->reason[0] != '\0' ? ", " : "", to->reason);
	if (to->own_reason[0] != '\0' && strcmp(to->own_reason, to->reason) != 0)
		printf("  for him alone: %s\n", to->own_reason);
	print_message(passage, to);
	print_key(to);
	print_certificates(to);
	print_encryption(to);
}

static void print_all(const struct ctl_passage *passage)
{
	size_t i;

	print_facts(passage);
	print_outcome(passage);
	for (i = 0; i < passage->outcome.recipient_count; i++)
		print_recipient(passage, &passage->outcome.recipients[i]);
}

static int drain(struct ctl *ctl, const struct outcome *outcome, struct err *err)
{
	size_t i;

	for (i = 0; i < outcome->copy_count; i++)
		if (ctl_drain_message(ctl, &outcome->copies[i], err) != 0)
			return -1;
	return ctl_drain_message(ctl, &outcome->message, err);
}

int ctl_explain(struct ctl *ctl, struct err *err)
{
	struct ctl_passage passage;
	struct err why = { ERR_BUG, "" };
	int rc = ctl_pass(ctl, &passage, err), status = CTL_LATER;

	if (rc != 0)
		return rc;
	if (passage.outcome.action == ACTION_ACCEPT)
		rc = drain(ctl, &passage.outcome, &why);
	status = ctl_pass_end(ctl, rc != 0 ? &why : NULL, &passage);
	if (ctl->json && report_outcome(stdout, &passage.outcome, passage.reply_text, true, err) != 0)
		return -1;
	if (!ctl->json)
		print_all(&passage);
	return status;
}
