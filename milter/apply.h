/* apply.h - does to the MTA's message what the outcome says. Knows libmilter; decides nothing. */
#ifndef MILTER_APPLY_H
#define MILTER_APPLY_H

#include <libmilter/mfapi.h>

#include "gate/gate.h"
#include "milter/account.h"
#include "milter/reply.h"

/* The new body, drained piece by piece, then the header edits. leading_blank: the MTA takes values with their leading
 * blank (SMFIP_HDR_LEADSPC), else it adds one itself. 0; -1 with *err: nothing may be accepted then, and the MTA drops
 * what it was given when the answer is try later. applied: starts all zero. */
int apply_message(SMFICTX *ctx, const struct outcome *outcome, bool leading_blank, struct applied *applied,
		  struct err *err);

/* Sets the reply and returns what the callback is to return. An accept has no reply. */
sfsistat apply_reply(SMFICTX *ctx, const struct outcome *outcome, const struct reply_line *line);

#endif
