/* report_json.h - parts of reports that the audit log has too; between report.c and audit.c, who alone know jansson. New
 * references; NULL: memory.
 */
#ifndef MILTER_REPORT_JSON_H
#define MILTER_REPORT_JSON_H

#include <jansson.h>

#include "gate/outcome.h"

json_t *report_text(struct slice text);		/* untrusted bytes; what is no UTF-8 as \xNN; p == NULL: null */
json_t *report_time(time_t at);
json_t *report_layers(const struct layer_list *layers, const char *rule);	/* as in outcome.json */
json_t *report_peers(const struct recipient_outcome *to);			/* its encrypted_to */
json_t *report_asked(const struct candidate_list *list);			/* NULL: an empty list */

#endif
