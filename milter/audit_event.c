/* audit_event.c - see audit_event.h. Called by generation.c and smimectl. */
#include "milter/audit_event.h"

#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>

#include "base/clock.h"
#include "milter/report_json.h"

#define PASSWD_BYTES 4096

/* "root (uid 0, pid 1)" */
static json_t *who(const struct audit_event *event)
{
	char bytes[PASSWD_BYTES];
	struct passwd entry, *found = NULL;

	if (getpwuid_r(event->uid, &entry, bytes, sizeof(bytes), &found) != 0 || found == NULL)
		return json_sprintf("uid %ld, pid %ld", (long)event->uid, (long)event->pid);
	return json_sprintf("%s (uid %ld, pid %ld)", found->pw_name, (long)event->uid, (long)event->pid);
}

static int set_certificate(json_t *object, const struct audit_event *event)
{
	const char *before = event->cert_sha256_before;

	if (event->address == NULL)
		return 0;
	return json_object_set_new(object, "address", report_text(slice_of(event->address))) |
	       json_object_set_new(object, "cert_sha256", json_string(event->cert_sha256)) |
	       json_object_set_new(object, "cert_sha256_before", before[0] != '\0' ? json_string(before) : json_null());
}

int audit_event_line(const struct audit_event *event, struct buf *out, struct err *err)
{
	char time[32];
	json_t *object = NULL;
	char *text = NULL;
	int rc = -1;

	clock_format(event->at, time, sizeof(time));
	object = json_pack("{s:s, s:s, s:o, s:s?, s:s}", "time", time, "event", event->what, "who", who(event), "config",
			   event->config, "version", PACKAGE_VERSION);
	if (object != NULL && set_certificate(object, event) == 0)
		text = json_dumps(object, JSON_COMPACT);
	if (text != NULL && buf_append_text(out, text) == 0 && buf_append_char(out, '\n') == 0)
		rc = 0;
	free(text);
	json_decref(object);
	return rc == 0 ? 0 : err_memory(err);
}
