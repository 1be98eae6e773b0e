/* ctl_verify.c - smimectl verify: the verdict on a message, now or at a time, and with --explain each check behind it.
 * The same verification as in the gate, but with collections of the caller's choice and without a rule. INTERFACE 1, 4.
 */
#include "milter/ctl.h"

#include <string.h>

#include "gate/judge.h"
#include "milter/report.h"
#include "smime/verdict.h"

/* A skeleton over a limit has no layers that could be trusted: neutral, as in the gate. */
int ctl_judge(struct ctl *ctl, const struct message *message, const struct verify_env *env, struct verdict *verdict,
	      struct err *err)
{
	struct layer_list layers = { NULL, 0 };
	struct err why = { ERR_BUG, "" };
	struct mime mime;

	if (mime_parse(ctl->arena, message, &env->limits.mime, &mime, &why) != 0) {
		*err = why;
		*verdict = (struct verdict){ .result = RESULT_NEUTRAL,
					     .reason = arena_strdup(ctl->arena, why.text) };
		return why.class == ERR_LIMIT && verdict->reason != NULL ? 0 : -1;
	}
	if (verify_message(ctl->arena, message, &mime, env, &layers, err) != 0)
		return -1;
	verdict_make(&layers, verdict);
	return 0;
}

static void print_checks(const struct layer *layer)
{
	const struct check *check = NULL;
	size_t i;

	for (i = 0; i < layer->check_count; i++) {
		check = &layer->checks[i];
		printf("  %-9s  %s (%s)%s%s\n", result_names[check->result], check->name, check->rule,
		       check->detail[0] != '\0' ? ": " : "", check->detail);
	}
}

static void print_layer(const struct layer *layer, bool explain)
{
	printf("layer %u: %s", layer->layer, layer_type_name(layer->type));
	if (layer->signer_index != 0)
		printf(", signer %u", layer->signer_index);
	printf(": %s%s%s\n", layer->envelope_result != NULL ? layer->envelope_result : result_names[layer->result],
	       layer->reason[0] != '\0' ? ": " : "", layer->reason);
	if (layer->envelope_result == NULL && layer->known)
		printf("  integrity %s, algorithm %s, covers the %s\n", integrity_name(layer->integrity),
		       algorithm_name(layer->algorithm), layer->covers_message ? "message" : "part alone");
	if (layer->chain_known)
		printf("  chain %s (collection %s), revocation %s, usage %s, From %s\n",
		       path_chain_name(layer->chain), layer->collection != NULL ? layer->collection : "none",
		       path_revocation_name(layer->revocation), layer->usage_good ? "good" : "bad",
		       from_match_name(layer->from));
	if (layer->subject != NULL)
		printf("  %s <%s>\n  issued by %s, serial %s\n", layer->subject,
		       layer->signer != NULL ? layer->signer : "", layer->issuer, layer->serial);
	if (explain)
		print_checks(layer);
}

static void print_verdict(const struct verdict *verdict, bool explain)
{
	size_t i;

	printf("%s%s%s\n", result_names[verdict->result], verdict->reason[0] != '\0' ? ": " : "", verdict->reason);
	for (i = 0; i < verdict->layers.n; i++)
		print_layer(&verdict->layers.items[i], explain);
}

static int exit_for(enum result result)
{
	if (result == RESULT_PASS)
		return CTL_DONE;
	return result == RESULT_TEMPERROR ? CTL_LATER : CTL_NOT_PASSED;
}

int ctl_verify(struct ctl *ctl, struct err *err)
{
	struct verify_env env = { .collections = NULL };
	bool explain = (ctl->args.given & OPTION_EXPLAIN) != 0;
	struct message message;
	struct verdict verdict;

	if (ctl_time(ctl, &env.at) != 0)
		return CTL_USAGE;
	if (ctl_settings(ctl, err) != 0 || ctl_collections(ctl, &env.collections, &env.collection_count, err) != 0)
		return -1;
	judge_limits(&ctl->settings->limits, &env);
	if (ctl_read_message(ctl, &message, err) != 0 || ctl_judge(ctl, &message, &env, &verdict, err) != 0)
		return -1;
	if (ctl->json && report_verdict(stdout, &verdict, explain, err) != 0)
		return -1;
	if (!ctl->json)
		print_verdict(&verdict, explain);
	return exit_for(verdict.result);
}
