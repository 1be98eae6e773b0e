/* memory.h - which messages came or went encrypted through this gateway, for rules with reply = "encrypted": kept in
 * the journal. Nothing of it where no rule asks.
 */
#ifndef MILTER_MEMORY_H
#define MILTER_MEMORY_H

#include "gate/gate.h"
#include "milter/journal.h"

/* For gate_env: asks the journal, which outlives it. class NULL: nothing answers. */
struct gate_memory memory_of(const struct journal *journal);

/* Remembers a message of which outcome accepts, if it came encrypted or was encrypted, by its Message-ID as it came:
 * one without cannot be answered. 0: done, or not called for; -1, *err: could not be told. */
int memory_keep(const struct journal *journal, const struct site *site, const struct message *message,
		const struct outcome *outcome, struct arena *arena, struct err *err);

#endif
