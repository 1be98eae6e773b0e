/* fetch_voice.c - see fetch_voice.h. Called by fetch.c. */
#include "milter/fetch_voice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crypt.h"

#define MINUTE_MS (60 * 1000)

void fetch_voice_init(struct fetch_voice *voice, const struct event_sink *sink)
{
	*voice = (struct fetch_voice){ .sink = sink };
}

/* May one more failure be told? */
static bool may_complain(struct fetch_voice *voice, int64_t now_ms)
{
	if (voice->said == 0 || now_ms - voice->minute_ms >= MINUTE_MS) {
		if (voice->unsaid > 0)
			event_log(voice->sink, EVENT_WARNING, "fetch: %u more failures", voice->unsaid);
		voice->minute_ms = now_ms;
		voice->said = voice->unsaid = 0;
	}
	if (voice->said < FETCH_COMPLAINTS) {
		voice->said++;
		return true;
	}
	voice->unsaid++;
	return false;
}

void fetch_voice_result(struct fetch_voice *voice, const struct fetch_result *result, int64_t now_ms)
{
	const struct fetch_entry *entry = result->entry;
	char where[600];

	if (result->reason != NULL && !may_complain(voice, now_ms))
		return;
	snprintf(where, sizeof(where), "fetch=%s collection=%.100s host=%s%s%s:%u path=%.200s",
		 fetch_kind_name(entry->kind), collection_name(entry->collection),
		 entry->url.family == AF_INET6 ? "[" : "", entry->url.host, entry->url.family == AF_INET6 ? "]" : "",
		 entry->url.port, entry->url.target);
	event_log(voice->sink, result->reason == NULL ? EVENT_INFO : EVENT_WARNING,
		  "%s bytes=%zu ms=%" PRId64 " result=%s%s%.200s%s", where, result->bytes, result->ms, result->word,
		  result->reason != NULL ? " reason=\"" : "", result->reason != NULL ? result->reason : "",
		  result->reason != NULL ? "\"" : "");
}

void fetch_voice_failure(struct fetch_voice *voice, const char *what, const char *why, int64_t now_ms)
{
	if (may_complain(voice, now_ms))
		event_log(voice->sink, EVENT_WARNING, "fetch: %s: %s", what, why);
}

static uint64_t number_of(const char *text)
{
	unsigned char digest[CRYPT_SHA256_BYTES] = { 0 };
	uint64_t number = 0;

	(void)crypt_sha256(text, strlen(text), digest, NULL);
	memcpy(&number, digest, sizeof(number));
	return number;
}

void fetch_voice_unlisted(struct fetch_voice *voice, const struct collection *collection, const struct fetch_url *url)
{
	char text[600];
	uint64_t number;

	snprintf(text, sizeof(text),
		 "fetch: collection %.200s: certificates name %s port %u, which is not in fetch_hosts",
		 collection_name(collection), url->host, url->port);
	number = number_of(text);
	for (size_t i = 0; i < voice->unlisted_count; i++)
		if (voice->unlisted[i] == number)
			return;
	if (voice->unlisted_count == FETCH_UNLISTED)
		return;
	voice->unlisted[voice->unlisted_count++] = number;
	event_log(voice->sink, EVENT_INFO, "%s", text);
}
