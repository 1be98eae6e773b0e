/* audit_evidence.h - has the recorder keep what a verdict rests on (kept_evidence.h), before a line bears its digests. */
#ifndef MILTER_AUDIT_EVIDENCE_H
#define MILTER_AUDIT_EVIDENCE_H

#include "gate/outcome.h"
#include "milter/recorder_client.h"

/* On disk when it returns 0; what is there already is not sent again. recorder NULL: nothing is kept. -1, ERR_TEMP: what was
 * found could not be proven later, and the message must not be accepted. */
int audit_evidence_keep(const struct recorder_client *recorder, const struct outcome *outcome, struct err *err);

#endif
