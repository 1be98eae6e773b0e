/* ctl_passage.h - a message's way through the gate, as process and explain have it in common. Internal to them. */
#ifndef MILTER_CTL_PASSAGE_H
#define MILTER_CTL_PASSAGE_H

#include "milter/ctl.h"

struct ctl_passage {
	struct envelope envelope;
	struct message message;
	struct outcome outcome;
	char reply_text[520];		/* "550 5.7.5 S/MIME: …"; "" when the outcome accepts */
};

/* Makes the envelope of the options, loads the site, reads stdin, and asks the gate. 0: the outcome is filled, also when
 * the message was no message; CTL_USAGE; -1: *err (configuration, memory). The body is not drained yet. */
int ctl_pass(struct ctl *ctl, struct ctl_passage *passage, struct err *err);
/* The daemon's memory of encrypted mail, in ctl's arena; *memory NULL: no rule asks, or nothing was ever remembered.
 * Behind ctl_site. 0, or -1: memory. */
int ctl_memory(struct ctl *ctl, const struct gate_memory **memory, struct err *err);
/* To be called behind the draining; why: the error of it, or NULL. Fills the reply. The exit status. */
int ctl_pass_end(struct ctl *ctl, const struct err *why, struct ctl_passage *passage);

#endif
