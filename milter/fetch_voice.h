/* fetch_voice.h - what the fetch process says: one line for each answer or failure, failures bounded in number. */
#ifndef MILTER_FETCH_VOICE_H
#define MILTER_FETCH_VOICE_H

#include "base/event.h"
#include "milter/fetch_table.h"

#define FETCH_COMPLAINTS 20		/* in a minute; how many more there were is said afterwards */
#define FETCH_UNLISTED 256		/* hosts that are not listed are named once each, and so many at most */

struct fetch_voice {
	const struct event_sink *sink;
	int64_t minute_ms;		/* when the minute began */
	unsigned said, unsaid;
	uint64_t unlisted[FETCH_UNLISTED];
	size_t unlisted_count;
};

struct fetch_result {
	const struct fetch_entry *entry;
	size_t bytes;
	int64_t ms;
	const char *word;		/* "stored" "unchanged" "failed" */
	const char *reason;		/* of a failure; else NULL */
};

void fetch_voice_init(struct fetch_voice *voice, const struct event_sink *sink);
/* "fetch=crl collection=partners host=crl.example.net path=/x.crl bytes=1234 ms=12 result=stored" */
void fetch_voice_result(struct fetch_voice *voice, const struct fetch_result *result, int64_t now_ms);
/* Any other failure; text: what and why. */
void fetch_voice_failure(struct fetch_voice *voice, const char *what, const char *why, int64_t now_ms);
/* A certificate of the collection names a host that its fetch_hosts do not. */
void fetch_voice_unlisted(struct fetch_voice *voice, const struct collection *collection, const struct fetch_url *url);

#endif
