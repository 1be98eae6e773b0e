/* report.h - smimectl's reports as JSON (INTERFACE 1); report.c alone knows jansson. Each call writes one document and a
 * line end to `to`, which is flushed. Bytes that are no UTF-8 are written as \xNN. What is not known is left out of a
 * layer, and null elsewhere. All return 0, or -1 with ERR_TEMP (memory, writing).
 */
#ifndef MILTER_REPORT_H
#define MILTER_REPORT_H

#include <stdio.h>

#include "gate/outcome.h"
#include "milter/harvest_store.h"
#include "pki/bundle.h"
#include "pki/key.h"

/* outcome.json. reply: the line as SMTP would say it, "" when accepted. explain: with each certificate that was looked
 * at, whose they are, what the directories answered, and a recipient's own reason where another one is refused. The
 * original goes by the name of 0.eml, the copies by 1.eml and so on. */
int report_outcome(FILE *to, const struct outcome *outcome, const char *reply, bool explain, struct err *err);

/* verify --json. explain: each layer with its `checks`. */
int report_verdict(FILE *to, const struct verdict *verdict, bool explain, struct err *err);

/* certs find --json: a list in the order of rank, refused ones last. */
int report_candidates(FILE *to, const struct candidate_list *list, struct err *err);

struct report_key {
	const struct key *key;
	long days_left;			/* negative: expired */
	bool tested;
	const char *failure;		/* tested: why it failed; NULL: it works */
};

/* keys list --json, keys test --json */
int report_keys(FILE *to, const struct report_key *keys, size_t n, struct err *err);

/* harvest list --json */
int report_harvested(FILE *to, const struct harvested *rows, size_t n, struct err *err);

struct report_entry {
	const char *file;
	const struct bundle_entry *entry;
};

/* collection list --json */
int report_entries(FILE *to, const struct report_entry *entries, size_t n, struct err *err);

struct report_finding {
	const char *collection;		/* NULL: files of the command line */
	const struct report_entry *at;
	const char *finding;		/* "expired" … */
	const char *detail;
};

/* collection check --json */
int report_findings(FILE *to, const struct report_finding *findings, size_t n, struct err *err);

#endif
