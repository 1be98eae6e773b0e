/* memory.c - see memory.h. Called by transaction.c at a message's end, and by smimectl. */
#include "milter/memory.h"

#include <stdint.h>

#include "mail/message_id.h"
#include "policy/policy.h"

#define MESSAGE_IDS 8		/* of a message: of several, readers do not agree which counts */

static int was_encrypted(void *self, const struct slice *message_ids, size_t n, struct err *err)
{
	const struct journal *journal = self;
	bool known = false;

	if (journal->class == NULL)
		return err_set(err, ERR_TEMP, "there is no journal to ask");
	if (journal_recall(journal, message_ids, n, &known, err) != 0)
		return -1;
	return known ? 1 : 0;
}

struct gate_memory memory_of(const struct journal *journal)
{
	return (struct gate_memory){ was_encrypted, (void *)(uintptr_t)journal };
}

/* In mode observe nothing was encrypted, whatever stands in the outcome. */
static bool is_encrypted(const struct outcome *outcome)
{
	if (outcome->kind == KIND_ENCRYPTED)
		return true;
	for (size_t i = 0; !outcome->observed && i < outcome->recipient_count; i++)
		if (outcome->recipients[i].cipher != NULL)
			return true;
	return false;
}

int memory_keep(const struct journal *journal, const struct site *site, const struct message *message,
		const struct outcome *outcome, struct arena *arena, struct err *err)
{
	struct message_ids ids = { NULL, 0 };

	if (outcome->action != ACTION_ACCEPT || !is_encrypted(outcome) ||
	    !policy_asks_what_is_answered(site->rules, site->rule_count))
		return 0;
	if (message_ids_find(arena, &message->header, "Message-ID", MESSAGE_IDS, &ids, err) != 0)
		return -1;
	if (ids.n == 0)
		return 0;
	if (journal->class == NULL)
		return err_set(err, ERR_TEMP, "there is no journal to tell");
	return journal_remember(journal, ids.items, ids.n, err);
}
