/* apply.c - pulls the final body and hands it, and the header edits, to libmilter. Called at the end of a message, by
 * the thread that has the session. The order is recipients, body, deletions and changes, insertions, additions; an
 * error at any point ends in try later, and then the MTA forgets all of it. */
#include "milter/apply.h"

#include <stdint.h>
#include <string.h>

/* libmilter's prototypes lack const where they only read. */
static char *unconst(const char *text)
{
	return (char *)(uintptr_t)text;
}

struct sink {
	SMFICTX *ctx;
	struct crypt_digest *digest;
	uint64_t bytes;
	bool written;
};

static int replace(void *arg, const void *p, size_t n, struct err *err)
{
	struct sink *sink = arg;

	sink->written = true;
	sink->bytes += n;
	if (crypt_digest_add(sink->digest, p, n, err) != 0)
		return -1;
	if (smfi_replacebody(sink->ctx, (unsigned char *)(uintptr_t)p, (int)n) != MI_SUCCESS)
		return err_set(err, ERR_TEMP, "the MTA does not take the new body");
	return 0;
}

static int apply_body(SMFICTX *ctx, const struct body *body, struct applied *applied, struct err *err)
{
	struct sink sink = { .ctx = ctx, .digest = crypt_digest_new(err) };
	struct stream *stream = sink.digest != NULL ? body_open(body, err) : NULL;
	int rc = -1;

	if (stream == NULL)
		goto out;
	if (stream_drain(stream, replace, &sink, err) != 0)
		goto out;
	/* Without a single call the MTA would keep the old body. */
	if (!sink.written && replace(&sink, "", 0, err) != 0)
		goto out;
	if (crypt_digest_end(sink.digest, applied->body_sha256, err) != 0)
		goto out;
	applied->body_bytes = sink.bytes;
	applied->body_read = true;
	rc = 0;
out:
	stream_close(stream);
	crypt_digest_free(sink.digest);
	return rc;
}

static int apply_edit(SMFICTX *ctx, const struct edit *edit, bool leading_blank, struct err *err)
{
	const char *value = edit->value;
	int rc;

	if (value != NULL && !leading_blank && value[0] == ' ')
		value++;
	if (edit->kind == EDIT_DELETE || edit->kind == EDIT_CHANGE)
		rc = smfi_chgheader(ctx, unconst(edit->name), (int)edit->index, unconst(value));
	else if (edit->kind == EDIT_INSERT)
		rc = smfi_insheader(ctx, (int)edit->index, unconst(edit->name), unconst(value));
	else
		rc = smfi_addheader(ctx, unconst(edit->name), unconst(value));
	if (rc != MI_SUCCESS)
		return err_set(err, ERR_TEMP, "the MTA does not take the change of a %s field", edit->name);
	return 0;
}

/* He has a copy, or gets nothing. Postfix compares byte for byte, and says nothing when nobody is meant: so it hears
 * its own spelling. */
static int remove_recipient(SMFICTX *ctx, const struct recipient_outcome *to, struct err *err)
{
	if (smfi_delrcpt(ctx, unconst(to->recipient->path)) != MI_SUCCESS)
		return err_set(err, ERR_TEMP, "the MTA does not take a recipient off");
	return 0;
}

int apply_message(SMFICTX *ctx, const struct outcome *outcome, bool leading_blank, struct applied *applied,
		  struct err *err)
{
	if (outcome->observed || outcome->action != ACTION_ACCEPT)
		return 0;
	for (size_t i = 0; i < outcome->recipient_count; i++)
		if (outcome->recipients[i].message != 0 && remove_recipient(ctx, &outcome->recipients[i], err) != 0)
			return -1;
	if (!outcome->changed)
		return 0;
	if (outcome->body_changed && apply_body(ctx, outcome->message.body, applied, err) != 0)
		return -1;
	for (size_t i = 0; i < outcome->edits.n; i++)
		if (apply_edit(ctx, &outcome->edits.items[i], leading_blank, err) != 0)
			return -1;
	return 0;
}

/* "%" doubled: libmilter and the MTAs take the text for a format. Anything that would not fit any more is cut. */
static void double_percent(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; *text != '\0' && n + 3 < size; text++) {
		if (*text == '%')
			out[n++] = '%';
		out[n++] = *text;
	}
	out[n] = '\0';
}

sfsistat apply_reply(SMFICTX *ctx, const struct outcome *outcome, const struct reply_line *line)
{
	char text[980];
	char code[sizeof(line->code)], xcode[sizeof(line->xcode)];

	if (outcome->observed || outcome->action == ACTION_ACCEPT)
		return SMFIS_ACCEPT;
	memcpy(code, line->code, sizeof(code));
	memcpy(xcode, line->xcode, sizeof(xcode));
	double_percent(line->text, text, sizeof(text));
	/* Should it not be taken, the MTA's own text for the class goes out: never another class. */
	(void)smfi_setreply(ctx, code, xcode, text);
	return outcome->action == ACTION_REJECT ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}
