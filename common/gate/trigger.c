/* trigger.c - see trigger.h. Called by facts.c (find) and step.c (remove). */
#include "gate/trigger.h"

#include "mail/subject_tag.h"

static bool declines(struct slice value)
{
	static const char *const words[] = { "no", "false", "off", "0", "" };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_is_nocase(slice_trim(value), words[i]))
			return true;
	return false;
}

static bool is_trigger(const struct site *site, const struct field *field)
{
	return site->settings.triggers.header != NULL && field_is(field, site->settings.triggers.header);
}

/* 1: the tag is there; *without: the field without it. */
static int cut_tag(const struct site *site, const struct field *field, struct arena *arena, struct field *without)
{
	const char *tag = site->settings.triggers.subject_tag;

	*without = *field;
	return tag == NULL || !field_is(field, "Subject") ? 0 : subject_tag_cut(arena, field, tag, without);
}

int trigger_find(const struct site *site, const struct header *header, struct arena *arena, bool *asked,
		 struct err *err)
{
	struct field without;
	size_t i;
	int tagged;

	*asked = false;
	for (i = 0; i < header->n; i++) {
		tagged = cut_tag(site, &header->fields[i], arena, &without);
		if (tagged < 0)
			return err_memory(err);
		if (tagged == 1 || (is_trigger(site, &header->fields[i]) && !declines(header->fields[i].value)))
			*asked = true;
	}
	return 0;
}

int trigger_remove(const struct site *site, const struct header *from, struct arena *arena, struct header *to,
		   struct err *err)
{
	struct field field;
	size_t i;

	*to = (struct header){ NULL, 0 };
	for (i = 0; i < from->n; i++) {
		if (is_trigger(site, &from->fields[i]))
			continue;
		if (cut_tag(site, &from->fields[i], arena, &field) < 0 || header_append(arena, to, field) != 0)
			return err_memory(err);
	}
	return 0;
}
